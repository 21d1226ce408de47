"""What a source of frames is."""

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from edgekit.preprocess import Geometry


class Prepared(NamedTuple):
    """A model's input that was made of a frame ahead of time.

    Attributes:
        geometry: for which.
        tensor: (1, height, width, 3) uint8.
    """

    geometry: Geometry
    tensor: NDArray[np.uint8]


class Frame(NamedTuple):
    """A frame and when it was seen.

    Attributes:
        number: in its source, from 0; those of dropped frames are skipped.
        pixels: (H, W, 3) uint8, RGB.
        time: seconds, never less than that of the frame before: in a recording from its start, of
            a live source on the monotonic clock.
        captured: when it was read, on the monotonic clock, in seconds.
        prepared: the model's input, where it was made ahead; None otherwise.
    """

    number: int
    pixels: NDArray[np.uint8]
    time: float
    captured: float
    prepared: Prepared | None = None


class EndOfSource(Exception):
    """A recording has no more frames; not an error."""


class Source(Protocol):
    """An open source of frames.

    Attributes:
        name: in every output.
        live: whether frames come by themselves; of a live source only the newest is kept, a
            recording drops nothing.
        dropped: frames that came and were never handed out.
        remark: what is other than was asked for, in words; empty for nothing. A camera knows it
            once it has given a frame.
    """

    name: str
    live: bool
    dropped: int
    remark: str

    def read(self, timeout: float) -> Frame | None:
        """The next frame; None when there is none within `timeout` seconds.

        Raises:
            EndOfSource: there will be no more.
            SourceError, ImageError: the source broke, or a camera has stalled.
        """

    def expect(self, geometry: Geometry) -> None:
        """Frames will be prepared for this; a recording does that ahead, on another core."""

    def close(self) -> None:
        """Let go of it; waits half a second at most, and may be called twice."""
