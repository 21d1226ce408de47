"""Changes to a machine, which a dry run only tells of."""

import shlex
import stat
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgekit import child
from edgekit.errors import ServiceError
from edgekit.text import last_line
from edgekit_device.service import durable

_TIMEOUT = 60.0


@dataclass(frozen=True)
class Private:
    """A file that not all may read.

    Attributes:
        shown: what a dry run prints of it.
        mode: its permissions.
        group: number of its group; None to leave that as it is.
    """

    shown: str
    mode: int = 0o640
    group: int | None = None


class Changes:
    """Makes changes, tells of each, and leaves alone what is as it should be.

    Args:
        notify: is told in a line what changes.
        dry: change nothing.

    Attributes:
        changed: whether anything was changed, or would have been.
    """

    def __init__(self, notify: Callable[[str], None], *, dry: bool = False) -> None:
        self.notify = notify
        self.dry = dry
        self.changed = False

    def write(self, path: Path, content: bytes, private: "Private | None" = None) -> bool:
        """Write a file unless it is so already; whether its content was not.

        Args:
            path: the file.
            content: its bytes.
            private: who may read it, and what a dry run prints; all may by default, and all of it.

        Raises:
            ServiceError: it cannot be written.
        """
        if _content(path) == content:
            if private:
                self.restrict(path, private)
            return False
        self._say(f"write {path}")
        if self.dry:
            for line in (private.shown if private else content.decode()).splitlines():
                self.notify(f"    {line}".rstrip())
        elif private:
            durable.write(path, content, private.mode, private.group)
        else:
            durable.write(path, content)
        return True

    def restrict(self, path: Path, private: "Private") -> None:
        """Let nobody else read a file that is there already; a link is left alone.

        Raises:
            ServiceError: its permissions cannot be changed.
        """
        if path.is_symlink():
            self.notify(f"{path} is a link: see to it that not all may read what it leads to")
            return
        if not path.is_file():
            return
        status = path.stat()
        group = status.st_gid if private.group is None else private.group
        if (stat.S_IMODE(status.st_mode), status.st_gid) == (private.mode, group):
            return
        self._say(f"change the permissions of {path} to {private.mode:04o}")
        if not self.dry:
            durable.restrict(path, private.mode, private.group)

    def remove(self, path: Path) -> bool:
        """Remove a file if it is there; whether it was.

        Raises:
            ServiceError: it cannot be removed.
        """
        if not path.is_symlink() and not path.exists():
            return False
        self._say(f"remove {path}")
        if not self.dry:
            durable.remove(path)
        return True

    def remove_folder(self, folder: Path) -> None:
        """Remove a folder if it is empty; say so if it is not."""
        if not folder.is_dir():
            return
        left = sorted(path.name for path in folder.iterdir())
        if left and not self.dry:
            self.notify(f"keep {folder}: {', '.join(left)} is not ours")
        elif not left:
            self._say(f"remove {folder}")
            if not self.dry:
                folder.rmdir()

    def do(self, what: str, action: Callable[[], object]) -> None:
        """Do something that is told as `what`."""
        self._say(what)
        if not self.dry:
            action()

    def run(self, *command: str | Path) -> None:
        """Run a command, given as its words.

        Raises:
            ServiceError: it is not there, fails or takes too long.
        """
        words = [str(word) for word in command]
        self._say(f"run {shlex.join(words)}")
        if self.dry:
            return
        _run(words)

    def _say(self, text: str) -> None:
        self.changed = True
        self.notify(text)


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _run(words: list[str]) -> None:
    try:
        done = child.run(words, timeout=_TIMEOUT)
    except FileNotFoundError as error:
        raise ServiceError(f"there is no {words[0]} here") from error
    except subprocess.TimeoutExpired as error:
        raise ServiceError(f"`{shlex.join(words)}` did not end within {_TIMEOUT:g} s") from error
    if done.returncode:
        raise ServiceError(f"`{shlex.join(words)}` failed: {last_line(done.stderr or done.stdout)}")
