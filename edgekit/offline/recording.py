"""The one reader of a recording of any kind: one of our clips, a video, a folder of pictures."""

import contextlib
import functools
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import click
import msgspec
import numpy as np
from numpy.typing import NDArray

from edgekit.errors import SourceError
from edgekit.inference.frame import Frame
from edgekit.model.labels import Notify
from edgekit.offline.clip import Clip, ClipHeader, is_clip
from edgekit.settings import toml_value
from edgekit.text import encodable, printable
from edgekit.vision.folders import picture_folder
from edgekit.vision.notes import Notes
from edgekit.vision.pictures import is_image, read_image
from edgekit.vision.read_ahead import ReadAhead
from edgekit.vision.turning import View
from edgekit.vision.videos import frame_count, read_video
from edgekit.vision.view import ViewSettings

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar

_T = TypeVar("_T")
# Longest and shortest time between frames of a video whose rate still counts as constant.
_STEADY = 1.5
# What a device keeps its history in, beside corrected pictures, which are labelled ones.
_HISTORY = "history.sqlite"


class Frames(Protocol):
    """What can be read as a recording is: see `Recording`."""

    name: str

    @property
    def length(self) -> int: ...

    @property
    def notes(self) -> list[str]: ...

    def __iter__(self) -> Iterator[Frame]: ...


class Recording:
    """A recording that can be read again and again; its frames are never in memory all at once.

    Its times are in seconds from the start: those of a clip or a video are its own, and each
    picture of a folder lasts a second.

    Args:
        path: a clip, finished or cut off; a video; an image folder or a picture.
        view: how frames are turned and masked, and where in them the model looks. Those of a clip
            are turned and masked already: of this only the region counts, and without one the
            clip's own.

    Attributes:
        name: of the file or folder.
        header: what a clip says about itself; None for other recordings.

    Raises:
        SourceError, ImageError: there is nothing, or it is not a recording.
    """

    def __init__(self, path: Path, view: ViewSettings | None = None) -> None:
        self.path = path
        self.name = encodable(path.resolve().name)
        if not path.exists():
            raise SourceError(f"no recording at {path}; name a clip, a video or an image folder")
        if not (path.is_file() or path.is_dir()):
            raise SourceError(f"{path} is a device or a pipe; a recording is read more than once")
        if (path / _HISTORY).is_file():
            raise SourceError(
                f"{path} is a history, not a recording; make a clip of its pictures with: edgekit "
                f"record --source history:{path} --output CLIP"
            )
        self._clip = Clip(path) if is_clip(path) else None
        self.header: ClipHeader | None = self._clip.header if self._clip else None
        self._pictures: list[Path] = []
        left_out = ""
        if path.is_dir():
            folder = picture_folder(path)
            self._pictures, left_out = folder.files, folder.note
        elif self._clip is None and is_image(path):
            self._pictures = [path]
        self._left_out = left_out
        self.look(view or ViewSettings())
        self._notes = Notes(left_out)

    def look(self, view: ViewSettings) -> None:
        """Take another view for the frames that are read from now on.

        Raises:
            SourceError: its region is one of frames turned otherwise than those of this clip.
        """
        self._not_applied = ""
        if self.header is not None:
            self._not_applied = not_applied(view, self.header.view)
            view = self._of_clip(self.header.view, view)
        self._view = View(view)

    @property
    def view(self) -> ViewSettings:
        """How its frames are turned and masked, and where in them the model looks."""
        return self._view.settings

    @property
    def notes(self) -> list[str]:
        """What is to be known about its frames, a line each; complete once they were read."""
        return [*self._notes.lines, *filter(None, [self._not_applied])]

    @property
    def files(self) -> list[Path]:
        """What it is read from: its pictures, or the clip or video itself."""
        return self._pictures or [self.path]

    @functools.cached_property
    def length(self) -> int:
        """In the unit of `Frame.progress`; 0 where it is not known."""
        if self._clip is not None:
            return self._clip.size
        return len(self._pictures) or frame_count(self.path)

    def __iter__(self) -> Iterator[Frame]:
        """The frames, in order.

        Raises:
            SourceError, ImageError: a frame cannot be read, or there is none; those before it are
                yielded first.
        """
        self._notes = Notes(self._left_out)
        shape, resized, step = None, False, _Step()
        for untouched in self._clip or self._numbered():
            frame = self._seen(untouched)
            if shape not in (None, frame.pixels.shape[:2]) and not resized:
                resized = True
                self._notes.tell(
                    f"pictures of several sizes: frame {frame.position} is of another size than "
                    "the one before; each is prepared from its own"
                )
            shape = frame.pixels.shape[:2]
            step.tick(frame.time)
            yield frame
        if self._clip is not None and self._clip.cut:
            self._notes.tell(f"{self._clip.cut}; what lies before is used")
        if step.minimum < 0:
            self._notes.tell("its times go back; do not trust what is counted in seconds")
        if self._clip is None and not self._pictures and step.varies:
            self._notes.tell(
                f"the frame rate varies: {1000 * step.minimum:.0f} to {1000 * step.maximum:.0f} ms "
                "between frames; times are the file's own"
            )

    def _of_clip(self, recorded: ViewSettings, wanted: ViewSettings) -> ViewSettings:
        """What holds where a clip was recorded with a view, and another is wanted."""
        if not wanted.region or wanted.region == recorded.region:
            return recorded
        if not_applied(msgspec.structs.replace(wanted, masks=()), recorded):
            raise SourceError(
                f"the clip {self.path} was recorded with rotate {recorded.rotate} and mirror "
                f"{toml_value(recorded.mirror)}, and the region is of frames turned otherwise; "
                "choose one of its own frames, with --view-region, --view-rotate 0 and "
                "--no-view-mirror"
            )
        return msgspec.structs.replace(recorded, region=wanted.region)

    def _seen(self, frame: Frame) -> Frame:
        """A frame as everybody sees it, with the region of it that the model does."""
        view = self._view
        if self._clip is None and (turned := view.turn(frame.pixels)) is not frame.pixels:
            frame = frame._replace(pixels=turned)
        return frame._replace(region=view.region, view=view.settings)

    def _numbered(self) -> Iterator[Frame]:
        """The frames of a video or of pictures, whose number is their place."""
        for position, (seconds, pixels) in enumerate(self._timed()):
            yield Frame(
                position,
                pixels,
                seconds,
                captured=time.monotonic(),
                position=position,
                progress=position + 1,
            )

    def _timed(self) -> Iterator[tuple[float, NDArray[np.uint8]]]:
        if not self._pictures:
            return read_video(self.path, self._notes)
        return (
            (float(number), read_image(file, self._notes))
            for number, file in enumerate(self._pictures)
        )


