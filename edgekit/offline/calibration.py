"""Whether a model's confidence means what it says: how often it is right when it says 0.9."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgekit.model.manifest import Confidence
from edgekit.offline.statistics import NORMAL_95, rounded, wilson
from edgekit.text import one_line

# As many as in Guo et al. 2017; each has pictures enough for its accuracy to mean something.
MAXIMUM_BINS = 15
MINIMUM_IN_A_BIN = 20
# Perfectly calibrated models, whose errors are drawn; so many at a time that it takes 16 MB.
DRAWS = 1000
_AT_A_TIME = 4 << 20
# What a float32 probability can tell from 1.
_SMALLEST = float(np.finfo(np.float32).eps)
# What is answered, and how JSON calls it.
Unit = Literal["picture", "frame"]
_KEYS: dict[Unit, str] = {"picture": "images", "frame": "frames"}


@dataclass(frozen=True, slots=True)
class Bin:
    """Pictures, or frames, that were answered with about the same confidence.

    Attributes:
        low, high: the smallest and largest confidence.
        count: their number.
        right: how many were answered right.
        confidence: mean of it.
        observations: as many independent ones say as much.
    """

    low: float
    high: float
    count: int
    right: int
    confidence: float
    observations: float

    @property
    def accuracy(self) -> float:
        """The fraction answered right."""
        return self.right / self.count

    @property
    def interval(self) -> tuple[float, float]:
        """Its 95 % confidence interval."""
        return wilson(self.accuracy, self.observations)

    @property
    def off(self) -> bool:
        """Whether the confidence lies outside of the interval."""
        low, high = self.interval
        return not low <= self.confidence <= high


@dataclass(frozen=True)
class Calibration:
    """Confidence beside accuracy; confidence is the score of a picture's best class.

    Attributes:
        unit: what is answered, each by itself: pictures, or frames of a recording.
        count: their number.
        observations: how many of them are independent of each other.
        accuracy: the fraction answered right.
        confidence: mean of it.
        bins: the reliability diagram: by confidence, from the lowest, about as many in each, but
            never two with equal confidence in different ones.
        error: the expected calibration error: the distance of accuracy and mean confidence in a
            bin, averaged over all (Guo et al. 2017, arXiv:1706.04599, eq. 3).
        chance_error, chance_error_95: the error that a perfectly calibrated model with these
            confidences would show on so few observations: its mean, and what it exceeds in one of
            twenty cases.
        nll: mean negative log-likelihood of the true classes, in nats.
        nll_interval: its 95 % confidence interval; None for a single picture, and for frames.
        floored: those whose true class had a score below `floor`, mostly 0, and was counted with
            `floor`, so that `nll` is at least what it says.
        floor: half a step of a quantized output.
    """

    unit: Unit
    count: int
    observations: int
    accuracy: float
    confidence: float
    bins: list[Bin]
    error: float
    chance_error: float
    chance_error_95: float
    nll: float
    nll_interval: tuple[float, float] | None
    floored: int
    floor: float

    @property
    def verdict(self) -> str:
        """What the error says, in few words."""
        if self.error <= self.chance_error_95:
            return "no worse than chance"
        return "too sure" if self.confidence > self.accuracy else "too doubtful"

    def summary(self) -> dict[str, Any]:
        """The figures, as JSON has them."""
        interval = self.nll_interval
        of_frames = {"frames": self.count, "observations": self.observations}
        return {
            **(of_frames if self.unit == "frame" else {}),
            "accuracy": round(self.accuracy, 6),
            "confidence": round(self.confidence, 6),
            "expected_calibration_error": round(self.error, 6),
            "expected_calibration_error_by_chance": round(self.chance_error, 6),
            "expected_calibration_error_by_chance_95": round(self.chance_error_95, 6),
            "negative_log_likelihood": round(self.nll, 6),
            "negative_log_likelihood_interval": rounded(interval) if interval else None,
            "floored": self.floored,
            "bins": [
                {
                    "low": round(one.low, 6),
                    "high": round(one.high, 6),
                    _KEYS[self.unit]: one.count,
                    "confidence": round(one.confidence, 6),
                    "accuracy": round(one.accuracy, 6),
                    "accuracy_interval": rounded(one.interval),
                }
                for one in self.bins
            ],
        }


def measure_calibration(
    confidences: NDArray[np.float32],
    right: NDArray[np.bool_],
    likelihoods: NDArray[np.float32],
    step: float = 0.0,
) -> Calibration:
    """Measure it; the same answers give the same figures.

    Bins have equal mass rather than equal width, because most models are sure of most pictures: of
    15 bins of equal width all but the last would hold next to nothing, and the error would be that
    of a few pictures, or none (Nixon et al. 2019, arXiv:1904.01685). Equal confidences, of which a
    quantized model has many, stay together: in which order pictures come must not matter.

    Args:
        confidences: (pictures,), score of the best class in [0, 1]; at least one.
        right: (pictures,), whether the best class is the true one.
        likelihoods: (pictures,), score of the true class in [0, 1].
        step: of a quantized output, to which scores were rounded; 0 for a float output.
    """
    order = np.argsort(confidences, kind="stable")
    confidence = np.clip(confidences[order].astype(np.float64), 0, 1)
    hits = right[order]
    count = len(order)
    places = np.flatnonzero(np.diff(confidence, prepend=-1.0))
    starts = bin_starts(places, count, count // MINIMUM_IN_A_BIN)
    bins = [
        Bin(
            float(confidence[start]),
            float(confidence[end - 1]),
            int(end - start),
            int(hits[start:end].sum()),
            float(confidence[start:end].mean()),
            int(end - start),
        )
        for start, end in zip(starts, [*starts[1:], count], strict=True)
    ]
    chance = _chance_errors(confidence, starts)
    floor = smallest_likelihood(step)
    losses = -np.log(np.clip(likelihoods.astype(np.float64), floor, 1))
    loss, interval = float(losses.mean()), None
    if count > 1:
        spread = NORMAL_95 * float(losses.std(ddof=1)) / count**0.5
        interval = max(0.0, loss - spread), loss + spread
    return Calibration(
        unit="picture",
        count=count,
        observations=count,
        accuracy=float(hits.mean()),
        confidence=float(confidence.mean()),
        bins=bins,
        error=calibration_error(bins),
        chance_error=float(chance.mean()),
        chance_error_95=float(np.quantile(chance, 0.95)),
        nll=loss,
        nll_interval=interval,
        floored=int((likelihoods < floor).sum()),
        floor=floor,
    )


def bin_starts(places: NDArray[np.int64], count: int, bins: int) -> list[int]:
    """Where bins of nearly equal size begin in order of confidence, so that equal ones share one.

    Args:
        places: where each different confidence begins.
        count: of all.
        bins: how many are wanted; there is at least one, and at most `MAXIMUM_BINS`.
    """
    bins = max(1, min(MAXIMUM_BINS, bins))
    wanted = np.arange(1, bins) * count / bins
    return sorted({0, *(int(places[np.abs(places - place).argmin()]) for place in wanted)})


def calibration_error(bins: Sequence[Bin]) -> float:
    """The distance of accuracy and confidence in a bin, averaged over what they hold."""
    apart = sum(one.count * abs(one.accuracy - one.confidence) for one in bins)
    return apart / sum(one.count for one in bins)


def smallest_likelihood(step: float) -> float:
    """A score of the true class that is smaller counts as this: half a step of the output.

    Args:
        step: to which scores were rounded; 0 for a float output.
    """
    return step / 2 or _SMALLEST


def in_lines(
    curve: Calibration | None, uncalibrated: str, said: Confidence | None
) -> Iterator[str]:
    """What it says in a terminal, or why there is none; and what the model file says of it."""
    if said is not None:
        yield f"the file    says of its calibration: {one_line(said)}"
    if curve is None:
        yield f"confidence  not measured: {uncalibrated}"
        return
    of_frames = (
        f" (frames: {curve.count}, observations: {curve.observations})"
        if curve.unit == "frame"
        else ""
    )
    yield f"confidence  {curve.confidence:.3f} on average, accuracy {curve.accuracy:.3f}{of_frames}"
    chance = f"{curve.chance_error:.3f}, and over {curve.chance_error_95:.3f} one time in twenty"
    yield f"calibration error {curve.error:.3f}, {curve.verdict}; chance alone makes {chance}"
    yield f"likelihood  negative logarithm {'at least ' if curve.floored else ''}{curve.nll:.3f}"


def why_improper(improper: int, answers: int) -> str:
    """Why a model that does not answer with probabilities has no calibration."""
    return (
        f"{improper} of {answers} answers are no probabilities: they are not between 0 and 1, or "
        "do not add up to 1"
    )


def _chance_errors(ordered: NDArray[np.float64], starts: list[int]) -> NDArray[np.float64]:
    """Errors of models that are right exactly as often as they say, on pictures drawn anew."""
    count = len(ordered)
    random = np.random.default_rng(0)
    certain, threshold = np.add.reduceat(ordered, starts), ordered.astype(np.float32)
    rows = max(1, _AT_A_TIME // count)
    errors = []
    for done in range(0, DRAWS, rows):
        draws = random.random((min(rows, DRAWS - done), count), np.float32) < threshold
        hits = np.add.reduceat(draws, starts, axis=1, dtype=np.int64)
        errors.append(np.abs(hits - certain).sum(axis=1) / count)
    return np.concatenate(errors)
