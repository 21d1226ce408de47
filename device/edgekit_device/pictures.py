"""The picture of a change: the frame as JPEG, with what the model looked at marked in it."""

import threading
from collections import OrderedDict
from collections.abc import Callable

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
# Of the light where the model did not see, what is left; and the line around what it saw, white
# and outside of it: on a dark picture the dark alone does not show.
_DIMMED = 0.5
_LINE_PER_SIDE = 1 / 240


class EventPicture:
    """The picture of one change, encoded once for all who ask, when the first does.

    Sinks ask in their method `event`, in the thread that infers, and keep bytes and not this,
    which holds the frame.

    Args:
        result: what was answered.
        published: the size in which it may leave the device; `off` for not at all.
        encoded: called after each encoding, with what went wrong; None where nothing did.
    """

    def __init__(
        self,
        result: Result,
        published: PictureSize,
        encoded: Callable[[Exception | None], None] = lambda error: None,
    ) -> None:
        self._result = result
        self._published = published
        self._encoded = encoded
        self._jpegs: dict[tuple[PictureSize, bool], bytes | None] = {}

    @property
    def sees(self) -> Region:
        """What the model saw, in fractions of the frame."""
        return Look.at(self._result.frame, self._result.model.geometry).sees

    @property
    def published(self) -> bytes | None:
        """JPEG with what the model looked at marked; None where no picture goes out."""
        return None if self._published == "off" else self.jpeg(self._published, marked=True)

    def jpeg(self, size: PictureSize, *, marked: bool) -> bytes | None:
        """The frame as JPEG, `small` or `full`; None where it cannot be encoded.

        Args:
            size: `small` for at most 320 pixels in width and height.
            marked: darken what the model did not see, with a line around what it saw.
        """
        key = size, marked
        if key not in self._jpegs:
            self._jpegs[key] = None
            try:
                self._jpegs[key] = self._encode(size, marked)
            # Any: a picture less is no reason to stop looking.
            except Exception as error:
                self._encoded(error)
            else:
                self._encoded(None)
        return self._jpegs[key]

    def _encode(self, size: PictureSize, marked: bool) -> bytes:
        pixels = self._result.frame.pixels
        if size == "small":
            pixels = fit(pixels, _SMALL, _SMALL)
        return encode_jpeg(_mark(pixels, self.sees) if marked else pixels, _QUALITY)


def _mark(pixels: NDArray[np.uint8], sees: Region) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    left, right = (round(width * at) for at in (sees.x, sees.x + sees.width))
    top, bottom = (round(height * at) for at in (sees.y, sees.y + sees.height))
    if (left, top, right, bottom) == (0, 0, width, height):
        return pixels
    marked = np.asarray(cv2.convertScaleAbs(pixels, alpha=_DIMMED), dtype=np.uint8)
    line = max(1, round(min(height, width) * _LINE_PER_SIDE))
    marked[max(0, top - line) : bottom + line, max(0, left - line) : right + line] = 255
    marked[top:bottom, left:right] = pixels[top:bottom, left:right]
    return marked


def marked_jpeg(jpeg: bytes, sees: Region) -> bytes:
    """A picture without marks, as JPEG, with them.

    Raises:
        ImageError: it is damaged.
    """
    return encode_jpeg(_mark(decode_image(jpeg, "the picture"), sees), _QUALITY)


class KeptPictures:
    """JPEGs by the id of their event, bounded in number and bytes: the oldest go first.

    Args:
        count: pictures that are kept at most.
        size: bytes that they have at most; one that is larger by itself is not kept.

    Attributes:
        gone: how many had to go.
    """

    def __init__(self, count: int, size: int) -> None:
        self.gone = 0
        self._count = count
        self._size = size
        self._bytes = 0
        self._lock = threading.Lock()
        self._jpegs: OrderedDict[str, bytes] = OrderedDict()

    def __len__(self) -> int:
        return len(self._jpegs)

    def put(self, event_id: str, jpeg: bytes, *, oldest: bool = False) -> None:
        """Keep the picture of an event, as the newest, or as the oldest one."""
        with self._lock:
            self._bytes += len(jpeg) - len(self._jpegs.get(event_id, b""))
            self._jpegs[event_id] = jpeg
            self._jpegs.move_to_end(event_id, last=not oldest)
            while len(self._jpegs) > self._count or self._bytes > self._size:
                self._bytes -= len(self._jpegs.popitem(last=False)[1])
                self.gone += 1

    def get(self, event_id: str) -> bytes | None:
        """The picture of an event; None where it is not kept."""
        return self._jpegs.get(event_id)

    def take(self, event_id: str) -> bytes | None:
        """The same, and keep it no longer."""
        with self._lock:
            jpeg = self._jpegs.pop(event_id, None)
            self._bytes -= len(jpeg or b"")
            return jpeg

    def take_oldest(self) -> tuple[str, bytes] | None:
        """The oldest one with its event's id, and keep it no longer; None where there is none."""
        with self._lock:
            if not self._jpegs:
                return None
            event_id, jpeg = self._jpegs.popitem(last=False)
            self._bytes -= len(jpeg)
            return event_id, jpeg

    def give_up(self) -> None:
        """Let all go."""
        with self._lock:
            self.gone += len(self._jpegs)
            self._jpegs.clear()
            self._bytes = 0
