"""A recording of any kind, frame by frame: one of our clips, a video, a folder of pictures."""

import contextlib
import queue
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import click
import cv2
import numpy as np
from numpy.typing import NDArray

from edgekit.errors import SourceError
from edgekit.offline.clip import Clip, ClipHeader, FrameRecord, is_clip, iter_clip
from edgekit.vision.frames import IMAGE_SUFFIXES, image_files, iter_timed

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar

_T = TypeVar("_T")
# Frames decoded before they are wanted: they keep a second core at work, and take few megabytes.
_AHEAD = 8
_POLL = 0.1  # seconds
# Longest and shortest time between frames of a video whose rate still counts as constant.
_STEADY = 1.5


class RecordedFrame(NamedTuple):
    """A frame of a recording.

    Attributes:
        position: its place in the recording, from 0.
        number: in the source it was recorded from; of other recordings, its place.
        time: seconds, never less than that of the frame before.
        pixels: (H, W, 3) uint8, RGB.
        stretch: counts on when frames before this one were left out of a clip.
        record: what a clip says about it.
        done: how far into the recording it is, up to `Recording.length`.
    """

    position: int
    number: int
    time: float
    pixels: NDArray[np.uint8]
    stretch: int
    record: FrameRecord | None
    done: int


class Recording:
    """A recording that can be read again and again; its frames are never in memory all at once.

    Args:
        path: a clip, finished or cut off; a video that OpenCV reads; an image folder or a picture.

    Attributes:
        name: of the file or folder.
        header: what a clip says about itself; None for other recordings.
        length: of the recording in the unit of `RecordedFrame.done`; 0 where it is not known.
        notes: what is to be known about its frames, a line each; complete once they were read.

    Raises:
        SourceError, ImageError: there is nothing, or it is not a recording.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.resolve().name
        self.notes: list[str] = []
        self._clip: Clip | None = None
        if not path.exists():
            raise SourceError(f"no recording at {path}; name a clip, a video or an image folder")
        if is_clip(path):
            self._clip = Clip(path)
            self.length = self._clip.size
        elif path.is_dir():
            self.length = len(image_files(path))
        elif path.suffix.lower() in IMAGE_SUFFIXES:
            self.length = 1
        else:
            self.length = _frame_count(path)

    @property
    def header(self) -> ClipHeader | None:
        """What a clip says about itself; None for other recordings."""
        return self._clip.header if self._clip else None

    def __iter__(self) -> Iterator[RecordedFrame]:
        """The frames, in order.

        Raises:
            SourceError, ImageError: a frame cannot be read, or there is none.
        """
        self.notes.clear()
        shape, step = None, _Step()
        for frame in self._frames():
            if shape not in (None, frame.pixels.shape[:2]):
                self._note_once(
                    "pictures of several sizes",
                    f"frame {frame.position} is of another size than the one before; each is "
                    "prepared from its own",
                )
            shape = frame.pixels.shape[:2]
            step.tick(frame.time)
            yield frame
        if self._clip is not None and self._clip.cut:
            self.notes.append(f"{self._clip.cut}; what lies before is used")
        if self._clip is None and not self.path.is_dir() and step.varies:
            self.notes.append(
                f"the frame rate varies: {1000 * step.least:.0f} to {1000 * step.most:.0f} ms "
                "between frames; times are the file's own"
            )

    def _note_once(self, what: str, text: str) -> None:
        if not any(note.startswith(what) for note in self.notes):
            self.notes.append(f"{what}: {text}")

    def _frames(self) -> Iterator[RecordedFrame]:
        if self._clip is None:
            for position, (time, pixels) in enumerate(iter_timed(self.path)):
                yield RecordedFrame(position, position, time, pixels, 0, None, position + 1)
            return
        for position, (record, pixels) in enumerate(self._clip):
            yield RecordedFrame(
                position,
                record.number,
                record.time,
                pixels,
                record.stretch,
                record,
                self._clip.position,
            )


class _Step:
    """Shortest and longest time between frames."""

    def __init__(self) -> None:
        self.least, self.most = float("inf"), 0.0
        self._time: float | None = None

    def tick(self, time: float) -> None:
        if self._time is not None:
            self.least = min(self.least, time - self._time)
            self.most = max(self.most, time - self._time)
        self._time = time

    @property
    def varies(self) -> bool:
        return self.most > _STEADY * self.least


def iter_recording(path: Path) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """Time in seconds and pixels (H, W, 3) uint8 RGB of every frame of a recording.

    Raises:
        SourceError, ImageError: there is none, or a frame cannot be read.
    """
    return iter_clip(path) if is_clip(path) else iter_timed(path)


def _frame_count(path: Path) -> int:
    """Number of frames that a video states, 0 where it does not."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    try:
        count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        return int(count) if 0 < count < 1e9 else 0
    finally:
        capture.release()


def read_ahead(items: Iterator[_T], depth: int = _AHEAD) -> Generator[_T, None, None]:
    """Take from an iterator in a thread of its own, before it is wanted; same items, same order."""
    ready: queue.Queue[tuple[str, _T | Exception | None]] = queue.Queue(depth)
    closing = threading.Event()

    def put(kind: str, item: _T | Exception | None) -> None:
        while not closing.is_set():
            with contextlib.suppress(queue.Full):
                ready.put((kind, item), timeout=_POLL)
                return

    def take() -> None:
        try:
            for item in items:
                put("item", item)
                if closing.is_set():
                    return
            put("end", None)
        except Exception as error:
            put("error", error)

    # A daemon thread: a file on a network share may block for ever.
    thread = threading.Thread(target=take, name="decode", daemon=True)
    thread.start()
    try:
        while True:
            kind, item = ready.get()
            if kind == "end":
                return
            if kind == "error":
                assert isinstance(item, Exception)
                raise item
            yield item  # type: ignore[misc]
    finally:
        closing.set()
        thread.join(1.0)


def progress(
    recording: Recording, label: str, each: Callable[[RecordedFrame], _T], hidden: bool = False
) -> Iterator[_T]:
    """What becomes of a recording's frames, with a bar on stderr and the time left.

    Args:
        recording: read from its start.
        label: stands before the bar.
        each: called with every frame, ahead and in another thread.
        hidden: show no bar and no notes.
    """
    ahead = read_ahead((frame.done, each(frame)) for frame in recording)
    bar: ProgressBar[int] = click.progressbar(
        length=recording.length,
        label=label,
        file=sys.stderr,
        hidden=hidden,
        update_min_steps=max(1, recording.length // 500),
    )
    with contextlib.closing(ahead), bar:
        for done, item in ahead:
            yield item
            bar.update(done - bar.pos)
    if not hidden:
        for note in recording.notes:
            click.echo(f"edgekit: {recording.name}: {note}", err=True)
