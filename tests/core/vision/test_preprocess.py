import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.model.geometry import Geometry
from edgekit.vision.preprocess import crop_box, prepare


def test_a_frame_of_the_models_size_passes_unchanged() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (64, 48, 3), np.uint8)
    assert np.array_equal(prepare(frame, Geometry(64, 48))[0], frame)


def test_the_crop_is_centred_and_keeps_the_aspect() -> None:
    assert crop_box(480, 640, Geometry(224, 224)) == (0, 80, 480, 480)
    assert crop_box(480, 640, Geometry(224, 224, 0.875)) == (30, 110, 420, 420)


def test_channels_keep_their_order() -> None:
    frame = np.zeros((100, 100, 3), np.uint8)
    frame[..., 0] = 200
    prepared = prepare(frame, Geometry(32, 32))
    assert prepared[0, 16, 16].tolist() == [200, 0, 0]


def test_fine_stripes_average_out_when_a_frame_shrinks() -> None:
    stripes = np.zeros((1024, 1024, 3), np.uint8)
    stripes[:, ::2] = 255
    prepared = prepare(stripes, Geometry(128, 128)).astype(int)
    assert abs(prepared - 127).max() < 30


@pytest.mark.parametrize("shape", [(10, 10), (10, 10, 4), (10, 10, 1)])
def test_what_is_not_an_rgb_frame_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="uint8"):
        prepare(np.zeros(shape, np.uint8), Geometry(8, 8))


@given(
    height=st.integers(1, 300),
    width=st.integers(1, 300),
    size=st.integers(1, 64),
    crop=st.floats(0.01, 1),
)
def test_any_frame_fits_any_geometry(height: int, width: int, size: int, crop: float) -> None:
    frame = np.full((height, width, 3), 77, np.uint8)
    prepared = prepare(frame, Geometry(size, size, crop))
    assert prepared.shape == (1, size, size, 3)
    assert prepared.dtype == np.uint8
    assert (prepared == 77).all()


def test_enlarging_is_bilinear() -> None:
    frame = np.random.default_rng(1).integers(0, 256, (32, 32, 3), np.uint8)
    expected = cv2.resize(frame, (64, 64), interpolation=cv2.INTER_LINEAR)
    assert np.array_equal(prepare(frame, Geometry(64, 64))[0], expected)


def test_every_pixel_counts_when_a_frame_is_shrunk() -> None:
    # A quarter of the width: bilinear interpolation alone reads pixels 1 and 2 of each four, and
    # would not see pixel 0. Of the averages over five, the one around pixel 1 holds one bright
    # pixel and that around pixel 2 holds two: (51 + 102) / 2.
    frame = np.zeros((64, 64, 3), np.uint8)
    frame[:, ::4] = 255
    shrunk = prepare(frame, Geometry(16, 16)).astype(float)
    assert np.abs(shrunk[0, :, 1:-1] - 76.5).max() <= 1
