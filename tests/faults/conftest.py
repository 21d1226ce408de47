"""Fixtures of faults."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.faults.camera import Camera
from tests.faults.running import Running
from tests.tiny import tiny_model


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Names the strongest of red, green and blue."""
    return tiny_model(tmp_path_factory.mktemp("tiny") / "tiny.tflite")


@pytest.fixture(scope="module")
def camera() -> Iterator[Camera]:
    """A network camera that shows red."""
    camera = Camera()
    yield camera
    camera.close()


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Running]]:
    """Start daemons; none survives the module. Arguments are those of `Running`."""
    with ExitStack() as stack:

        def start(**options: Any) -> Running:
            daemon = Running(tmp_path_factory.mktemp("daemon"), **options)
            stack.callback(daemon.close)
            return daemon

        yield start
