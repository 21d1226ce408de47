"""The eight ways to hold a camera."""

import struct

import numpy as np
import pytest

from edgekit.vision.orientation import of_display_matrix, square, upright
from tests.core.vision.films import MATRICES

# A picture of two rows and three columns, as stored and as EXIF 2.32 says it is to be seen.
STORED = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)[..., np.newaxis]
SEEN = {
    1: [[1, 2, 3], [4, 5, 6]],
    2: [[3, 2, 1], [6, 5, 4]],
    3: [[6, 5, 4], [3, 2, 1]],
    4: [[4, 5, 6], [1, 2, 3]],
    5: [[1, 4], [2, 5], [3, 6]],
    6: [[4, 1], [5, 2], [6, 3]],
    7: [[6, 3], [5, 2], [4, 1]],
    8: [[3, 6], [2, 5], [1, 4]],
}


def _matrix(a: float, b: float, c: float, d: float) -> bytes:
    one = 1 << 16
    return struct.pack("=9i", *(round(x * one) for x in (a, b, 0, c, d, 0, 0, 0)), 1 << 30)


@pytest.mark.parametrize("orientation", SEEN)
def test_a_picture_is_seen_as_exif_says(orientation: int) -> None:
    turned = upright(STORED, orientation)
    assert turned[..., 0].tolist() == SEEN[orientation]
    assert turned.flags.c_contiguous


@pytest.mark.parametrize("orientation", MATRICES)
def test_a_display_matrix_moves_pixels_to_where_exif_sees_them(orientation: int) -> None:
    a, b, c, d = MATRICES[orientation]
    places = {(a * x + c * y, b * x + d * y): STORED[y, x, 0] for y in range(2) for x in range(3)}
    left, top = min(x for x, _ in places), min(y for _, y in places)
    for (x, y), value in places.items():
        assert SEEN[orientation][y - top][x - left] == value
    assert of_display_matrix(_matrix(a, b, c, d)) == orientation
    assert of_display_matrix(_matrix(a / 2, b / 2, c / 2, d / 2)) == orientation


@pytest.mark.parametrize("values", [(0.7, 0.7, -0.7, 0.7), (1, 0.5, 0, 1), (0, 0, 0, 0)])
def test_a_matrix_that_turns_by_no_right_angle_is_none(values: tuple[float, ...]) -> None:
    assert of_display_matrix(_matrix(*values)) is None


def test_pixels_become_square_and_none_is_lost() -> None:
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    assert square(pixels, 1.0) is pixels
    assert square(pixels, 2.0).shape == (4, 8, 3)
    assert square(pixels, 0.5).shape == (8, 4, 3)
