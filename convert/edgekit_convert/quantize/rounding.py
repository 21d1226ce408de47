"""Round weights to 8 bits, each to the nearest integer."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Weights use -127…127, symmetric around 0, whose zero point is 0.
MAXIMUM = 127


def nearest(
    weights: NDArray[Any], scales: NDArray[Any], sample: NDArray[Any] | None = None
) -> NDArray[Any]:
    """Integers in -127…127, as floats, that are nearest to the weights in units of their scales.

    Args:
        weights: any shape.
        scales: positive, a shape that broadcasts to that of the weights.
        sample: not used; see `edgekit_convert.quantize.gptq.gptq`.
    """
    return np.asarray(np.clip(np.rint(weights / scales), -MAXIMUM, MAXIMUM))
