"""Video files, frame by frame in RGB, with the times that the file gives them.

PyAV reads them where it is installed. OpenCV reads the same pixels from an ordinary video, and says
less about one that is not: see `edgekit.vision.videos_opencv`.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import SourceError
from edgekit.vision import optional
from edgekit.vision.notes import Notes
from edgekit.vision.truncation import is_cut_off
from edgekit.vision.video_file import DamageError, VideoFile
from edgekit.vision.videos_opencv import OpenCVVideo
from edgekit.vision.videos_pyav import PyAVVideo

# Seconds; a time stamp beyond (thirty years) is none.
_MAXIMUM_TIME = 1e9


class _Clock:
    """Times of a video's frames, from its time stamps where those increase.

    Args:
        fps: frames per second that the container states, for frames without a usable stamp.

    Attributes:
        step: seconds that a frame lasts by that.
    """

    def __init__(self, fps: float) -> None:
        self.step = 1 / fps if 0 < fps < 1000 else 1 / 30
        self._now: float | None = None
        self._stamp: float | None = None

    def tick(self, stamp: float | None) -> float:
        """The time of the next frame in seconds, given its time stamp in seconds; first 0."""
        passed = 0.0
        if stamp is not None and abs(stamp) < _MAXIMUM_TIME:
            passed = 0.0 if self._stamp is None else stamp - self._stamp
            self._stamp = stamp
        if self._now is None:
            self._now = 0.0
        else:
            self._now += passed if passed > 0 else self.step
        return self._now


def read_video(path: Path, notes: Notes | None = None) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """Yield every frame of a video with its time; memory use does not grow.

    The time is in seconds from the start and always increases: the file's own time stamps where
    they do. A frame is (H, W, 3) uint8, RGB, upright and with square pixels.

    Args:
        path: the file.
        notes: told what was left out, guessed or not used; complete once all frames were read.

    Raises:
        SourceError: the file is missing, does not open as a video, is truncated, has no frame, or
            is damaged; the frames before the damage are yielded first.
    """
    notes = notes or Notes()
    with contextlib.closing(_open(path, notes)) as video:
        if is_cut_off(path):
            raise SourceError(f"the video {path} is truncated; copy it again")
        clock, seconds = _Clock(video.fps), None
        try:
            for stamp, pixels in video.frames():
                seconds = clock.tick(stamp)
                yield seconds, pixels
                # Else it would stay in memory, and in the processor's cache, beside the next one.
                del pixels
        except DamageError as error:
            raise SourceError(
                f"the video {path} is damaged after {seconds or 0:.1f} s; copy or record it again"
            ) from error
        if seconds is None:
            raise SourceError(f"the video {path} has no frames")
        # A damaged Matroska file just ends.
        if seconds + 2.5 * clock.step < video.duration:
            notes.tell(
                f"its last frame is at {seconds:.1f} s of the {video.duration:.1f} s that it states"
            )


def frame_count(path: Path) -> int:
    """Number of frames that a video states, 0 where it does not; `read_video` says why."""
    try:
        with contextlib.closing(_open(path, Notes())) as video:
            return video.length
    except SourceError:
        return 0


def _open(path: Path, notes: Notes) -> VideoFile:
    if not path.is_file():
        raise SourceError(f"no video file at {path}")
    return (OpenCVVideo if optional.load("av") is None else PyAVVideo)(path, notes)
