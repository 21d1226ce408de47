"""Answers to pictures, and how far those of two models are apart."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

# Half a step of an 8-bit probability: what a client may have seen as 0.
MINIMUM_PROBABILITY = 1 / 512
# Pixels of a batch. In larger ones PyTorch waits for the kernel to hand it fresh memory.
_PIXELS = 4 * 224 * 224


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


def divergence(probabilities: NDArray[Any], reference: NDArray[Any], minimum: float) -> float:
    """Mean Kullback-Leibler divergence of probabilities (N, classes) from a reference, in nats.

    A probability below `minimum` counts as that much.
    """
    ratio = np.log(np.maximum(reference, 1e-12)) - np.log(np.maximum(probabilities, minimum))
    return max(0.0, float((reference * ratio).sum(axis=1).mean()))


def logit_divergence(logits: NDArray[np.float32], reference: NDArray[np.float32]) -> float:
    """Mean Kullback-Leibler divergence of softmax(logits) from softmax(reference), in nats."""
    exact, other = (softmax(values.astype(np.float64)) for values in (reference, logits))
    return divergence(other, exact, 1e-12)
