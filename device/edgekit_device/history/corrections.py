"""Pictures that somebody said show something else, in a folder for each label.

The folders are the only record: whoever moves or removes a picture there has corrected that.
"""

import contextlib
import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from edgekit.errors import LabelsError, OutputError
from edgekit.files import write_atomically
from edgekit.model.labels import check_names
from edgekit_device.history.layout import CORRECTIONS

# Bytes of a name in usual file systems.
_LONGEST = 255


def folder_name(label: str, labels: Sequence[str]) -> str:
    """A label as the name of a folder, as training and evaluation take it.

    Args:
        label: one of the model's, or a new one.
        labels: the model's; empty where they are not known.

    Raises:
        LabelsError: it can be no folder's name, or is one of the model's in another case.
    """
    name = unicodedata.normalize("NFC", label).strip()
    try:
        check_names([name])
    except ValueError:
        raise LabelsError("the label is empty, too long, or has control characters") from None
    if name in labels:
        pass
    elif same := [one for one in labels if one.casefold() == name.casefold()]:
        raise LabelsError(f"the model calls that {same[0]}; send it in this spelling")
    if "/" in name or "\\" in name or name.startswith(".") or len(name.encode()) > _LONGEST:
        raise LabelsError(
            f"{name!r} can be no folder's name: it begins with a dot, holds a slash or is too "
            "long; send another label"
        )
    return name


class Corrections:
    """The corrected pictures of a history.

    Args:
        folder: of the history.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / CORRECTIONS

    def by_id(self) -> dict[str, str]:
        """The right label of each event that was corrected, by its id."""
        return {file.stem: file.parent.name for file in self._files()}

    def size(self) -> tuple[int, int]:
        """How many there are, and their bytes."""
        files = self._files()
        total = 0
        for file in files:
            with contextlib.suppress(OSError):
                total += file.stat().st_size
        return len(files), total

    def put(self, event_id: str, label: str, jpeg: bytes) -> Path:
        """Keep a picture under its right label, and under no other.

        Args:
            event_id: of an event that is kept.
            label: as `folder_name` gives it.
            jpeg: the picture.

        Raises:
            OutputError: it cannot be written.
        """
        target = self._folder / label / f"{event_id}.jpg"
        try:
            # Not one of a link that leads elsewhere.
            for folder in (self._folder, target.parent):
                folder.mkdir(0o700, exist_ok=True)
                if folder.is_symlink():
                    raise OutputError(f"{folder} is a link; remove it")
            write_atomically(target, jpeg, 0o600)
            self._remove(event_id, but=target)
        except OSError as error:
            raise OutputError(f"cannot keep {target}: {error.strerror or error}") from error
        return target

    def take_back(self, event_id: str) -> bool:
        """Remove the picture of an event; whether there was one.

        Raises:
            OutputError: it cannot be removed.
        """
        try:
            return self._remove(event_id)
        except OSError as error:
            raise OutputError(f"cannot remove it: {error.strerror or error}") from error

    def _remove(self, event_id: str, but: Path | None = None) -> bool:
        found = [file for file in self._files() if file.stem == event_id and file != but]
        for file in found:
            file.unlink(missing_ok=True)
            # An empty folder would be a class without pictures.
            with contextlib.suppress(OSError):
                file.parent.rmdir()
        return bool(found)

    def _files(self) -> list[Path]:
        """Corrected pictures; a folder that is not there or not to be read has none."""
        files: list[Path] = []
        with contextlib.suppress(OSError):
            for folder in os.scandir(self._folder):
                if folder.is_dir(follow_symlinks=False):
                    files += (
                        Path(file)
                        for file in os.scandir(folder)
                        if file.name.endswith(".jpg") and not file.name.startswith(".")
                    )
        return files
