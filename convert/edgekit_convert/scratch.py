"""Temporary folders that are gone in the end."""

import atexit
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """An empty folder for the time of the body."""
    # Named before it exists, unlike tempfile's: Ctrl-C may arrive while it is made, or removed.
    folder = Path(tempfile.gettempdir()) / f"edgekit-{secrets.token_hex(8)}"
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    try:
        folder.mkdir(mode=0o700)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
