"""What a network's BatchNorm layers remember of training, and what they see of pictures."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# Pixels of a batch, as many as bring PyTorch's threads to work without filling the memory.
_PIXELS = 8 * 224 * 224


class Moments(NamedTuple):
    """Mean and variance of every channel, (C,) float64 each."""

    mean: NDArray[np.float64]
    variance: NDArray[np.float64]


class Norm(NamedTuple):
    """A BatchNorm layer: its name, what it remembers, and what it adds to a variance."""

    name: str
    remembered: Moments
    eps: float

    def divergence(self, seen: Moments) -> float:
        """Median over the channels of the divergence of what is seen from what is remembered.

        KL(N(m, v) || N(M, V)) = (v / V + (m - M)^2 / V - 1 - log(v / V)) / 2 of two normal
        distributions, in nats; `eps` is in both variances, as the layer has it.
        """
        variance, remembered = seen.variance + self.eps, self.remembered.variance + self.eps
        ratio = variance / remembered
        offset = (seen.mean - self.remembered.mean) ** 2 / remembered
        return float(np.median(ratio + offset - 1 - np.log(ratio)) / 2)


@dataclass(frozen=True)
class Memory:
    """The BatchNorm layers of a network.

    Attributes:
        norms: in the order in which a picture passes them.
        batch: number of pictures that the network takes at once; None for any.
        watch: the inputs of the first layers for a batch (N, 3, H, W) float32, normalized, and
            the number of layers.
    """

    norms: list[Norm]
    batch: int | None
    watch: Callable[[NDArray[np.float32], int], list[Moments]]

    @property
    def untrained(self) -> list[Norm]:
        """The layers that have the mean 0 and the variance 1 that they were made with."""
        return [
            norm
            for norm in self.norms
            if not norm.remembered.mean.any() and (norm.remembered.variance == 1).all()
        ]

    def see(self, pictures: NDArray[np.float32], layers: int | None = None) -> list[Moments]:
        """Mean and variance of what the first `layers`, or all of them, get.

        Args:
            pictures: normalized, (N, 3, H, W) float32.
            layers: how many; what lies behind them is not computed.

        Raises:
            ConversionError: the network does not take such pictures.
        """
        size = self.batch or max(1, _PIXELS // (pictures.shape[2] * pictures.shape[3]))
        parts = [pictures[start : start + size] for start in range(0, len(pictures), size)]
        shares = np.array([len(part) / len(pictures) for part in parts])
        watched = [self.watch(part, layers or len(self.norms)) for part in parts]
        return join(watched, shares)


def moments(values: NDArray[np.float32]) -> Moments:
    """Of the channels of an activation (N, C, ...)."""
    axes = tuple(axis for axis in range(values.ndim) if axis != 1)
    wide = values.astype(np.float64)
    return Moments(wide.mean(axis=axes), wide.var(axis=axes))


def join(parts: list[list[Moments]], shares: NDArray[np.float64]) -> list[Moments]:
    """Moments of each layer over all pictures, from those of parts with these shares of them."""
    return [_joined(of_layer, shares) for of_layer in zip(*parts, strict=True)]


def _joined(parts: tuple[Moments, ...], shares: NDArray[np.float64]) -> Moments:
    """Over all batches, from those of each."""
    means = np.stack([part.mean for part in parts])
    variances = np.stack([part.variance for part in parts])
    mean = shares @ means
    return Moments(mean, shares @ (variances + (means - mean) ** 2))
