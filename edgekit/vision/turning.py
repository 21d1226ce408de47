"""A frame as everybody sees it: rotated, mirrored and masked as the view says.

Done once for each frame, by who reads it. What a file says of how it was held (EXIF, the rotation
of a phone's video) comes before.
"""

import math
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekit.vision.view import Point, Region, ViewSettings

# What is hidden becomes one grey, the middle of the range. It is near the mean of photographs
# (ImageNet's is 124, 116, 104), which networks subtract from what they are given, so that they find
# next to nothing there; black would look like a covered lens, and bright pixels like a lamp.
GREY = 128

_Turn = Callable[[NDArray[np.uint8]], object]
# By rotation, and whether it is mirrored then. Each gives a new array, in one pass where it can.
_TURNS: dict[tuple[int, bool], _Turn] = {
    (0, True): lambda frame: cv2.flip(frame, 1),
    (90, False): lambda frame: cv2.rotate(frame, cv2.ROTATE_90_CLOCKWISE),
    (90, True): lambda frame: cv2.transpose(frame),
    (180, False): lambda frame: cv2.rotate(frame, cv2.ROTATE_180),
    (180, True): lambda frame: cv2.flip(frame, 0),
    (270, False): lambda frame: cv2.rotate(frame, cv2.ROTATE_90_COUNTERCLOCKWISE),
    (270, True): lambda frame: cv2.flip(cv2.transpose(frame), -1),
}


class View:
    """Turns frames as settings say.

    Args:
        settings: how.

    Attributes:
        settings: they.
        region: where the model looks in a frame that was turned; None for the whole of it.
    """

    def __init__(self, settings: ViewSettings | None = None) -> None:
        self.settings = settings or ViewSettings()
        self.region: Region | None = self.settings.looks_at
        self._turn = _TURNS.get((self.settings.rotate, self.settings.mirror))
        self._rectangles = [Region(*mask) for mask in self.settings.masks if len(mask) == 4]
        corners = zip(self.settings.hidden, self.settings.masks, strict=True)
        self._polygons = [found for found, mask in corners if len(mask) != 4]

    def turn(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Rotate, mirror and mask a frame.

        Args:
            pixels: (H, W, 3) uint8; it is left as it is, for a camera may own it.

        Returns:
            (H, W, 3) uint8, or (W, H, 3) where it lies on its side: `pixels` itself where nothing
            is set, else an array of its own.
        """
        turned = pixels if self._turn is None else np.asarray(self._turn(pixels), dtype=np.uint8)
        if not self.settings.masks:
            return turned
        return self.mask(turned.copy() if turned is pixels else turned)

    def mask(self, pixels: NDArray[np.uint8], value: int = GREY) -> NDArray[np.uint8]:
        """Fill what is hidden, in place; each pixel of which a part is hidden is.

        Args:
            pixels: (H, W, 3) or (H, W) uint8, turned.
            value: to fill with.

        Returns:
            `pixels`.
        """
        height, width = pixels.shape[:2]
        for x, y, wide, tall in self._rectangles:
            top, bottom = _outwards(y, y + tall, height)
            left, right = _outwards(x, x + wide, width)
            pixels[top:bottom, left:right] = value
        for corners in self._polygons:
            outline = [np.array([_pixel(corner, width, height) for corner in corners], np.int32)]
            cv2.fillPoly(pixels, outline, (value,) * 3)
            # The fill ends half a pixel beside the edge, on either side of it.
            cv2.polylines(pixels, outline, True, (value,) * 3, thickness=3)
        return pixels


def _outwards(start: float, end: float, length: int) -> tuple[int, int]:
    # Rounding of fractions like 0.1 * 30 must not take one pixel more.
    return math.floor(start * length + 1e-6), math.ceil(end * length - 1e-6)


def _pixel(corner: Point, width: int, height: int) -> tuple[int, int]:
    """The pixel in which a corner lies."""
    x, y = corner
    return min(width - 1, int(x * width)), min(height - 1, int(y * height))
