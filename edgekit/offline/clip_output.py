"""Where the bytes of a clip go as it is recorded, piece by piece."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from edgekit.errors import OutputError
from edgekit.files import check_writable, sync_folder


class ClipOutput(Protocol):
    """Where the bytes of a clip go: a `ClipFile`, or a stream to another process.

    Attributes:
        size: bytes so far.
    """

    size: int

    def append(self, data: bytes) -> None:
        """Add to the end, all of it or nothing.

        Raises:
            OutputError: it cannot be written.
        """

    def sync(self) -> None:
        """Make what is there outlast a power failure.

        Raises:
            OutputError: it does not.
        """

    def finish(self) -> None:
        """The clip is whole.

        Raises:
            OutputError: it cannot be kept.
        """

    def close(self) -> None:
        """No more comes; without `finish`, the clip is cut off. May be called twice."""


class ClipFile:
    """A clip on the disk, which has its name only when it is finished.

    Args:
        path: where it lies when it is finished; until then it has `.part` behind its name.

    Attributes:
        size: bytes so far.
        part: where it lies until then.

    Raises:
        OutputError: there is a file already, or the folder cannot be written.
    """

    def __init__(self, path: Path) -> None:
        check_writable(path)
        self.size = 0
        self.part = path.with_name(f"{path.name}.part")
        self._path = path
        self._appended = 0
        if path.exists():
            raise OutputError(f"{path} is there already; remove it, or choose another name")
        try:
            self._file = self.part.open("xb", buffering=0)
        except FileExistsError:
            raise OutputError(
                f"{self.part} is left of a recording that was cut off; {self._remedy()}"
            ) from None
        except OSError as error:
            raise self._failed(error) from error

    def append(self, data: bytes) -> None:
        """Add to the end, all of it or nothing.

        Raises:
            OutputError: the disk is full or broken; what was written before stays whole.
        """
        rest = memoryview(data)
        with self._explained():
            try:
                while rest:
                    rest = rest[self._file.write(rest) :]
            except OSError:
                # A disk that refuses this, too, leaves a clip that is cut off here.
                with contextlib.suppress(OSError):
                    self._file.seek(self.size)
                    self._file.truncate()
                raise
        self.size += len(data)
        self._appended += 1
        if self._appended == 1:
            self.sync()
            with self._explained():
                sync_folder(self._path.parent)

    def sync(self) -> None:
        """Have the disk keep what was written, whatever happens to the power.

        Raises:
            OutputError: it does not.
        """
        with self._explained():
            os.fsync(self._file.fileno())

    def finish(self) -> None:
        """Give the file its name.

        Raises:
            OutputError: that fails; the `.part` file stays, and replays.
        """
        self.sync()
        with self._explained():
            self._file.close()
            self.part.rename(self._path)
            sync_folder(self._path.parent)

    def close(self) -> None:
        """Leave the `.part` file as it is; one that holds the header at most is removed."""
        with contextlib.suppress(OSError):
            if not self._file.closed and self._appended < 2:
                self.part.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._file.close()

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> OutputError:
        return OutputError(f"cannot write the clip {self.part}: {error.strerror or error}")

    def _remedy(self) -> str:
        """What to do about a `.part` file that is there already."""
        with contextlib.suppress(OSError):
            if not self.part.stat().st_size:
                return "it is empty: remove it"
        return "what it holds replays: give it another name, or remove it"
