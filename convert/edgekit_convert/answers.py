"""Answers to pictures, and how far those of two models are apart."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgekit.offline.statistics import NORMAL_95

# Half a step of an 8-bit probability: what a client may have seen as 0.
MINIMUM_PROBABILITY = 1 / 512
# Pixels of a batch. In larger ones PyTorch waits for the kernel to hand it fresh memory.
_PIXELS = 4 * 224 * 224
_LEAST_NOISE = 1e-20  # over the signal: 200 dB


def softmax(logits: NDArray[Any]) -> NDArray[np.float32]:
    """Probabilities of logits (N, classes)."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True), dtype=np.float32)


class Answers(NamedTuple):
    """Logits and probabilities (N, classes) float32; the probabilities are what a client sees."""

    logits: NDArray[np.float32]
    probabilities: NDArray[np.float32]

    @classmethod
    def of_logits(cls, logits: NDArray[np.float32]) -> "Answers":
        """Both, from logits alone."""
        return cls(logits, softmax(logits))

    @classmethod
    def of_probabilities(cls, probabilities: NDArray[np.float32]) -> "Answers":
        """Both, from probabilities in 8 bits alone: those that say 0 are half a step.

        The logits are logarithms, so that their softmax is the probabilities, summing to 1 again.
        """
        return cls(np.log(np.maximum(probabilities, MINIMUM_PROBABILITY)), probabilities)

    @classmethod
    def join(cls, parts: "list[Answers]") -> "Answers":
        """Answers to all pictures, from answers to batches of them."""
        return cls(*(np.concatenate(values) for values in zip(*parts, strict=True)))

    def of(self, chosen: NDArray[np.intp]) -> "Answers":
        """Answers to some of the pictures."""
        return Answers(self.logits[chosen], self.probabilities[chosen])


# A model's answers to pictures (N, H, W, 3) uint8.
Answer: TypeAlias = Callable[[NDArray[np.uint8]], Answers]


def in_batches(
    answer: Answer, pictures: NDArray[np.uint8], advance: Callable[[int], None] = lambda done: None
) -> Answers:
    """Answers to many pictures; `advance` is called with the number of each batch."""
    size = max(1, _PIXELS // (pictures.shape[1] * pictures.shape[2]))
    parts = []
    for start in range(0, len(pictures), size):
        batch = pictures[start : start + size]
        parts.append(answer(batch))
        advance(len(batch))
    return Answers.join(parts)


def agreement(answers: Answers, reference: Answers) -> float:
    """Fraction of the pictures with the same top-1, in [0, 1]."""
    same = answers.probabilities.argmax(axis=1) == reference.probabilities.argmax(axis=1)
    return round(float(same.mean()), 6)


def signal_to_noise(reference: NDArray[Any], values: NDArray[Any]) -> float | None:
    """10 log10 of the reference's energy over the difference's, in dB; None without difference."""
    exact = reference.astype(np.float64)
    return decibels(float((exact**2).sum()), float(((exact - values) ** 2).sum()))


def decibels(signal: float, noise: float) -> float | None:
    """10 log10 of two energies' ratio, in dB; None without noise."""
    return round(10 * math.log10(max(signal, 1e-30) / noise), 2) if noise else None


def logit_ratio(reference: NDArray[Any], logits: NDArray[Any]) -> float | None:
    """Signal-to-noise ratio of logits (N, classes), in dB; None without difference.

    Each picture's mean logit is left out, of both: a softmax does not see it.
    """
    return signal_to_noise(_centred(reference), _centred(logits))


def logit_ratio_interval(
    reference: NDArray[Any], logits: NDArray[Any]
) -> tuple[float, float] | None:
    """95 % confidence interval of `logit_ratio` over pictures like these; None without difference.

    Noise over signal is a ratio estimator: its variance is that of the residuals of each picture's
    noise (Cochran 1977, Sampling Techniques, section 2.11).
    """
    exact, other = _centred(reference), _centred(logits)
    noise, signal = ((values**2).sum(axis=1) for values in (other - exact, exact))
    if not noise.any():
        return None
    total = max(float(signal.sum()), 1e-30)
    ratio = float(noise.sum()) / total
    low, high = _interval((noise - ratio * signal) * len(noise) / total)
    # Of few pictures it may reach to no noise at all, and to nothing but noise.
    ends = (min(max(ratio + end, _LEAST_NOISE), 1 / _LEAST_NOISE) for end in (high, low))
    worse, better = (round(-10 * math.log10(end), 2) for end in ends)
    return worse, better


def score_change(probabilities: NDArray[Any], reference: NDArray[Any]) -> NDArray[np.float64]:
    """By how much each picture's score changed (N,): the probability of the reference's answer.

    Args:
        probabilities, reference: (N, classes), as a client sees them.
    """
    answer = reference.argmax(axis=1)[:, None]
    before, after = (
        np.take_along_axis(values, answer, axis=1)[:, 0] for values in (reference, probabilities)
    )
    return np.asarray(np.abs(after.astype(np.float64) - before))


def mean_interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """95 % confidence interval of the mean of values (N,) that are not below 0."""
    low, high = _interval(values - values.mean())
    return max(0.0, float(values.mean()) + low), float(values.mean()) + high


def _interval(residuals: NDArray[np.float64]) -> tuple[float, float]:
    """How far the mean of residuals around 0 may be from it; of one, anything."""
    count = len(residuals)
    if count < 2:
        return -math.inf, math.inf
    error = math.sqrt(float((residuals**2).sum()) / (count - 1) / count)
    return -NORMAL_95 * error, NORMAL_95 * error


def logit_divergence(logits: NDArray[Any], reference: NDArray[Any]) -> float:
    """Mean Kullback-Leibler divergence of q = softmax(logits) from p = softmax(reference), in nats.

    The mean over pictures of sum p (log p - log q), in double precision, where no probability is 0.
    """
    exact, other = (log_softmax(values) for values in (reference, logits))
    # Below 0 it is by rounding alone (Gibbs' inequality).
    return max(0.0, float((np.exp(exact) * (exact - other)).sum(axis=1).mean()))


def log_softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    """Logarithms of the probabilities of logits (N, classes), in double precision: none is 0."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def _centred(logits: NDArray[Any]) -> NDArray[np.float64]:
    values = logits.astype(np.float64)
    return np.asarray(values - values.mean(axis=1, keepdims=True))
