"""Whether a model's answers are probabilities, and the pictures on which that is looked at."""

import numpy as np
from numpy.typing import NDArray

from edgekit.model.geometry import Geometry

_TOLERANCE = 0.02


def trial_pictures(geometry: Geometry) -> list[NDArray[np.uint8]]:
    """Grey, black, white and noise, (1, height, width, 3) uint8 each; the same every time."""
    shape = (1, geometry.height, geometry.width, 3)
    noise = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    return [*(np.full(shape, value, np.uint8) for value in (128, 0, 255)), noise]


def are_probabilities(values: NDArray[np.float32], step: float) -> bool:
    """Whether finite values (classes,) lie between 0 and 1 and add up to 1, but for rounding.

    Args:
        values: a model's answer.
        step: scale of its output, to which each was rounded; 0 for a float output.
    """
    # A class may lose or gain half a step. What is not a number compares as False.
    slack = _TOLERANCE + len(values) * step / 2
    inside = bool((values >= -_TOLERANCE).all() and (values <= 1 + _TOLERANCE).all())
    return inside and abs(float(values.sum()) - 1) <= slack
