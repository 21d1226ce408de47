"""What tests of sources share."""

import threading
from collections.abc import Callable

import pytest

from edgekit.vision.threads import DriverThread
from tests.recordings import edgekit

__all__ = ["edgekit"]

DriverThreads = Callable[[], list[DriverThread]]


@pytest.fixture
def driver_threads() -> DriverThreads:
    """The drivers' threads that run now and were begun in this test, whatever others left."""
    before = set(threading.enumerate())

    def begun() -> list[DriverThread]:
        now = set(threading.enumerate()) - before
        return [thread for thread in now if isinstance(thread, DriverThread)]

    return begun
