"""GPTQ: round weights so that the errors of a layer's input channels make up for each other.

Frantar et al. 2022, arXiv:2210.17323, with the covariance of the channels at one position of the
kernel instead of that of whole patches: the same for all positions, and small. The covariance, and
not the second moment: what rounding does to the mean of the output is left to bias correction.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit_convert.quantize.rounding import nearest

# Fraction of the mean variance that is added to each variance, so that the covariance has an
# inverse; the paper has 0.01 for many more samples.
_DAMPING = 0.05
# Input channels whose errors reach the channels behind them in one matrix product.
_BLOCK = 64


def gptq(
    weights: NDArray[np.float64], scales: NDArray[np.float64], sample: NDArray[np.float32]
) -> NDArray[Any]:
    """Round one input channel after the other, and let the rest make up for the error so far.

    Args:
        weights: (R, C); each row multiplies an input (C,).
        scales: (R, 1), positive.
        sample: inputs (S, C).

    Returns:
        integers in -127…127 (R, C), as floats; the nearest ones where the sample is constant.
    """
    centred = sample.astype(np.float64) - sample.mean(axis=0, dtype=np.float64)
    covariance = centred.T @ centred / len(centred)
    channels = len(covariance)
    mean = float(np.trace(covariance)) / channels
    if mean <= 0:
        return nearest(weights, scales)
    covariance[np.diag_indices(channels)] += _DAMPING * mean
    # The channels of largest variance first, while there are most others left to correct them.
    order = np.argsort(-np.diag(covariance), kind="stable")
    inverse = np.linalg.inv(covariance[order][:, order])
    upper = np.linalg.cholesky((inverse + inverse.T) / 2).T.astype(np.float32)
    # Channel by channel, so with the channels first in memory.
    left = np.ascontiguousarray(weights.T[order], dtype=np.float32)
    scale = scales[:, 0].astype(np.float32)
    rounded = np.empty_like(left)
    for start in range(0, channels, _BLOCK):
        stop = min(start + _BLOCK, channels)
        errors = np.empty((stop - start, len(scale)), np.float32)
        for channel in range(start, stop):
            rounded[channel] = nearest(left[channel], scale)
            errors[channel - start] = left[channel] - rounded[channel] * scale
            errors[channel - start] /= upper[channel, channel]
            rest = slice(channel + 1, stop)
            left[rest] -= np.outer(upper[channel, rest], errors[channel - start])
        left[stop:] -= upper[start:stop, stop:].T @ errors
    restored = np.empty((len(weights), channels), np.float32)
    restored[:, order] = rounded.T
    return restored
