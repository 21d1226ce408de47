"""The few that are kept."""

import random

import pytest

from edgekit.offline.surest import Surest


@pytest.mark.parametrize("maximum", [0, 1, 7, 100])
def test_those_with_the_highest_keys_are_kept(maximum: int) -> None:
    keys = [one // 2 for one in range(60)]
    random.Random(1).shuffle(keys)
    kept, made = Surest[tuple[int, int]](maximum), 0

    def make(place: int, key: int) -> tuple[int, int]:
        nonlocal made
        made += 1
        return key, place

    for place, key in enumerate(keys):
        kept.add(key, lambda place=place, key=key: make(place, key))  # type: ignore[misc]
    expected = sorted(((key, place) for place, key in enumerate(keys)), key=lambda e: (-e[0], e[1]))
    assert kept.best() == expected[:maximum]
    assert kept.in_order() == sorted(expected[:maximum], key=lambda e: e[1])
    assert kept.count == 60
    assert made < 60 or maximum == 100


def test_things_that_cannot_be_compared_may_have_equal_keys() -> None:
    kept = Surest[object](2)
    for _ in range(4):
        kept.add(1.0, object)
    assert len(kept.best()) == 2
