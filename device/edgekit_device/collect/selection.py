"""Which frames to calibrate on: varied ones, from the whole time, that show something."""

from collections import deque
from dataclasses import dataclass
from statistics import median

import cv2
import numpy as np
from numpy.typing import NDArray

# A frame is looked at in this size: what differs in it differs for a network, too.
_SIDE = 12
# The brightest hundredth of a black frame, of 255; and the spread of one with a covered lens.
_BLACK, _FLAT = 20.0, 2.0
# Sharpness that is lost, beside what was usual of late, before a frame counts as blurred.
_BLURRED = 0.35
_RECENT = 25
_SHARPNESS_WIDTH = 320
# Difference of two thumbnails (root mean square, of 255) below which frames are near-duplicates.
NEAR = 4.0
# What the whole span of time counts for beside the content: as much as such a difference.
_TIME = 12.0
# Seconds that the span is taken for at least.
_SHORTEST = 1e-6


@dataclass(frozen=True)
class Look:
    """What a frame looks like.

    Attributes:
        thumbnail: (12, 12, 3) float32.
        sharpness: variance of the Laplacian of its brightness (Pech-Pacheco et al. 2000).
        brightest: 99th percentile of its brightness, 0 to 255.
        spread: standard deviation of its brightness.
    """

    thumbnail: NDArray[np.float32]
    sharpness: float
    brightest: float
    spread: float


def look_at(pixels: NDArray[np.uint8]) -> Look:
    """Look at a frame (H, W, 3) uint8 RGB."""
    thumbnail = cv2.resize(pixels, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    height, width = pixels.shape[:2]
    size = min(width, _SHARPNESS_WIDTH), max(1, round(height * min(1, _SHARPNESS_WIDTH / width)))
    grey = cv2.cvtColor(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    return Look(
        np.asarray(thumbnail, dtype=np.float32),
        float(cv2.Laplacian(grey, cv2.CV_32F).var()),
        float(np.percentile(grey, 99)),
        float(grey.std()),
    )


class Selection:
    """Keeps the most varied frames of those it is shown; never more than `count`.

    When there are too many, of the two that are most alike in content and time the one that is
    less sharp goes. So the frames spread over all that was seen, however long that takes.

    Attributes:
        dark, blurred, alike: frames that were left out, by the reason.
    """

    def __init__(self, count: int) -> None:
        self.dark = self.blurred = self.alike = 0
        self._pairs = Pairs(count + 1)
        self._positions: dict[int, int] = {}
        self._count = count
        self._usual: deque[float] = deque(maxlen=_RECENT)

    @property
    def kept(self) -> list[int]:
        """Positions of the frames that are kept."""
        return list(self._positions.values())

    def offer(self, position: int, time: float, pixels: NDArray[np.uint8]) -> list[int] | None:
        """Show it a frame (H, W, 3) uint8 RGB.

        Returns:
            Positions of the frames that the new one displaces; None when it is not kept.
        """
        look = look_at(pixels)
        if look.brightest < _BLACK or look.spread < _FLAT:
            self.dark += 1
            return None
        usual = median(self._usual) if len(self._usual) >= 5 else 0.0
        self._usual.append(look.sharpness)
        if look.sharpness < _BLURRED * usual:
            self.blurred += 1
            return None
        pairs, displaced = self._pairs, []
        new = pairs.add(look.thumbnail, look.sharpness, time)
        near, difference = pairs.nearest(new)
        if difference < NEAR:
            self.alike += 1
            gone = pairs.less_sharp(near, new)
        elif len(self._positions) == self._count:
            gone = pairs.less_sharp(*pairs.most_alike())
        else:
            gone = None
        if gone is not None:
            pairs.remove(gone)
            if gone == new:
                return None
            displaced = [self._positions.pop(gone)]
        self._positions[new] = position
        return displaced


class Pairs:
    """How different frames are from each other, for as many as there is room for.

    A frame costs a row of differences, and not all of them anew. The weight of time falls as the
    span of what was seen grows, and so each difference changes with each frame, by less than the
    span does: a bound below each frame's smallest difference is kept, and looked into only where
    it could be the smallest of all.

    Args:
        places: frames there is room for.
    """

    def __init__(self, places: int) -> None:
        self._free = list(range(places))[::-1]
        self._thumbnails = np.zeros((places, 3 * _SIDE * _SIDE), np.float32)
        self._content = np.full((places, places), np.inf, np.float32)
        self._times = np.zeros(places)
        self._sharpness = np.zeros(places)
        self._bounds = np.full(places, np.inf)
        self._there = np.zeros(places, np.bool_)
        self._span = _SHORTEST

    def add(self, thumbnail: NDArray[np.float32], sharpness: float, time: float) -> int:
        """The place of a frame that is added.

        Args:
            thumbnail: (12, 12, 3) float32.
            sharpness: of the frame.
            time: seconds.
        """
        place = self._free.pop()
        self._thumbnails[place] = thumbnail.ravel()
        self._times[place], self._sharpness[place] = time, sharpness
        row = np.where(self._there, self._rms_from(place), np.float32(np.inf))
        self._content[place] = self._content[:, place] = row
        self._there[place] = True
        self._follow_span()
        differences = self._row(place)
        np.minimum(self._bounds, differences, out=self._bounds, where=self._there)
        self._bounds[place] = differences.min()
        return place

    def nearest(self, place: int) -> tuple[int, float]:
        """The frame whose content is most like that of another, and how different it is."""
        near = int(self._content[place].argmin())
        return near, float(self._content[place, near])

    def most_alike(self) -> tuple[int, int]:
        """The two frames that are most alike, in content and time; at least two are there."""
        while True:
            place = int(self._bounds.argmin())
            differences = self._row(place)
            other = int(differences.argmin())
            self._bounds[place] = differences[other]
            if self._bounds[place] <= self._bounds.min():
                return place, other

    def less_sharp(self, one: int, other: int) -> int:
        """Of two frames the one that is less sharp; of equal ones the second."""
        return one if self._sharpness[one] < self._sharpness[other] else other

    def remove(self, place: int) -> None:
        """Forget a frame."""
        self._there[place] = False
        self._content[place] = self._content[:, place] = np.inf
        self._bounds[place] = np.inf
        self._free.append(place)

    def _rms_from(self, place: int) -> NDArray[np.float32]:
        difference = self._thumbnails - self._thumbnails[place]
        squares = np.einsum("ij,ij->i", difference, difference) / difference.shape[1]
        return np.asarray(np.sqrt(squares), np.float32)

    def _follow_span(self) -> None:
        times = self._times[self._there]
        span = max(float(times.max() - times.min()), _SHORTEST)
        # A difference is a part that stays and one in inverse proportion to the span, so that it
        # falls by this factor at most.
        self._bounds *= min(1.0, self._span / span)
        self._span = span

    def _row(self, place: int) -> NDArray[np.float64]:
        """Differences of a frame from all others; infinite to itself and to empty places."""
        apart = np.abs(self._times - self._times[place]) / self._span
        return np.asarray(self._content[place] + _TIME * apart, np.float64)
