"""Changes to files that survive a power cut: each has happened wholly, or not at all."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from edgekit.errors import ServiceError
from edgekit.files import replace_file, sync_folder


def _temporary(path: Path) -> Path:
    # Always the same name: what a power cut left is overwritten by the next try.
    return path.with_name(f".{path.name}.new")


@contextlib.contextmanager
def _explained(what: str, path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ServiceError(f"cannot {what} {path}: {error.strerror or error}") from error


def make_folder(folder: Path) -> None:
    """Create a folder, and those above it, readable for all.

    Raises:
        ServiceError: that is not possible.
    """
    with _explained("create", folder):
        if folder.is_dir():
            return
        make_folder(folder.parent)
        folder.mkdir()
        folder.chmod(0o755)
        sync_folder(folder.parent)


def write(path: Path, content: bytes, mode: int = 0o644, group: int | None = None) -> None:
    """Write a file, in a folder that is created where it is missing.

    Args:
        path: the file.
        content: its bytes.
        mode: permissions; all may read it by default.
        group: number of the group that it belongs to; root's by default.

    Raises:
        ServiceError: it cannot be written; the file before is still there.
    """
    make_folder(path.parent)
    with _explained("write", path):
        replace_file(path, content, _temporary(path), mode, group)


def restrict(path: Path, mode: int, group: int | None) -> None:
    """Give a file that is there other permissions, and another group.

    Raises:
        ServiceError: that is not possible, or it is a link.
    """
    with _explained("change the permissions of", path):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if group is not None:
                os.fchown(descriptor, -1, group)
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def link(path: Path, target: str) -> None:
    """Let a symbolic link point to `target` from one moment to the next.

    Raises:
        ServiceError: that is not possible; the link is as it was.
    """
    temporary = _temporary(path)
    with _explained("switch", path):
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(target)
        temporary.replace(path)
        sync_folder(path.parent)


def remove(path: Path) -> None:
    """Remove a file if it is there.

    Raises:
        ServiceError: that is not possible.
    """
    with _explained("remove", path):
        if path.is_symlink() or path.exists():
            path.unlink()
            sync_folder(path.parent)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Hold a lock that ends with this process; gives False where another process holds it.

    Raises:
        ServiceError: the lock file cannot be made.
    """
    with _explained("lock", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)
