"""Video files, frame by frame in RGB, with the times that the file gives them."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekit.errors import SourceError
from edgekit.vision.truncation import is_cut_off

# Seconds; a time stamp beyond (thirty years) is none.
_MAXIMUM_TIME = 1e9


class _Clock:
    """Times of a video's frames, from its time stamps where those increase.

    Args:
        fps: frames per second that the container states, for frames without a usable stamp.
    """

    def __init__(self, fps: float) -> None:
        self._step = 1 / fps if 0 < fps < 1000 else 1 / 30
        self.now = -1.0
        self._stamp = 0.0

    def tick(self, stamp: float) -> float:
        """The time of the next frame in seconds, given its time stamp in seconds; first 0."""
        if self.now < 0:
            # OpenCV takes a decoding time stamp for a presentation time stamp of 0: not usable.
            self.now = 0.0
            return self.now
        passed = stamp - self._stamp if 0 <= stamp < _MAXIMUM_TIME else 0.0
        self._stamp = stamp
        self.now += passed if passed > 0 else self._step
        return self.now


def read_video(path: Path) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """Yield every frame of a video with its time; memory use does not grow.

    The time is in seconds from the start and always increases: the file's own time stamps where
    they do. A frame is (H, W, 3) uint8, RGB.

    The video keeps one resolution: after a change OpenCV 4.11 returns wrong pictures, and nothing
    tells (opencv/opencv#27116).

    Raises:
        SourceError: the file is missing, does not open as a video, is truncated, has no frame, or
            is damaged; the frames before the damage are yielded first.
    """
    if not path.is_file():
        raise SourceError(f"no video file at {path}")
    # FFmpeg alone: other backends would try after it, and fill stderr with what they think of it.
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    try:
        if not capture.isOpened():
            raise SourceError(f"{path} does not open as a video; is it complete, and a video?")
        if is_cut_off(path):
            raise SourceError(f"the video {path} is truncated; copy it again")
        clock = _Clock(capture.get(cv2.CAP_PROP_FPS))
        read = True
        while capture.grab():
            read, frame = capture.retrieve()
            if not read:
                break
            seconds = clock.tick(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
            yield seconds, np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), dtype=np.uint8)
        if clock.now < 0 and read:
            raise SourceError(f"the video {path} has no frames")
        # OpenCV stops at a packet that cannot be decoded as it does at the end of the file.
        if not read or capture.grab():
            raise SourceError(
                f"the video {path} is damaged after {max(0.0, clock.now):.1f} s; copy or record it "
                "again"
            )
    finally:
        capture.release()


def frame_count(path: Path) -> int:
    """Number of frames that a video states, 0 where it does not."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    try:
        count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        return int(count) if 0 < count < 1e9 else 0
    finally:
        capture.release()
