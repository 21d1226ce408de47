"""Which two frames are most alike is found from rows, as if all pairs were looked at each time."""

import cv2
import numpy as np
import pytest
from edgekit_device.collect.selection import Pairs, Selection
from numpy.typing import NDArray


class Slow:
    """The same as `Pairs`, by looking at all pairs each time."""

    def __init__(self) -> None:
        self.frames: dict[int, tuple[NDArray[np.float32], float]] = {}

    def smallest(self) -> float:
        """The difference of the two that are most alike: content, and time beside the span."""
        times = [time for _, time in self.frames.values()]
        span = max(max(times) - min(times), 1e-6)
        return min(
            self.content(one, other)
            + 12.0 * abs(self.frames[one][1] - self.frames[other][1]) / span
            for one in self.frames
            for other in self.frames
            if one < other
        )

    def content(self, one: int, other: int) -> float:
        difference = self.frames[one][0] - self.frames[other][0]
        return float(np.sqrt(np.square(difference).mean()))


def _thumbnail(random: np.random.Generator) -> NDArray[np.float32]:
    # A camera sees the same few things again and again.
    base = np.float32(60 * random.integers(4))
    return base + random.normal(0, 8, (12, 12, 3)).astype(np.float32)


@pytest.mark.parametrize("seed", range(5))
def test_the_pair_that_is_most_alike_is_the_one_of_all_pairs(seed: int) -> None:
    random = np.random.default_rng(seed)
    pairs, slow, time = Pairs(12), Slow(), 0.0
    for _ in range(150):
        # Times may jump by much, so that the weight of time changes at once.
        time += float(random.exponential(1.0) ** 3)
        thumbnail = _thumbnail(random)
        place = pairs.add(thumbnail, float(random.random()), time)
        slow.frames[place] = thumbnail, time
        if len(slow.frames) > 1:
            near, difference = pairs.nearest(place)
            others = [other for other in slow.frames if other != place]
            assert near in others
            assert difference == pytest.approx(min(slow.content(place, one) for one in others))
        if len(slow.frames) == 12:
            one, other = pairs.most_alike()
            span = max(t for _, t in slow.frames.values()) - min(t for _, t in slow.frames.values())
            apart = 12.0 * abs(slow.frames[one][1] - slow.frames[other][1]) / span
            assert slow.content(one, other) + apart == pytest.approx(slow.smallest(), rel=1e-5)
            gone = pairs.less_sharp(one, other)
            if random.random() < 0.2:  # any other may go, too
                gone = int(random.choice(list(slow.frames)))
            pairs.remove(gone)
            del slow.frames[gone]


def test_the_less_sharp_goes_and_of_equal_ones_the_second() -> None:
    pairs = Pairs(3)
    blurred, sharp, equal = (
        pairs.add(np.full((12, 12, 3), value, np.float32), sharpness, value)
        for value, sharpness in ((0.0, 1.0), (50.0, 9.0), (100.0, 9.0))
    )
    assert pairs.less_sharp(blurred, sharp) == pairs.less_sharp(sharp, blurred) == blurred
    assert pairs.less_sharp(sharp, equal) == equal


def test_the_sharper_of_near_duplicates_takes_the_others_place() -> None:
    random = np.random.default_rng(0)
    sharp = random.integers(0, 256, (240, 320, 3), np.uint8)
    soft = np.asarray(cv2.blur(sharp, (3, 3)), np.uint8)
    selection = Selection(3)
    assert selection.offer(0, 0.0, soft) == []
    assert selection.offer(1, 1.0, sharp) == [0]
    assert selection.offer(2, 2.0, soft) is None
    assert (selection.kept, selection.alike) == ([1], 2)
