"""Frames as picture files."""

import cv2
import numpy as np
import pytest

from edgekit.vision.encode import encode_jpeg, encode_png, fit

NOISE = np.random.default_rng(1).integers(0, 256, (30, 40, 3), dtype=np.uint8)


def test_a_png_holds_every_bit() -> None:
    decoded = cv2.imdecode(np.frombuffer(encode_png(NOISE), np.uint8), cv2.IMREAD_COLOR_RGB)
    assert np.array_equal(decoded, NOISE)


def test_a_jpeg_is_smaller_with_less_quality_and_keeps_its_colours() -> None:
    assert len(encode_jpeg(NOISE, 10)) < len(encode_jpeg(NOISE)) < len(encode_jpeg(NOISE, 100))
    red = np.full((16, 16, 3), (200, 30, 40), np.uint8)
    decoded = cv2.imdecode(np.frombuffer(encode_jpeg(red), np.uint8), cv2.IMREAD_COLOR_RGB)
    assert np.abs(decoded.astype(int) - red).max() < 8


@pytest.mark.parametrize(
    ("width", "height", "shape"),
    [
        (20, 20, (15, 20)),
        (400, 15, (15, 20)),
        (40, 30, (30, 40)),
        (400, 300, (30, 40)),
        (1, 1, (1, 1)),
    ],
)
def test_a_frame_fits_whole_and_undistorted(
    width: int, height: int, shape: tuple[int, int]
) -> None:
    fitted = fit(NOISE, width, height)
    assert fitted.shape == (*shape, 3)
    if shape == NOISE.shape[:2]:
        assert fitted is NOISE
