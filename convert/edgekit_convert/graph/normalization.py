"""Fold the normalization of pixels into a convolution, so that it takes raw pixels.

The network was trained on x = (p / 255 - mean) / std of each channel's pixels p.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.model.manifest import Normalization


def fold_normalization(
    weight: NDArray[Any], bias: NDArray[Any] | None, normalization: Normalization
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weight and bias of a convolution that takes pixels p where the given one takes x.

    W (p / 255 - mean) / std + b = (W / (255 std)) p + (b - sum W mean / std). Exact where the
    convolution does not pad; for the border see `edgekit_convert.graph.border`.

    Args:
        weight: W (outputs, 3, height, width).
        bias: b (outputs,), or none.
        normalization: mean and std.
    """
    mean, std = (
        np.reshape(values, (1, 3, 1, 1)) for values in (normalization.mean, normalization.std)
    )
    scaled = weight.astype(np.float64) / std
    shifted = (0 if bias is None else bias) - (scaled * mean).sum(axis=(1, 2, 3))
    return (scaled / 255).astype(np.float32), shifted.astype(np.float32)


def normalizing_convolution(
    normalization: Normalization,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weight (3, 3, 1, 1) and bias (3,) of a convolution that makes x of pixels p."""
    mean, std = np.array(normalization.mean), np.array(normalization.std)
    weight = np.diag(1 / (255 * std)).reshape(3, 3, 1, 1)
    return weight.astype(np.float32), (-mean / std).astype(np.float32)
