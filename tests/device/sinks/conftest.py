"""Web servers of ours, and time, for tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from edgekit_device.sinks.http import Http

from tests.device.sinks.clock import Clock
from tests.device.sinks.web import TOKEN, make, served


@pytest.fixture
def clock() -> Clock:
    """Stands still until a test moves it."""
    return Clock()


@pytest.fixture
def sink() -> Iterator[Http]:
    """One for this machine."""
    with served(make()) as sink:
        yield sink


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    """A file with `TOKEN`."""
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    return path


@pytest.fixture
def guarded(token_file: Path) -> Iterator[Http]:
    """One for everybody who has the token."""
    with served(make("0.0.0.0:0", token_file=token_file)) as sink:
        yield sink
