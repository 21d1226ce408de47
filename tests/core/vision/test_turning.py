"""Turned, mirrored and masked: worked by hand, and by what must hold for any."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgekit.model.geometry import Geometry
from edgekit.vision.preprocess import crop_box, cut, prepare
from edgekit.vision.turning import GREY, View
from edgekit.vision.view import Region, ViewSettings


def picture(rows: list[list[int]]) -> NDArray[np.uint8]:
    return np.repeat(np.array(rows, np.uint8)[..., np.newaxis], 3, axis=2)


def turned(rows: list[list[int]], **view: Any) -> list[list[int]]:
    found: list[list[int]] = View(ViewSettings(**view)).turn(picture(rows))[..., 1].tolist()
    return found


FOUR_BY_TWO = [[1, 2, 3, 4], [5, 6, 7, 8]]


@pytest.mark.parametrize(
    ("rotate", "mirror", "expected"),
    [
        (0, False, [[1, 2, 3, 4], [5, 6, 7, 8]]),
        (0, True, [[4, 3, 2, 1], [8, 7, 6, 5]]),
        (90, False, [[5, 1], [6, 2], [7, 3], [8, 4]]),
        (90, True, [[1, 5], [2, 6], [3, 7], [4, 8]]),
        (180, False, [[8, 7, 6, 5], [4, 3, 2, 1]]),
        (180, True, [[5, 6, 7, 8], [1, 2, 3, 4]]),
        (270, False, [[4, 8], [3, 7], [2, 6], [1, 5]]),
        (270, True, [[8, 4], [7, 3], [6, 2], [5, 1]]),
    ],
)
def test_a_picture_of_4_x_2_is_rotated_then_mirrored(
    rotate: int, mirror: bool, expected: list[list[int]]
) -> None:
    assert turned(FOUR_BY_TWO, rotate=rotate, mirror=mirror) == expected


def test_masks_are_of_the_frame_that_was_turned() -> None:
    # The upper half of what lies on its side, in which 5 and 1 are on top.
    assert turned(FOUR_BY_TWO, rotate=90, masks=((0, 0, 1, 0.5),)) == [
        [GREY, GREY], [GREY, GREY], [7, 3], [8, 4],
    ]  # fmt: skip


def test_a_pixel_of_which_a_part_is_hidden_is_hidden() -> None:
    assert turned(FOUR_BY_TWO, masks=((0.3, 0, 0.3, 0.5),)) == [
        [1, GREY, GREY, 4], [5, 6, 7, 8],
    ]  # fmt: skip
    # And no other for the sake of rounding: 0.1 + 0.2 is more than 0.3.
    row = [list(range(1, 11))]
    assert turned(row, masks=((0.1, 0, 0.2, 1),)) == [[1, GREY, GREY, *range(4, 11)]]


corner = st.tuples(st.floats(0, 1), st.floats(0, 1))


@given(
    corners=st.tuples(corner, corner, corner), width=st.integers(1, 40), height=st.integers(1, 40)
)
def test_a_triangle_hides_every_pixel_whose_middle_it_holds(
    corners: tuple[tuple[float, float], ...], width: int, height: int
) -> None:
    try:
        view = View(ViewSettings(masks=(sum(corners, ()),)))
    except ValueError:
        return
    masked = view.mask(np.zeros((height, width), np.uint8), 1)
    y, x = np.mgrid[:height, :width]
    x, y = (x + 0.5) / width, (y + 0.5) / height
    sides = np.stack(
        [
            (x2 - x1) * (y - y1) - (y2 - y1) * (x - x1)
            for (x1, y1), (x2, y2) in zip(corners, corners[1:] + corners[:1], strict=True)
        ]
    )
    inside = (sides > 1e-9).all(axis=0) | (sides < -1e-9).all(axis=0)
    assert (masked[inside] == 1).all()


@pytest.mark.parametrize(
    "view", [{"rotate": 180}, {"mirror": True}, {"masks": ((0, 0, 0.5, 1),)}, {}], ids=str
)
def test_what_a_camera_gave_stays_as_it_is(view: dict[str, Any]) -> None:
    pixels = picture(FOUR_BY_TWO)
    pixels.flags.writeable = False
    found = View(ViewSettings(**view)).turn(pixels)
    # Nothing is done where nothing is set, and else there is no way back to the camera's memory.
    assert (found is pixels) == (not view)
    assert np.shares_memory(found, pixels) == (not view)
    assert pixels[..., 0].tolist() == FOUR_BY_TWO


def test_the_region_is_taken_before_the_middle() -> None:
    square = Geometry(224, 224)
    # The right half of 640 x 480 is 320 x 480; its middle square begins 80 pixels down.
    assert crop_box(480, 640, square, Region(0.5, 0, 0.5, 1)) == (80, 320, 320, 320)
    assert crop_box(480, 640, square, Region(0, 0, 1, 1)) == crop_box(480, 640, square)


fraction = st.floats(0.001, 1)


@given(
    size=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    place=st.tuples(fraction, fraction, fraction, fraction),
    crop=st.floats(0.1, 1),
)
def test_any_region_lies_in_the_frame_and_can_be_cut_out_before(
    size: tuple[int, int], place: tuple[float, float, float, float], crop: float
) -> None:
    x, y, width, height = place
    region = Region(x * (1 - width), y * (1 - height), width, height)
    top, left, tall, wide = crop_box(*size, Geometry(8, 6, crop), region)
    assert 0 <= top < top + tall <= size[0] and 0 <= left < left + wide <= size[1]
    frame = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    geometry = Geometry(8, 6, crop)
    whole = prepare(frame, geometry, region)
    assert np.array_equal(whole, prepare(np.ascontiguousarray(cut(frame, region)), geometry))
