"""Bias correction: let a layer's bias make up for the mean error of its rounded weights.

Nagel et al. 2019, arXiv:1906.04721, section 4.2, with means over calibration pictures.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def bias_correction(
    weights: NDArray[np.float64], rounded: NDArray[np.float64], mean: NDArray[Any]
) -> NDArray[np.float64]:
    """What rounding took from the layer's mean output, (W - W') E[x]: to be added to its bias.

    Args:
        weights, rounded: W and W' (outputs, positions in the kernel, inputs).
        mean: E[x] of each input channel (C,); the same at every position. With n times as many
            channels as the weights have inputs the layer has n groups: each part of the outputs
            reads its own part of the channels, in a depthwise layer a single one.

    Returns:
        (outputs,)
    """
    outputs, _, inputs = weights.shape
    groups = len(mean) // inputs
    lost = (weights - rounded).sum(axis=1).reshape(groups, outputs // groups, inputs)
    return np.asarray(lost @ mean.reshape(groups, inputs, 1)).reshape(outputs)
