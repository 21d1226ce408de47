"""The folder of a history: who may write there, and what is kept aside in it."""

import errno
import fcntl
import os
import time
from pathlib import Path

from edgekit.errors import OutputError, SettingsError
from edgekit.inference.events import timestamp
from edgekit_device.history.layout import FILE, bytes_of, check_header, files_of

_REMEDY = "give it to the account that edgekit runs as, or name another folder"


class Claim:
    """The right to write into a folder; one process has it at a time.

    Args:
        folder: made where it is not there.
        patience: seconds to wait for whoever is just letting go of it.

    Raises:
        SettingsError: another edgekit writes there, it is no folder, may not be written, or holds
            another program's file or one of a later edgekit.
    """

    def __init__(self, folder: Path, patience: float = 1.0) -> None:
        deadline = time.monotonic() + patience
        try:
            folder.mkdir(0o700, parents=True, exist_ok=True)
            check_header(folder / FILE)
            self._descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise SettingsError(_wrong(folder, error)) from error
        try:
            while not _locked(self._descriptor):
                if time.monotonic() > deadline:
                    raise SettingsError(
                        f"history.folder is {folder}, where another edgekit keeps its history; "
                        "end that one, or name another folder"
                    )
                time.sleep(0.02)
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Let another have it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1


def check_folder(folder: Path) -> str:
    """Where a history would be kept, in words; nothing is made or written.

    Raises:
        SettingsError: it could not be kept there.
    """
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents)
                    if path.exists())  # fmt: skip
    try:
        if not existing.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        check_header(folder / FILE)
    except OSError as error:
        raise SettingsError(_wrong(folder, error)) from error
    if not os.access(existing, os.W_OK | os.X_OK):
        raise SettingsError(f"history.folder is {folder}, which may not be written; {_REMEDY}")
    return f"{folder}, {bytes_of(*files_of(folder / FILE)) / 1e6:.1f} MB so far"


def _wrong(folder: Path, error: OSError) -> str:
    return f"history.folder is {folder}: {error.strerror or error}; {_REMEDY}"


def damaged_in(folder: Path) -> list[Path]:
    """Files that could not be read any more and were kept aside, oldest first."""
    return sorted(path for path in folder.glob(f"{FILE}.damaged-*"))


def set_aside(path: Path) -> Path:
    """Give a damaged database another name; that of its log ends alike.

    Raises:
        OutputError: it is still in the way.
    """
    ending = f"damaged-{timestamp().replace(':', '')}"
    try:
        for file in files_of(path):
            if file.exists():
                file.rename(path.with_name(f"{FILE}.{ending}{file.name.removeprefix(FILE)}"))
    except OSError as error:
        raise OutputError(f"{path} is damaged, and cannot be renamed: {error.strerror}") from error
    return path.with_name(f"{FILE}.{ending}")


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
