"""Bias correction: let a layer's bias make up for the mean error of its rounded weights.

Nagel et al. 2019, arXiv:1906.04721, section 4.2, with means over calibration pictures.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def bias_correction(
    weights: NDArray[np.float64],
    rounded: NDArray[np.float64],
    mean: NDArray[Any],
    *,
    depthwise: bool = False,
) -> NDArray[np.float64]:
    """What rounding took from the layer's mean output, (W - W') E[x]: to be added to its bias.

    Args:
        weights, rounded: W and W' (outputs, positions in the kernel, inputs).
        mean: E[x] of each input channel (C,); the same at every position.
        depthwise: each output reads one input channel alone, and the weights have one input; of n
            times as many outputs as channels, each n in a row read the same.

    Returns:
        (outputs,)
    """
    lost = (weights - rounded).sum(axis=1)
    if depthwise:
        return np.asarray(lost[:, 0] * np.repeat(mean, len(lost) // len(mean)))
    return np.asarray(lost @ mean)