def not_applied(wanted: ViewSettings, recorded: ViewSettings) -> str:
    """What is not done to a clip's frames, which are turned and masked already; empty for nothing.

    Args:
        wanted: as is set now; what is at its default is not.
        recorded: as the clip was.
    """
    plain = ViewSettings()
    others = [
        f"{name} {toml_value(now)}"
        for name in ("rotate", "mirror", "masks")
        if (now := getattr(wanted, name)) not in (getattr(plain, name), getattr(recorded, name))
    ]
    if not others:
        return ""
    return f"not recorded with {' or '.join(others)}, which is not applied to a clip"


class _Step:
    """Shortest and longest time between frames."""

    def __init__(self) -> None:
        self.minimum, self.maximum = float("inf"), 0.0
        self._time: float | None = None

    def tick(self, seconds: float) -> None:
        if self._time is not None:
            self.minimum = min(self.minimum, seconds - self._time)
            self.maximum = max(self.maximum, seconds - self._time)
        self._time = seconds

    @property
    def varies(self) -> bool:
        return self.maximum > _STEADY * self.minimum


def progress(
    recording: Frames,
    label: str,
    each: Callable[[Frame], _T],
    hidden: bool = False,
    notify: Notify | None = None,
) -> Iterator[_T]:
    """What becomes of a recording's frames, with a bar on stderr and the time left; then its notes.

    Args:
        recording: read from its start.
        label: stands before the bar.
        each: called with every frame, ahead and in another thread.
        hidden: show no bar.
        notify: called with each note; printed on stderr, with the recording's name, by default.
    """
    ahead = ReadAhead(
        ((frame, each(frame)) for frame in recording), lambda item: item[0].pixels.nbytes
    )
    bar: ProgressBar[int] = click.progressbar(
        length=recording.length,
        label=label,
        file=sys.stderr,
        hidden=hidden,
        update_min_steps=max(1, recording.length // 500),
    )
    with contextlib.closing(ahead), bar:
        for frame, item in ahead:
            yield item
            bar.update(frame.progress - bar.pos)
    for note in recording.notes:
        if notify is not None:
            notify(note)
            continue
        click.echo(printable(f"edgekit: {recording.name}: {note}"), err=True)
