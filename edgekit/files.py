"""Files that are either whole or not there."""

import os
import tempfile
from pathlib import Path

from edgekit.errors import OutputError


def check_writable(path: Path) -> None:
    """Raise `OutputError` when `path` could not be written; long work asks before it starts."""
    folder = path.parent
    if path.is_dir():
        raise OutputError(f"{path} is a folder; name a file to write")
    if not folder.is_dir():
        raise OutputError(f"the folder {folder} does not exist; create it or choose another output")
    if not os.access(folder, os.W_OK):
        raise OutputError(f"the folder {folder} cannot be written; choose another output")


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` under a temporary name in the same folder, then rename it to `path`.

    Raises:
        OutputError: the folder does not exist or cannot be written, or the disk is full.
    """
    check_writable(path)
    temporary: str | None = None
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        # mkstemp makes private files; a model or a report is meant to be read by a service user.
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)
        Path(temporary).replace(path)
        temporary = None
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
