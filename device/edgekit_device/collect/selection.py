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


@dataclass
class Chosen:
    """A frame that is kept: its place, its time in seconds, and its look."""

    position: int
    time: float
    look: Look


class Selection:
    """Keeps the most varied frames of those it is shown; never more than `count`.

    When there are too many, of the two that are most alike in content and time the one that is
    less sharp goes. So the frames spread over all that was seen, however long that takes.

    Attributes:
        kept: by position.
        dark, blurred, alike: frames that were left out, by the reason.
    """

    def __init__(self, count: int) -> None:
        self.kept: dict[int, Chosen] = {}
        self.dark = self.blurred = self.alike = 0
        self._count = count
        self._sharpness: deque[float] = deque(maxlen=_RECENT)

    def offer(self, position: int, time: float, pixels: NDArray[np.uint8]) -> list[int] | None:
        """Show it a frame (H, W, 3) uint8 RGB.

        Returns:
            Positions of the frames that the new one displaces; None when it is not kept.
        """
        look = look_at(pixels)
        if look.brightest < _BLACK or look.spread < _FLAT:
            self.dark += 1
            return None
        usual = median(self._sharpness) if len(self._sharpness) >= 5 else 0.0
        self._sharpness.append(look.sharpness)
        if look.sharpness < _BLURRED * usual:
            self.blurred += 1
            return None
        new = Chosen(position, time, look)
        near = min(self.kept.values(), key=lambda one: _difference(one, new), default=None)
        if near is not None and _difference(near, new) < NEAR:
            self.alike += 1
            if near.look.sharpness >= look.sharpness:
                return None
            return self._replace(near, new)
        self.kept[position] = new
        if len(self.kept) <= self._count:
            return []
        gone = self._most_redundant()
        del self.kept[gone.position]
        return None if gone is new else [gone.position]

    def _replace(self, old: Chosen, new: Chosen) -> list[int]:
        del self.kept[old.position]
        self.kept[new.position] = new
        return [old.position]

    def _most_redundant(self) -> Chosen:
        chosen = list(self.kept.values())
        thumbnails = np.stack([one.look.thumbnail.ravel() for one in chosen])
        times = np.array([one.time for one in chosen])
        span = max(float(times.max() - times.min()), 1e-6)
        distance = np.stack([_rms(thumbnails - one) for one in thumbnails])
        distance += _TIME * np.abs(times[:, None] - times) / span
        np.fill_diagonal(distance, np.inf)
        one, other = np.unravel_index(int(distance.argmin()), distance.shape)
        pair = chosen[int(one)], chosen[int(other)]
        return min(pair, key=lambda each: each.look.sharpness)


def _difference(one: Chosen, other: Chosen) -> float:
    return float(_rms((one.look.thumbnail - other.look.thumbnail).ravel()))


def _rms(difference: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.sqrt(np.square(difference).mean(axis=-1)), dtype=np.float32)
