"""Whether a model's confidence means what it says on a recording, whose frames are not independent.

Frames that show one thing are right or wrong together, so that a thousand of them may say no more
than one. An interval of the truth is therefore taken as one observation, or several of them where
they are shorter than `statistics.BLOCK`: within it, nothing is assumed to be independent.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from edgekit.inference.probabilities import are_probabilities
from edgekit.offline.calibration import (
    DRAWS,
    MINIMUM_IN_A_BIN,
    Bin,
    Calibration,
    bin_starts,
    calibration_error,
    smallest_likelihood,
    why_improper,
)
from edgekit.offline.statistics import BLOCK
from edgekit.offline.truth import Interval

# Confidence is counted in steps of a usual int8 output, of which these are exact; the mean of each
# step is exact for others, too.
_STEPS = 256
# Observations that are told apart; of more, two and two become one, which is never less honest.
_OBSERVATIONS = 1024
# Fewer would leave a bin's accuracy to luck.
_OBSERVATIONS_A_BIN = 5
_DRAWS_AT_A_TIME = 50


class FrameCalibration:
    """Gathers it; takes 2 MB, however many frames there are.

    Args:
        labels: the model's class names.
        step: what its output is rounded to; 0 for a float output.
    """

    def __init__(self, labels: Sequence[str], step: float) -> None:
        self._classes = {label: index for index, label in enumerate(labels)}
        self._step = step
        self._floor = smallest_likelihood(step)
        # Frames by observation and step of confidence; by step, how many are right, and the sums.
        self._counts = np.zeros((_OBSERVATIONS, _STEPS + 1), np.int64)
        self._right = np.zeros(_STEPS + 1, np.int64)
        self._sums = np.zeros(_STEPS + 1)
        self._loss = 0.0
        self._frames = self._floored = self._improper = 0
        # The observation that frames belong to: its last interval, and since when.
        self._interval: Interval | None = None
        self._since = 0.0
        self._shortest = BLOCK
        self._observations = 0

    def add(self, scores: NDArray[np.float32], interval: Interval, time: float) -> None:
        """Count a frame.

        Args:
            scores: (classes,) float32, the model's own answer.
            interval: of the truth, in which the frame lies, with a class as its label.
            time: in seconds; never less than that of the frame before.
        """
        self._frames += 1
        self._improper += not are_probabilities(scores, self._step)
        if self._improper:
            return
        self._observe(interval, time)
        best, true = int(scores.argmax()), self._classes[interval.label]
        confidence = min(1.0, max(0.0, float(scores[best])))
        step = round(_STEPS * confidence)
        self._counts[self._observations - 1, step] += 1
        self._right[step] += best == true
        self._sums[step] += confidence
        likelihood = float(scores[true])
        self._floored += likelihood < self._floor
        self._loss -= math.log(min(1.0, max(self._floor, likelihood)))

    def finish(self) -> Calibration | None:
        """What was measured; None where nothing could be, see `uncalibrated`."""
        if self.uncalibrated:
            return None
        counts = self._counts[: self._observations]
        frames = counts.sum(axis=0)
        used = np.flatnonzero(frames)
        # From here on, steps are those that occur: by observation, and together.
        counts, frames, right = counts[:, used], frames[used], self._right[used]
        confidence = self._sums[used] / frames
        places = frames.cumsum() - frames
        wanted = min(self._frames // MINIMUM_IN_A_BIN, self._observations // _OBSERVATIONS_A_BIN)
        starts = np.searchsorted(places, bin_starts(places, self._frames, wanted)).tolist()
        bins = []
        for start, end in pairwise([*starts, len(used)]):
            held = counts[:, start:end].sum(axis=1)
            count = int(held.sum())
            bins.append(
                Bin(
                    float(confidence[start]),
                    float(confidence[end - 1]),
                    count,
                    int(right[start:end].sum()),
                    float(self._sums[used][start:end].sum()) / count,
                    # As many of equal size would say as much (Kish 1965).
                    float(count**2 / (held**2).sum()),
                )
            )
        chance = _chance_errors(counts, confidence, starts)
        return Calibration(
            unit="frame",
            count=self._frames,
            observations=self._observations,
            accuracy=float(right.sum()) / self._frames,
            confidence=float(self._sums.sum()) / self._frames,
            bins=bins,
            error=calibration_error(bins),
            chance_error=float(chance.mean()),
            chance_error_95=float(np.quantile(chance, 0.95)),
            nll=self._loss / self._frames,
            # That of so skewed a figure would take hundreds of observations to hold what it says.
            nll_interval=None,
            floored=self._floored,
            floor=self._floor,
        )

    @property
    def uncalibrated(self) -> str:
        """Why there is nothing to tell; empty where there is."""
        if not self._frames:
            return "no judged frame shows a class"
        return why_improper(self._improper, self._frames) if self._improper else ""

    def _observe(self, interval: Interval, time: float) -> None:
        """Begin another observation with another interval, where this one is long enough."""
        same, self._interval = interval is self._interval, interval
        if same or (self._observations and time - self._since < self._shortest):
            return
        if self._observations == _OBSERVATIONS:
            self._counts[: _OBSERVATIONS // 2] = self._counts[::2] + self._counts[1::2]
            self._counts[_OBSERVATIONS // 2 :] = 0
            self._observations //= 2
            self._shortest *= 2
        self._since = time
        self._observations += 1


def _chance_errors(
    counts: NDArray[np.int64], confidence: NDArray[np.float64], starts: list[int]
) -> NDArray[np.float64]:
    """Errors of models that are right exactly as often as they say, drawn anew.

    Each frame is right with the probability that it says, and those of an observation together: as
    far as they can, since one number is drawn for all, and those that say more than it are right.

    Args:
        counts: (observations, steps), frames.
        confidence: (steps,), growing.
        starts: of the bins, the first of which is 0.
    """
    random = np.random.default_rng(0)
    rows = np.arange(len(counts))
    up_to = np.concatenate([np.zeros((len(counts), 1), np.int64), counts.cumsum(axis=1)], axis=1)
    certain = np.add.reduceat(counts.sum(axis=0) * confidence, starts)
    errors = []
    for _ in range(0, DRAWS, _DRAWS_AT_A_TIME):
        drawn = random.random((_DRAWS_AT_A_TIME, len(counts)))
        first_right = np.searchsorted(confidence, drawn, side="right")
        apart = np.zeros(_DRAWS_AT_A_TIME)
        for expected, (start, end) in zip(
            certain, pairwise([*starts, len(confidence)]), strict=True
        ):
            right = up_to[rows, end] - up_to[rows, first_right.clip(start, end)]
            apart += abs(right.sum(axis=1) - expected)
        errors.append(apart / counts.sum())
    return np.concatenate(errors)
