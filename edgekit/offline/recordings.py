"""Several recordings that are named together."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from edgekit.errors import DatasetError, SourceError
from edgekit.model.labels import Notify
from edgekit.offline.comparison import recordings_in
from edgekit.offline.recording import Recording
from edgekit.offline.replay import content_sha256
from edgekit.offline.tuning.checks import check_distinct
from edgekit.text import encodable, listed
from edgekit.vision.view import ViewSettings

_NAMED = 3


class Place(NamedTuple):
    """Where a recording is, for a process that reads it.

    Attributes:
        name: as it was named, for people.
        path: absolute.
        view: as for `Recording`.
        sha256: `content_sha256` of what is there, where the process is on another machine.
    """

    name: str
    path: Path
    view: ViewSettings
    sha256: str | None = None

    @classmethod
    def of(cls, recording: Recording, view: ViewSettings, elsewhere: bool) -> "Place":
        """That of a recording, which is read on another machine or here."""
        path = recording.path.absolute()
        sha256 = content_sha256(path) if elsewhere else None
        return cls(encodable(str(recording.path)), path, view, sha256)

    def open(self) -> Recording:
        """The recording.

        Raises:
            SourceError, ImageError: as `Recording`; or there is another one.
        """
        if self.sha256 is not None:
            if not self.path.exists():
                raise SourceError(
                    f"the worker has no {self.path}; recordings have to lie where all workers find "
                    "them under the same name"
                )
            if content_sha256(self.path) != self.sha256:
                raise SourceError(
                    f"the worker has another {self.path} than this machine; recordings have to "
                    "lie where all workers find them"
                )
        return Recording(self.path, self.view)


def several(paths: Sequence[Path], view: ViewSettings, notify: Notify) -> list[Recording] | None:
    """The recordings of several paths, or the clips of one folder; None for a single recording.

    Args:
        paths: recordings, and folders of clips.
        view: as for `Recording`.
        notify: called with a line about what is left out of a folder of clips.

    Raises:
        SourceError, ImageError: one is not there, or no recording.
        DatasetError: one is named twice.
    """
    found: list[Recording] = []
    for path in paths:
        recordings, left_out = recordings_in(path, view)
        if left_out:
            notify(f"{path}: {left_out}")
        found += recordings
    if len(paths) == 1 and found[0].path == paths[0]:
        return None
    check_distinct([recording.path for recording in found])
    return found


def beside(
    folder: Path, recordings: Sequence[Recording], find: Callable[[str], Path]
) -> list[Path]:
    """The file of each recording in a folder, which has its name.

    Args:
        folder: of the files, for messages.
        recordings: each is called otherwise.
        find: the file for the name of a recording, without its ending.

    Raises:
        DatasetError: it is no folder, or two recordings have the same name there.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder} is no folder; for several recordings it has to be one")
    stems = [recording.path.resolve().stem for recording in recordings]
    twice = sorted({stem for stem in stems if stems.count(stem) > 1})
    if twice:
        raise DatasetError(
            f"several recordings are called {listed(twice, _NAMED)}, and would share a file in "
            f"{folder}; rename them"
        )
    return [find(stem) for stem in stems]
