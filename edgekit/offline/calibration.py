"""Whether a model's confidence means what it says: how often it is right when it says 0.9."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekit.offline.statistics import NORMAL_95, rounded, wilson

# As many as in Guo et al. 2017; each has pictures enough for its accuracy to mean something.
MAXIMUM_BINS = 15
_PICTURES_A_BIN = 20
# Of perfectly calibrated models, so many at a time that their answers take 16 MB.
_DRAWS = 1000
_AT_A_TIME = 4 << 20
# What a float32 probability can tell from 1; one of the true class that is smaller counts as this.
_SMALLEST = float(np.finfo(np.float32).eps)


class Bin(NamedTuple):
    """Pictures that were answered with about the same confidence.

    Attributes:
        low, high: the smallest and largest confidence.
        images: their number.
        right: how many were answered right.
        confidence: mean of it.
    """

    low: float
    high: float
    images: int
    right: int
    confidence: float

    @property
    def accuracy(self) -> float:
        """The fraction answered right."""
        return self.right / self.images

    @property
    def interval(self) -> tuple[float, float]:
        """Its 95 % confidence interval."""
        return wilson(self.accuracy, self.images)

    @property
    def off(self) -> bool:
        """Whether the confidence lies outside of the interval."""
        low, high = self.interval
        return not low <= self.confidence <= high


@dataclass(frozen=True)
class Calibration:
    """Confidence beside accuracy; confidence is the score of a picture's best class.

    Attributes:
        images: number of pictures.
        accuracy: the fraction answered right.
        confidence: mean of it.
        bins: the reliability diagram: by confidence, from the lowest, about as many pictures in
            each, but never two with equal confidence in different ones.
        error: the expected calibration error: the distance of accuracy and mean confidence in a
            bin, averaged over pictures (Guo et al. 2017, arXiv:1706.04599, eq. 3).
        chance_error, chance_error_95: the error that a perfectly calibrated model with these
            confidences would show on so few pictures: its mean, and what it exceeds in one of
            twenty cases.
        nll: mean negative log-likelihood of the true classes, in nats.
        nll_interval: its 95 % confidence interval; None for a single picture.
        floored: pictures whose true class had a score below `floor`, mostly 0, and was counted with
            `floor`, so that `nll` is at least what it says.
        floor: half a step of a quantized output.
    """

    images: int
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
        return {
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
                    "images": one.images,
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
    starts = _starts(confidence, max(1, min(MAXIMUM_BINS, count // _PICTURES_A_BIN)))
    bins = [
        Bin(
            float(confidence[start]),
            float(confidence[end - 1]),
            int(end - start),
            int(hits[start:end].sum()),
            float(confidence[start:end].mean()),
        )
        for start, end in zip(starts, [*starts[1:], count], strict=True)
    ]
    error = sum(one.images * abs(one.accuracy - one.confidence) for one in bins) / count
    chance = _chance_errors(confidence, starts)
    floor = step / 2 or _SMALLEST
    losses = -np.log(np.clip(likelihoods.astype(np.float64), floor, 1))
    loss, interval = float(losses.mean()), None
    if count > 1:
        spread = NORMAL_95 * float(losses.std(ddof=1)) / count**0.5
        interval = max(0.0, loss - spread), loss + spread
    return Calibration(
        images=count,
        accuracy=float(hits.mean()),
        confidence=float(confidence.mean()),
        bins=bins,
        error=error,
        chance_error=float(chance.mean()),
        chance_error_95=float(np.quantile(chance, 0.95)),
        nll=loss,
        nll_interval=interval,
        floored=int((likelihoods < floor).sum()),
        floor=floor,
    )


def _starts(ordered: NDArray[np.float64], bins: int) -> list[int]:
    """Where bins of nearly equal size begin, so that equal values share one."""
    values = np.flatnonzero(np.diff(ordered, prepend=-1.0))
    wanted = np.arange(1, bins) * len(ordered) / bins
    nearest = [int(values[np.abs(values - place).argmin()]) for place in wanted]
    return sorted({0, *nearest})


def _chance_errors(ordered: NDArray[np.float64], starts: list[int]) -> NDArray[np.float64]:
    """Errors of models that are right exactly as often as they say, on pictures drawn anew."""
    count = len(ordered)
    random = np.random.default_rng(0)
    certain, threshold = np.add.reduceat(ordered, starts), ordered.astype(np.float32)
    rows = max(1, _AT_A_TIME // count)
    errors = []
    for done in range(0, _DRAWS, rows):
        draws = random.random((min(rows, _DRAWS - done), count), np.float32) < threshold
        hits = np.add.reduceat(draws, starts, axis=1, dtype=np.int64)
        errors.append(np.abs(hits - certain).sum(axis=1) / count)
    return np.concatenate(errors)
