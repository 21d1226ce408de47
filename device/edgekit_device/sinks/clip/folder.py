"""The clips that somebody has asked the daemon for: so many, and so many bytes."""

import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from edgekit.errors import OutputError
from edgekit_device.folders import data_folder

CLIPS = 20
"""Clips that are kept; the oldest makes room for another."""
TOTAL = 2 << 30
"""Bytes of all clips together."""
LONGEST = 1 << 30
"""Bytes of one."""
_LEFT_FREE = 256 << 20  # bytes, for whatever else the disk is needed for
_LEAST = 16 << 20  # bytes without which a clip is not worth its while
_NAME = re.compile(r"\d{8}T\d{9}Z\.clip")
_PART = ".part"


class Clip(msgspec.Struct, frozen=True):
    """A clip that is whole.

    Attributes:
        name: in its folder.
        bytes: its size.
        recorded: when it began, RFC 3339 in UTC.
    """

    name: str
    bytes: int
    recorded: str


class ClipFolder:
    """The folder that clips lie in.

    Args:
        path: of it; made when it is first needed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def clips(self) -> list[Clip]:
        """Those that are whole, the newest first."""
        return [
            Clip(path.name, size, _recorded(path.name))
            for path, size in reversed(self._files())
            if path.suffix != _PART
        ]

    def find(self, name: str) -> Path | None:
        """The file of a clip; None where there is none of that name."""
        path = self._path / name
        return path if _NAME.fullmatch(name) and path.is_file() else None

    def make_room(self) -> tuple[int, list[str]]:
        """Make room for another clip; clips that were cut off go like others.

        Returns:
            The bytes that it may have, and the names of those that were removed for it.

        Raises:
            OutputError: the disk is nearly full, or the folder cannot be written.
        """
        try:
            self._path.mkdir(mode=0o700, exist_ok=True)
            files, removed = self._files(), []
            while files and (
                len(files) >= CLIPS or sum(size for _, size in files) + LONGEST > TOTAL
            ):
                path, _ = files.pop(0)
                path.unlink(missing_ok=True)
                removed.append(path.name)
            room = shutil.disk_usage(self._path).free - _LEFT_FREE
        except OSError as error:
            reason = error.strerror or error
            raise OutputError(f"cannot keep a clip in {self._path}: {reason}") from error
        if room < _LEAST:
            raise OutputError(
                f"the disk of {self._path} is nearly full: fetch clips and remove them there"
            )
        return min(LONGEST, room), removed

    def new(self) -> Path:
        """Where a clip that begins now is to lie."""
        now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")[:-3]
        return self._path / f"{now}Z.clip"

    def _files(self) -> list[tuple[Path, int]]:
        """Clips, also those that were cut off, with their sizes, the oldest first."""
        found = []
        try:
            for path in sorted(self._path.iterdir()):
                if _NAME.fullmatch(path.name.removesuffix(_PART)) and path.is_file():
                    found.append((path, path.stat().st_size))
        # Another thread may have removed one; without a folder there are none.
        except FileNotFoundError:
            return found
        return found


def clip_folder() -> ClipFolder | None:
    """Where this process keeps clips; None where systemd gives it no folder."""
    folder = data_folder()
    return None if folder is None else ClipFolder(folder / "clips")


def _recorded(name: str) -> str:
    moment = datetime.strptime(name[:18], "%Y%m%dT%H%M%S%f").replace(tzinfo=UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
