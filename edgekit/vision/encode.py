"""Frames as picture files: PNG without loss, JPEG for people."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekit.errors import ImageError

# Run-length matching at the lowest level: of PNG's ways the fastest and, on a camera's noise, the
# smallest (docs/offline.md has the figures).
_PNG = (
    *(cv2.IMWRITE_PNG_COMPRESSION, 1),
    *(cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE),
)


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """(H, W, 3) uint8 RGB as a PNG file."""
    return _encode(".png", pixels, _PNG)


def encode_jpeg(pixels: NDArray[np.uint8], quality: int = 85) -> bytes:
    """(H, W, 3) uint8 RGB as a JPEG file; `quality` is from 0 to 100.

    Raises:
        ImageError: it has more than 65,535 pixels in width or height.
    """
    return _encode(".jpg", pixels, (cv2.IMWRITE_JPEG_QUALITY, quality))


def fit(pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """A frame scaled down to fit into width x height pixels, whole and undistorted.

    A frame that fits already comes back as it is.
    """
    scale = min(width / pixels.shape[1], height / pixels.shape[0])
    if scale >= 1:
        return pixels
    size = max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _encode(suffix: str, pixels: NDArray[np.uint8], parameters: tuple[Any, ...]) -> bytes:
    done, encoded = cv2.imencode(suffix, cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), parameters)
    if not done:
        raise ImageError(f"a frame {pixels.shape} cannot be encoded as {suffix}")
    return encoded.tobytes()
