"""A frame, live or recorded."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekit.model.geometry import Geometry


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
