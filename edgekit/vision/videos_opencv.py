"""Video files through OpenCV alone, as on a device.

It gives the same pixels of an ordinary video as PyAV does. It does not say how many tracks there
are, nor by which matrix colours are stored, nor whether its decoder made up for damage.
"""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekit.errors import SourceError
from edgekit.vision.notes import Notes
from edgekit.vision.optional import REMEDY
from edgekit.vision.orientation import square, upright
from edgekit.vision.video_file import DamageError, address, checked_aspect, not_a_video

# EXIF's number by the degrees that a picture is to be turned clockwise.
_ORIENTATIONS = {0: 1, 90: 6, 180: 3, 270: 8}
_ANSI = cv2.VideoWriter.fourcc(*"ansi")
_LIMITS = (
    "read with OpenCV alone, which takes colours for BT.601 and the first track, and may miss "
    f"mirroring and damage; to be sure: {REMEDY}"
)


class OpenCVVideo:
    """A `VideoFile`.

    Args:
        path: the file.
        notes: told what is guessed.

    Raises:
        SourceError: it is no video.
    """

    def __init__(self, path: Path, notes: Notes) -> None:
        # FFmpeg alone: other backends would try after it, and fill stderr with what they think.
        self._capture = cv2.VideoCapture(address(path), cv2.CAP_FFMPEG)
        # Of text FFmpeg draws a picture.
        if not self._capture.isOpened() or self._capture.get(cv2.CAP_PROP_FOURCC) == _ANSI:
            raise not_a_video(path)
        # Releases of OpenCV differ in whether they turn frames by themselves.
        self._capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)
        self.fps = self._capture.get(cv2.CAP_PROP_FPS)
        count = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.length = int(count) if 0 < count < 1e9 else 0
        # OpenCV multiplies what the file says of its length with a rate that it may guess.
        self.duration = 0.0
        width, height = (
            self._capture.get(one) for one in (cv2.CAP_PROP_SAR_NUM, cv2.CAP_PROP_SAR_DEN)
        )
        self._aspect = checked_aspect(path, width / height if height else 0)
        degrees = round(self._capture.get(cv2.CAP_PROP_ORIENTATION_META)) % 360
        if degrees not in _ORIENTATIONS:
            raise SourceError(f"the video {path} is turned by no right angle: ffmpeg -i IN OUT")
        self._orientation = _ORIENTATIONS[degrees]
        notes.tell(_LIMITS)

    def frames(self) -> Iterator[tuple[float | None, NDArray[np.uint8]]]:
        """See `VideoFile`."""
        read, first = True, True
        while self._capture.grab():
            read, frame = self._capture.retrieve()
            if not read:
                break
            rgb = np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), dtype=np.uint8)
            # OpenCV takes a decoding time stamp for a presentation time stamp of 0: not usable.
            stamp = 0.0 if first else self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            first = False
            yield stamp, upright(square(rgb, self._aspect), self._orientation)
        # OpenCV stops at a packet that cannot be decoded as it does at the end of the file.
        if not read or self._capture.grab():
            raise DamageError

    def close(self) -> None:
        """See `VideoFile`."""
        self._capture.release()
