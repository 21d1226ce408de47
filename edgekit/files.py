"""Files that are either whole or not there, whatever happens to the power."""

import contextlib
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from edgekit.errors import OutputError


def check_writable(path: Path) -> None:
    """Raise `OutputError` when `path` could not be written; long work asks before it starts."""
    folder = path.parent
    if path.is_dir():
        raise OutputError(f"{path} is a folder; name a file to write")
    if path.exists() and not path.is_file():
        # It would be replaced: root would lose /dev/null.
        raise OutputError(f"{path} is a device or a pipe; name a file to write")
    if not folder.is_dir():
        raise OutputError(f"the folder {folder} does not exist; create it or choose another output")
    if not os.access(folder, os.W_OK):
        raise OutputError(f"the folder {folder} cannot be written; choose another output")


def check_outputs(outputs: Iterable[Path | None], inputs: Iterable[Path | None]) -> None:
    """Refuse what could not be written, or would take the place of what is read.

    Args:
        outputs: files to write; None for one that is not wanted.
        inputs: files that are read; None, and names of what is not there, do no harm.

    Raises:
        OutputError: two outputs are one file, an output is an input under whatever name, or see
            `check_writable`.
    """
    read = [path for path in inputs if path is not None and path.exists()]
    written: list[Path] = []
    for output in outputs:
        if output is None:
            continue
        check_writable(output)
        if any(output.exists() and output.samefile(path) for path in read):
            raise OutputError(f"{output} is read here, and would be lost; choose another output")
        place = output.parent.resolve() / output.name
        if place in written:
            raise OutputError(f"{output} is to be written twice; choose another for one of them")
        written.append(place)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder outlast a power cut.

    Raises:
        OSError: the system refuses.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: Path, content: bytes, temporary: Path, mode: int | None = None) -> None:
    """Write `content` to `temporary` beside `path`, then rename it; whole, or not at all.

    Args:
        path: the file to write or replace.
        content: its bytes.
        temporary: in the same folder; overwritten if it exists, gone afterwards.
        mode: permissions; those that the umask leaves of 0666 by default.

    Raises:
        OSError: it cannot be written; `path` is as it was.
    """
    try:
        with temporary.open("wb") as stream:
            stream.write(content)
            if mode is not None:
                os.fchmod(stream.fileno(), mode)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file that a user asked for, whole or not at all.

    Raises:
        OutputError: the folder does not exist or cannot be written, or the disk is full.
    """
    check_writable(path)
    # Of its own name, because two may write the same file at once.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        replace_file(path, content, temporary)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
