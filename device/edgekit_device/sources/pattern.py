"""A generated moving picture, to try everything else without a camera."""

import functools
import math
import time

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekit_device.config.settings import CameraSettings
from edgekit_device.sources.live import LiveSource

PATTERN = "test:"
_FPS = 30.0
# Shapes: colour (RGB), and turns around the picture per 300 frames.
_SHAPES = (((230, 60, 40), 1), ((250, 200, 40), -2), ((40, 200, 90), 3))


def draw(number: int, width: int, height: int) -> NDArray[np.uint8]:
    """Frame `number` of the pattern: (height, width, 3) uint8, RGB, the same each time."""
    picture = _background(width, height).copy()
    size = max(2, min(width, height) // 8)
    for corners, (colour, turns) in enumerate(_SHAPES, start=3):
        angle = 2 * math.pi * (turns * number / 300 + corners / len(_SHAPES))
        middle = (width * (0.5 + 0.35 * math.cos(angle)), height * (0.5 + 0.35 * math.sin(angle)))
        outline = [
            (
                middle[0] + size * math.cos(angle * 2 + 2 * math.pi * corner / corners),
                middle[1] + size * math.sin(angle * 2 + 2 * math.pi * corner / corners),
            )
            for corner in range(corners)
        ]
        cv2.fillPoly(picture, [np.array(outline, np.int32)], colour, cv2.LINE_AA)
    text = f"edgekit {number}"
    cv2.putText(picture, text, (8, height - 10), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255, 255, 255))
    return picture


@functools.lru_cache(maxsize=1)
def _background(width: int, height: int) -> NDArray[np.uint8]:
    across = np.linspace(40, 110, width, dtype=np.uint8)
    down = np.linspace(40, 110, height, dtype=np.uint8)
    picture = np.empty((height, width, 3), np.uint8)
    picture[..., 0] = 50
    picture[..., 1] = across
    picture[..., 2] = down[:, np.newaxis]
    return picture


class PatternCamera:
    """The pattern as a `Camera`: frame n comes n / fps seconds after it was opened."""

    bgr = False
    message = ""

    def __init__(self, camera: CameraSettings) -> None:
        self._camera = camera
        self._period = 1 / (camera.fps or _FPS)
        self._number = 0
        self._due = time.monotonic()

    def read(self) -> NDArray[np.uint8]:
        """The next picture, (height, width, 3) uint8 with red first, when it is due."""
        picture = draw(self._number, self._camera.width, self._camera.height)
        time.sleep(max(0.0, self._due - time.monotonic()))
        self._number += 1
        self._due = max(self._due + self._period, time.monotonic())
        return picture

    def release(self) -> None:
        """Nothing: there is no driver to let go of."""


def open_pattern(camera: CameraSettings) -> LiveSource:
    """The pattern, endless, at the size and rate asked for; 30 frames per second by default."""
    return LiveSource(PATTERN, lambda: PatternCamera(camera), camera.timeout, "report this")
