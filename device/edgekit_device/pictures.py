"""The picture of a change: the frame as JPEG, with what the model looked at marked in it."""

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekit.inference.looking import Look
from edgekit.inference.pipeline import Result
from edgekit.vision.encode import encode_jpeg, fit
from edgekit.vision.pictures import decode_image
from edgekit.vision.view import Region
from edgekit_device.config.settings import PictureSize

# Pixels in width and height that a small picture has at most.
_SMALL = 320
_QUALITY = 85
# For what the model did not see, in percent of its light.
_DIMMED = 0.5


class EventPicture:
    """The picture of one change, encoded once for all who ask, when the first does.

    Sinks ask in their method `event`, in the thread that infers, and keep bytes and not this,
    which holds the frame.

    Args:
        result: what was answered.
        published: the size in which it may leave the device; `off` for not at all.
    """

    def __init__(self, result: Result, published: PictureSize) -> None:
        self._result = result
        self._published = published
        self._jpegs: dict[tuple[PictureSize, bool], bytes] = {}

    @property
    def sees(self) -> Region:
        """What the model saw, in fractions of the frame."""
        return Look.at(self._result.frame, self._result.model.geometry).sees

    @property
    def published(self) -> bytes | None:
        """JPEG with what the model looked at marked; None where pictures are not to go out."""
        return None if self._published == "off" else self.jpeg(self._published, marked=True)

    def jpeg(self, size: PictureSize, *, marked: bool) -> bytes:
        """The frame as JPEG, `small` or `full`.

        Args:
            size: `small` for at most 320 pixels in width and height.
            marked: darken what the model did not see.
        """
        if (size, marked) not in self._jpegs:
            self._jpegs[size, marked] = self._encode(size, marked)
        return self._jpegs[size, marked]

    def _encode(self, size: PictureSize, marked: bool) -> bytes:
        pixels = self._result.frame.pixels
        if size == "small":
            pixels = fit(pixels, _SMALL, _SMALL)
        return encode_jpeg(mark(pixels, self.sees) if marked else pixels, _QUALITY)


def mark(pixels: NDArray[np.uint8], sees: Region) -> NDArray[np.uint8]:
    """A picture (H, W, 3) uint8 with all darkened but what the model saw, in fractions of it."""
    height, width = pixels.shape[:2]
    left, right = (round(width * at) for at in (sees.x, sees.x + sees.width))
    top, bottom = (round(height * at) for at in (sees.y, sees.y + sees.height))
    marked = np.asarray(cv2.convertScaleAbs(pixels, alpha=_DIMMED), dtype=np.uint8)
    marked[top:bottom, left:right] = pixels[top:bottom, left:right]
    return marked


def marked_jpeg(jpeg: bytes, sees: Region) -> bytes:
    """A picture without marks, as JPEG, with them.

    Raises:
        ImageError: it is damaged.
    """
    return encode_jpeg(mark(decode_image(jpeg, "the picture"), sees), _QUALITY)
