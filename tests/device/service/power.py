"""Cut the power at a chosen step of changes to files.

The steps are what Python reports to its audit hooks, and `fsync`. Whatever was written and not yet
synced is lost with the power: a file system keeps the order of names, not the content behind them.
A folder is unsynced, too, for as long as a name in it has changed: the last changes may be lost.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_STEPS = {"open", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.chmod"}


class PowerCutError(BaseException):
    """Nothing after this happens: product code does not catch it."""


class _Disk:
    def __init__(self) -> None:
        self.folder: Path | None = None
        self.left: int | None = None
        self.steps = 0
        self.unsynced: set[Path] = set()

    def step(self) -> None:
        self.steps += 1
        if self.left is not None:
            if self.left == 0:
                raise PowerCutError
            self.left -= 1

    def on_event(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.folder is None or event not in _STEPS or not isinstance(arguments[0], (str, Path)):
            return
        # A symbolic link is named by its second argument.
        named = Path(arguments[1] if event == "os.symlink" else arguments[0])
        if not named.is_relative_to(self.folder):
            return
        writes = event != "open" or bool(arguments[2] & (os.O_WRONLY | os.O_RDWR))
        if not writes:
            return
        self.step()
        if event not in ("open", "os.chmod"):
            self.unsynced.add(named.parent)
        if event == "open":
            self.unsynced.add(named)
        elif event == "os.rename" and named in self.unsynced:
            self.unsynced.remove(named)
            self.unsynced.add(Path(arguments[1]))
        elif event == "os.remove":
            self.unsynced.discard(named)

    def on_fsync(self, descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if self.folder is not None and path.is_relative_to(self.folder):
            self.step()
            self.unsynced.discard(path)


_disk = _Disk()
_fsync = os.fsync


@contextmanager
def _watched(folder: Path, left: int | None) -> Iterator[None]:
    if not hasattr(sys, "_edgekit_power"):
        # A hook cannot be taken out again, so there is one, idle most of the time.
        sys.addaudithook(_disk.on_event)
        sys._edgekit_power = True  # type: ignore[attr-defined]

    _disk.folder, _disk.left, _disk.steps, _disk.unsynced = folder, left, 0, set()
    # The real one would only take time.
    os.fsync = _disk.on_fsync  # type: ignore[assignment]
    try:
        yield
    finally:
        os.fsync = _fsync
        _disk.folder = None


def count_steps(folder: Path, work: Callable[[], object]) -> int:
    """How many steps the work takes below a folder."""
    with _watched(folder, None):
        work()
    return _disk.steps


def cut(folder: Path, work: Callable[[], object], step: int) -> bool:
    """Do the work until the power goes before a step; whether it did."""
    try:
        with _watched(folder, step):
            work()
    except PowerCutError:
        for path in _disk.unsynced:
            if path.is_file() and not path.is_symlink():
                path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        return True
    return False


def unsynced() -> set[Path]:
    """What the work before left unsynced."""
    return set(_disk.unsynced)
