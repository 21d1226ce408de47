"""What a reader of video files gives, whichever library does the work."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import SourceError


class DamageError(Exception):
    """The next frames of a video cannot be decoded as they were recorded."""


class VideoFile(Protocol):
    """An open video.

    Attributes:
        fps: frames per second that it states; 0 where it does not.
        length: number of frames that it states; 0 where it does not.
        duration: how many seconds its frames last at least, as it states; 0 where it does not.
    """

    fps: float
    length: int
    duration: float

    def frames(self) -> Iterator[tuple[float | None, NDArray[np.uint8]]]:
        """Its frames in order, each with its time stamp in seconds; (H, W, 3) uint8, RGB, upright.

        Raises:
            DamageError: behind the last frame that is whole.
            SourceError: it cannot be read rightly.
        """

    def close(self) -> None:
        """Let go of it."""


def address(path: Path) -> str:
    """How FFmpeg is told of a file whose name looks like an option, a pattern or an address."""
    return f"file:{path.absolute()}"


def not_a_video(path: Path) -> SourceError:
    """The error for a file that does not open."""
    return SourceError(f"{path} does not open as a video; is it complete, and a video?")


# Pixels' width by height that a video may state; beyond, it is nonsense.
_MAXIMUM_ASPECT = 8.0
# What rounding made of square pixels is no reason to resize.
_SQUARE = 0.01


def checked_aspect(path: Path, aspect: float) -> float:
    """A pixel's width by its height, 1 where the video does not say.

    Raises:
        SourceError: it cannot be true.
    """
    if aspect <= 0 or abs(aspect - 1) < _SQUARE:
        return 1.0
    if not 1 / _MAXIMUM_ASPECT <= aspect <= _MAXIMUM_ASPECT:
        raise SourceError(
            f"the video {path} states pixels {aspect:g} times as wide as high; make them square: "
            "ffmpeg -i IN -vf setsar=1 OUT"
        )
    return aspect
