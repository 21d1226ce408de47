"""Whether the daemon is paused; a restart does not end that: somebody wanted to be unseen."""

from pathlib import Path

from edgekit.files import replace_file
from edgekit.inference.events import timestamp
from edgekit.text import one_line

FILE = "paused"


class Pause:
    """Written by one thread, read by any.

    Args:
        folder: where it is kept that it is paused; None for nowhere.

    Attributes:
        wanted: whether it is to be paused.
    """

    def __init__(self, folder: Path | None) -> None:
        self._path = None if folder is None else folder / FILE
        self.wanted = self._is_kept()

    @property
    def remedy(self) -> str:
        """How to end one that was kept, where nobody can ask for that."""
        return f"remove {self._path} and start edgekit afresh"

    def begin(self, asked_by: str) -> str | None:
        """Be paused; why a restart would end that, in words, None where it would not."""
        self.wanted = True
        if self._path is None:
            return "a restart ends it, because this daemon has no folder of its own"
        try:
            content = f"{timestamp()} {one_line(asked_by)}\n".encode()
            replace_file(self._path, content, self._path.with_name(f".{FILE}.new"))
        except OSError as error:
            return f"a restart ends it: cannot write {self._path}: {error.strerror or error}"
        return None

    def end(self) -> str | None:
        """Be paused no more; why a restart would bring it back, None where it would not."""
        self.wanted = False
        try:
            if self._path is not None:
                self._path.unlink(missing_ok=True)
        except OSError as error:
            return (
                f"a restart pauses it again: cannot remove {self._path}: {error.strerror or error}"
            )
        return None

    def _is_kept(self) -> bool:
        try:
            return self._path is not None and bool(self._path.lstat())
        except (FileNotFoundError, NotADirectoryError):
            return False
        # Whoever wanted to be unseen is not seen because of a broken disk.
        except OSError:
            return True
