"""Fixtures that start daemons."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.running import ImpatientDaemon
from tests.integration.daemon import Daemon, start

__all__ = ["start"]


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    """Start a daemon that looks at more pictures a second, for as long as the test lasts."""
    started: list[Daemon] = []

    def start(*options: str | Path, **more: dict[str, str]) -> Daemon:
        started.append(ImpatientDaemon(*options, **more))
        return started[-1]

    yield start
    for daemon in started:
        daemon.kill()
