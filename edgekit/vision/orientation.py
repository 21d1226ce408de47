"""Pictures turned upright: by EXIF's orientation, and by a video's display matrix."""

import struct

import cv2
import numpy as np
from numpy.typing import NDArray

# The eight ways to lay a rectangle onto itself, by EXIF's number (EXIF 2.32, tag 0x0112), as
# numpy does them: rows become columns, then the order of rows, of columns, is turned round.
_TURNS = {
    1: (False, False, False),
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}
# By where a display matrix lays a picture's x and y: (a, b, c, d) of x' = ax + cy, y' = bx + dy.
_MATRICES = {
    (1, 0, 0, 1): 1,
    (-1, 0, 0, 1): 2,
    (-1, 0, 0, -1): 3,
    (1, 0, 0, -1): 4,
    (0, 1, 1, 0): 5,
    (0, 1, -1, 0): 6,
    (0, -1, -1, 0): 7,
    (0, -1, 1, 0): 8,
}


def upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Turn stored pixels (H, W, C) as EXIF's orientation, 1 to 8, says."""
    transposed, rows, columns = _TURNS[orientation]
    if orientation == 1:
        return pixels
    turned = pixels.transpose(1, 0, 2) if transposed else pixels
    return np.ascontiguousarray(turned[:: -1 if rows else 1, :: -1 if columns else 1])


def of_display_matrix(matrix: bytes) -> int | None:
    """EXIF's number for a display matrix, nine 32-bit integers (ISO/IEC 14496-12, 8.3.2).

    None where it does more than to turn by right angles and to mirror.
    """
    a, b, _, c, d = struct.unpack("=5i", matrix[:20])
    largest = max(map(abs, (a, b, c, d))) or 1
    # Its scale is of no matter, and a hundredth is a rounding error.
    return _MATRICES.get((*(round(x / largest, 2) for x in (a, b, c, d)),))


def square(pixels: NDArray[np.uint8], aspect: float) -> NDArray[np.uint8]:
    """Make pixels that are `aspect` times as wide as high square: never fewer than there were."""
    height, width = pixels.shape[:2]
    if aspect > 1:
        width = round(width * aspect)
    else:
        height = round(height / aspect)
    if (height, width) == pixels.shape[:2]:
        return pixels
    resized = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(resized, dtype=np.uint8)
