"""The picture of a change: what is marked in it, and what is kept of many."""

import cv2
import numpy as np
import pytest
from edgekit_device.pictures import EventPicture, KeptPictures
from numpy.typing import NDArray

from edgekit.model.geometry import Geometry
from tests.device.sinks.answers import answer

SQUARE = Geometry(height=32, width=32)


def _grey(height: int, width: int) -> NDArray[np.uint8]:
    return np.full((height, width, 3), 200, np.uint8)


def _picture(pixels: NDArray[np.uint8], published: str = "full") -> EventPicture:
    return EventPicture(answer(1, pixels=pixels, geometry=SQUARE), published)  # type: ignore[arg-type]


def _decoded(jpeg: bytes | None) -> NDArray[np.uint8]:
    assert jpeg is not None
    decoded = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.asarray(decoded, np.uint8)


def test_what_the_model_did_not_see_is_dark_and_a_line_is_around_the_rest() -> None:
    marked = _decoded(_picture(_grey(240, 320)).published).astype(int)
    assert marked.shape == (240, 320, 3)
    assert np.abs(marked[:, 60:260] - 200).max() < 8  # the middle 240 columns, as they were
    assert np.abs(marked[:, [10, 310]] - 100).max() < 8
    assert marked[:, [39, 280]].min() > 180 > marked[:, [36, 284]].max()


def test_where_it_saw_all_nothing_is_marked() -> None:
    picture = _picture(_grey(48, 48))
    assert picture.published == picture.jpeg("full", marked=False)


def test_a_small_one_is_small_and_marked_at_the_same_place() -> None:
    marked = _decoded(_picture(_grey(960, 1280), "small").published).astype(int)
    assert marked.shape == (240, 320, 3)
    assert marked[:, [39, 280]].min() > 180
    assert np.abs(marked[:, [20, 300]] - 100).max() < 8


def test_off_is_off_and_still_can_be_kept_on_the_device() -> None:
    picture = _picture(_grey(48, 64), "off")
    assert picture.published is None
    assert _decoded(picture.jpeg("full", marked=False)).shape == (48, 64, 3)


@pytest.mark.parametrize("size", [(1, 1), (240, 1), (1, 240), (2, 8192), (480, 640)])
def test_it_is_whole_whatever_the_size_of_the_frame(size: tuple[int, int]) -> None:
    picture = _picture(_grey(*size))
    assert _decoded(picture.published).shape[:2] == size
    assert max(_decoded(picture.jpeg("small", marked=True)).shape) <= 320


@pytest.mark.parametrize("pixels", [np.zeros((2, 65536, 3)), np.zeros((0, 4, 3))])
def test_what_cannot_be_encoded_is_none_and_told_once(pixels: NDArray[np.float64]) -> None:
    told: list[Exception | None] = []
    result = answer(1, pixels=pixels.astype(np.uint8), geometry=SQUARE)
    picture = EventPicture(result, "full", told.append)
    assert picture.published is None and picture.published is None
    assert [error is not None for error in told] == [True]


def test_each_is_encoded_once() -> None:
    told: list[Exception | None] = []
    picture = EventPicture(answer(1, pixels=_grey(32, 48), geometry=SQUARE), "small", told.append)
    assert picture.published is picture.published
    assert told == [None]


class TestKept:
    def test_the_oldest_goes_when_there_are_too_many(self) -> None:
        kept = KeptPictures(2, 100)
        for name in "abc":
            kept.put(name, name.encode())
        assert [kept.get(name) for name in "abc"] == [None, b"b", b"c"]
        assert (len(kept), kept.gone) == (2, 1)

    def test_the_oldest_go_until_there_are_bytes_for_it(self) -> None:
        kept = KeptPictures(9, 10)
        for name, size in (("a", 4), ("b", 4), ("c", 7)):
            kept.put(name, bytes(size))
        assert kept.take_oldest() == ("c", bytes(7))
        assert (kept.take_oldest(), kept.gone) == (None, 2)
        kept.put("d", bytes(10))  # what is taken makes room
        assert kept.take("d") == bytes(10)

    def test_one_that_is_too_large_by_itself_is_not_kept(self) -> None:
        kept = KeptPictures(9, 10)
        kept.put("a", bytes(11))
        assert (len(kept), kept.gone, kept.take("a")) == (0, 1, None)

    def test_one_that_is_put_back_is_the_first_to_go(self) -> None:
        kept = KeptPictures(2, 100)
        kept.put("b", b"b")
        kept.put("a", b"a", oldest=True)
        kept.put("c", b"c")
        assert [kept.get(name) for name in "abc"] == [None, b"b", b"c"]

    def test_giving_up_counts_them(self) -> None:
        kept = KeptPictures(9, 100)
        kept.put("a", b"a")
        kept.give_up()
        assert (len(kept), kept.gone) == (0, 1)
