"""Intervals of fractions, also of frames, which are not independent of their neighbours; tests."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgekit.text import percent

# Seconds of a recording that are taken as one observation: long beside what makes neighbouring
# frames alike, short beside a recording.
BLOCK = 2.0
NORMAL_95 = 1.959964  # standard deviations on either side that hold 95 %


def wilson(fraction: float, count: float) -> tuple[float, float]:
    """95 % confidence interval of a fraction in [0, 1] (Wilson 1927, J. Am. Stat. Assoc. 22).

    Args:
        fraction: what was observed.
        count: number of independent observations; the interval of none is all of [0, 1].
    """
    if count <= 0:
        return 0.0, 1.0
    spread = NORMAL_95 * math.sqrt(
        fraction * (1 - fraction) / count + NORMAL_95**2 / (4 * count**2)
    )
    centre, scale = fraction + NORMAL_95**2 / (2 * count), 1 + NORMAL_95**2 / count
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def in_words(interval: tuple[float, float]) -> str:
    """A 95 % interval as `95% interval 93.2 to 97.0`."""
    low, high = interval
    return f"95% interval {100 * low:.1f} to {100 * high:.1f}"


def rounded(interval: tuple[float, float]) -> list[float]:
    """An interval as JSON has it."""
    return [round(end, 6) for end in interval]


def binomial_tail(hits: int, count: int, probability: float) -> float:
    """Probability of as many hits or more, of `count` independent ones (binomial)."""
    if probability <= 0:
        return float(hits <= 0)
    logs = (
        math.lgamma(count + 1) - math.lgamma(k + 1) - math.lgamma(count - k + 1)
        + k * math.log(probability) + (count - k) * math.log1p(-probability)
        for k in range(hits, count + 1)
    )  # fmt: skip
    return min(1.0, sum(math.exp(log) for log in logs))


def mcnemar(only_a: int, only_b: int) -> float:
    """How likely chance parts two equally good models so far, or further (p value, two-sided).

    McNemar's test (1947, Psychometrika 12) in its exact form: of the pictures that one model alone
    answers right, each is as likely the one's as the other's, so that their number is binomial.

    Args:
        only_a, only_b: pictures that the one model alone, and the other alone, answers right.
    """
    return min(1.0, 2 * binomial_tail(max(only_a, only_b), only_a + only_b, 0.5))


@dataclass(frozen=True)
class PictureFraction:
    """The fraction of pictures that something is true of; each is independent of the others.

    Attributes:
        hits, count: pictures that it is true of, and all.
    """

    hits: int
    count: int

    @property
    def value(self) -> float | None:
        """The fraction, in [0, 1]; None for no pictures."""
        return self.hits / self.count if self.count else None

    def interval(self) -> tuple[float, float]:
        """Its 95 % confidence interval, Wilson's."""
        return wilson(self.value or 0.0, self.count)

    def __str__(self) -> str:
        return "–" if self.value is None else percent(self.value)

    @property
    def spread(self) -> str:
        """The interval as `71–93`, in percent; nothing for no pictures."""
        low, high = self.interval()
        return f"{100 * low:.0f}–{100 * high:.0f}" if self.count else ""

    def summary(self, name: str) -> dict[str, Any]:
        """It and its interval, as JSON has them; null for no pictures."""
        value = self.value
        return {
            name: None if value is None else round(value, 6),
            f"{name}_interval": None if value is None else rounded(self.interval()),
        }


class FrameFraction:
    """The fraction of frames that something is true of; two seconds of them are one cluster.

    Frames of a video resemble each other, so that thousands of them may say no more than dozens.
    The interval is Wilson's for the effective number of frames: their number over the design
    effect (Kish 1965), which is the variance between clusters over that of independent frames.

    Attributes:
        hits, count: frames that it is true of, and all.
    """

    def __init__(self) -> None:
        self.hits = 0
        self.count = 0
        self._clusters: dict[int, list[int]] = {}

    def add(self, hit: bool, time: float) -> None:
        """Count a frame, at a time in seconds."""
        cluster = self._clusters.setdefault(int(time // BLOCK), [0, 0])
        cluster[0] += hit
        cluster[1] += 1
        self.hits += hit
        self.count += 1

    @property
    def value(self) -> float:
        """The fraction, in [0, 1]; 0 for no frames."""
        return self.hits / self.count if self.count else 0.0

    def interval(self) -> tuple[float, float]:
        """Its 95 % confidence interval."""
        clusters = len(self._clusters)
        fraction = self.value
        if clusters < 2 or fraction in (0.0, 1.0):
            # All alike: each cluster is one observation.
            return wilson(fraction, clusters)
        hits, counts = np.array(list(self._clusters.values()), dtype=float).T
        # Of a ratio, linearised.
        residuals = ((hits - fraction * counts) ** 2).sum()
        variance = clusters / (clusters - 1) * residuals / self.count**2
        independent = fraction * (1 - fraction) / self.count
        effect = max(1.0, float(variance) / independent)
        return wilson(fraction, self.count / effect)
