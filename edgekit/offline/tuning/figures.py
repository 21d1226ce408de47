"""What a decision does on recordings, in the few figures that it is judged by."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.offline.statistics import rounded, wilson
from edgekit.offline.tuning.judging import Outcomes

_RESAMPLES = 1000
_SEED = 0
_PERCENTILES = (2.5, 97.5)


@dataclass(frozen=True)
class Figures:
    """Events and costs of one setting, or of the one that each part was left out of choosing.

    Attributes:
        events: number of intervals of the truth.
        delays: seconds until each that was answered was, sorted.
        answers, right: decided labels that overlap a judged time, and those that were right.
        repeated: right ones that tell again what was told of the same interval.
        hours: of the recordings.
        cost: of an event, on average.
        delay_interval, cost_interval: 95 % intervals of the median delay and of the cost, by
            resampling the parts (percentiles: Efron and Tibshirani 1993); None without delays.
    """

    events: int
    delays: list[float]
    answers: int
    right: int
    repeated: int
    hours: float
    cost: float
    delay_interval: tuple[float, float] | None
    cost_interval: tuple[float, float]

    @property
    def found(self) -> int:
        """Intervals of the truth that were answered."""
        return len(self.delays)

    @property
    def missed(self) -> int:
        """Those that were not."""
        return self.events - self.found

    @property
    def false(self) -> int:
        """Answers that were wrong."""
        return self.answers - self.right

    @property
    def median_delay(self) -> float | None:
        """In seconds; None where nothing was found."""
        return statistics.median(self.delays) if self.delays else None

    def found_interval(self) -> tuple[float, float]:
        """The 95 % interval of the fraction of events that are found (Wilson)."""
        return wilson(self.found / self.events, self.events)

    def right_interval(self) -> tuple[float, float]:
        """The 95 % interval of the fraction of answers that are right (Wilson)."""
        return wilson(self.right / self.answers if self.answers else 0.0, self.answers)

    def summary(self) -> dict[str, Any]:
        """The figures, as JSON has them."""
        delay = self.median_delay
        return {
            "events": self.events,
            "found": self.found,
            "missed": self.missed,
            "found_interval": rounded(self.found_interval()),
            "answers": self.answers,
            "right": self.right,
            "right_interval": rounded(self.right_interval()),
            "false": self.false,
            "repeated": self.repeated,
            "false_per_hour": round(self.false / self.hours, 3),
            "delay_s": None if delay is None else round(delay, 6),
            "delay_interval_s": self.delay_interval and rounded(self.delay_interval),
            "cost": round(self.cost, 6),
            "cost_interval": rounded(self.cost_interval),
        }


def figures(
    outcomes: Outcomes, costs: NDArray[np.float64], chosen: Sequence[int], hours: float
) -> Figures:
    """Figures of the setting that was chosen for each part.

    Args:
        outcomes: of some settings.
        costs: (settings, parts) of theirs.
        chosen: (parts,) places among these settings.
        hours: of the recordings.
    """
    rows, parts = np.asarray(chosen), np.arange(outcomes.parts)
    delays = outcomes.delays[rows[outcomes.part_of], np.arange(len(outcomes.part_of))]
    events_of = np.bincount(outcomes.part_of, minlength=outcomes.parts)
    cost = costs[rows, parts]
    samples = np.random.default_rng(_SEED).integers(len(parts), size=(_RESAMPLES, len(parts)))
    with_events = samples[events_of[samples].sum(axis=1) > 0]
    each = cost[with_events].sum(axis=1) / events_of[with_events].sum(axis=1)
    answers, right, repeated = (
        int(one[rows, parts].sum()) for one in (outcomes.answers, outcomes.right, outcomes.repeated)
    )
    return Figures(
        events=len(delays),
        delays=sorted(float(delay) for delay in delays[~np.isnan(delays)]),
        answers=answers,
        right=right,
        repeated=repeated,
        hours=hours,
        cost=float(cost.sum()) / len(delays),
        delay_interval=_median_interval(delays, outcomes.part_of, samples),
        cost_interval=_percentiles(each),
    )


def _median_interval(
    delays: NDArray[np.float64], part_of: NDArray[np.int64], samples: NDArray[np.int64]
) -> tuple[float, float] | None:
    there = ~np.isnan(delays)
    of_part = [delays[there & (part_of == part)] for part in range(samples.shape[1])]
    drawn = (np.concatenate([of_part[part] for part in sample]) for sample in samples)
    medians = [float(np.median(one)) for one in drawn if len(one)]
    return _percentiles(np.array(medians)) if medians else None


def _percentiles(values: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.percentile(values, _PERCENTILES)
    return float(low), float(high)
