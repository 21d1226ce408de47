"""Which part of what a data set gives is the picture, and which its label."""

from typing import Any

import numpy as np
import pytest
from edgekit_convert.given.items import items_of

from edgekit.errors import DatasetError

PICTURE, OTHER = np.zeros((4, 4, 3), np.uint8), np.ones((4, 4, 3), np.uint8)
BATCH = np.zeros((2, 4, 4, 3), np.uint8)


@pytest.mark.parametrize(
    ("element", "count", "labels"),
    [
        (PICTURE, 1, [None]),
        (BATCH, 2, [None, None]),
        ((PICTURE, 5), 1, [5]),
        ([PICTURE, 5], 1, [5]),
        ((PICTURE, 5, "more"), 1, [5]),
        ((BATCH, [5, 6]), 2, [5, 6]),
        ([BATCH, np.array([5, 6])], 2, [5, 6]),
        ([BATCH], 2, [None, None]),
        ([(PICTURE, 5), (OTHER, 6), (OTHER, 7)], 3, [5, 6, 7]),
        (((PICTURE, 5), (OTHER, 6)), 2, [5, 6]),
        (((PICTURE, OTHER), (5, 6)), 2, [5, 6]),
        ([PICTURE, OTHER], 2, [None, None]),
        (("a.png", "cat"), 1, ["cat"]),
        (["a.png", "b.JPG"], 2, [None, None]),
        ({"image": PICTURE, "mask": OTHER, "label": 5}, 1, [5]),
        ({"x": 3, "photo": PICTURE, "y": 5}, 1, [5]),
        ({"pixel_values": BATCH, "labels": [5, 6]}, 2, [5, 6]),
        ({"image": ["a.png", "b.png"], "label": ["cat", "dog"]}, 2, ["cat", "dog"]),
        ({"image": {"bytes": b"x", "path": None}}, 1, [None]),
        ([], 0, []),
    ],
)
def test_a_picture_has_the_label_beside_it(element: Any, count: int, labels: list[Any]) -> None:
    found = items_of(element, "element 0")
    assert len(found) == count
    assert [item.label for item in found] == labels


@pytest.mark.parametrize(
    "element",
    [
        None, 5, "cat", (5, PICTURE), (PICTURE, OTHER), (BATCH, BATCH), [BATCH, BATCH],
        (PICTURE, {"boxes": []}), (BATCH, 5), (BATCH, [5]), (PICTURE, [5, 6]),
        {"label": 5}, {"left": PICTURE, "right": OTHER}, {"image": PICTURE, "label": OTHER},
    ],
)  # fmt: skip
def test_what_may_be_two_things_is_refused(element: Any) -> None:
    with pytest.raises(DatasetError, match="element 0"):
        items_of(element, "element 0")
