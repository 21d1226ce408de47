"""The temperature that makes a network's confidence mean what it says.

Guo et al. 2017, "On Calibration of Modern Neural Networks", arXiv:1706.04599, section 4.2: softmax
of the logits over T, with the T of the greatest likelihood on labelled pictures. Of few pictures
that is uncertain, so that what is used is the end of its 95 % interval that is nearer to 1.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekit.offline.statistics import NORMAL_95
from edgekit_convert.answers import log_softmax

# Networks were seen to need 0.7 to 2.6. What needs more is not a matter of a temperature.
LOWEST, HIGHEST = 0.2, 5.0
FOLDS = 10
_STEPS = 50
_EXACT = 1e-6  # of the temperature's logarithm
# Of values at once: 32 MB in double precision.
_AT_A_TIME = 4 << 20


class Fit(NamedTuple):
    """The temperature of the greatest likelihood.

    Attributes:
        likeliest: that between `LOWEST` and `HIGHEST`.
        error: standard error of its logarithm; infinite where it is at one of these ends.
    """

    likeliest: float
    error: float

    @property
    def interval(self) -> tuple[float, float]:
        """Its 95 % interval, between `LOWEST` and `HIGHEST`."""
        spread = NORMAL_95 * self.error
        low, high = (math.exp(math.log(self.likeliest) + end) for end in (-spread, spread))
        return max(low, LOWEST), min(high, HIGHEST)

    @property
    def temperature(self) -> float:
        """The end of its 95 % interval that is nearer to 1; 1 where the interval holds that."""
        logarithm = math.log(self.likeliest)
        certain = max(0.0, abs(logarithm) - NORMAL_95 * self.error)
        return math.exp(math.copysign(certain, logarithm))


def fit_temperature(
    logits: NDArray[np.float32], truth: NDArray[np.int64], start: float = 1.0
) -> Fit:
    """Fit it to labelled pictures.

    The negative log-likelihood is convex in 1 / T: a picture's slope is E[z] - z of the true class,
    with E over the probabilities of the classes, and grows by the variance of z. Newton's method,
    inside an interval that shrinks, finds where the mean slope is 0. The standard error is the
    sandwich, which does not suppose that a temperature is all the network lacks (White 1982,
    Econometrica 50).

    Args:
        logits: (N, classes), finite; N at least 2.
        truth: class indices (N,).
        start: where to begin; near the result it takes fewer steps.
    """
    low, high = 1 / HIGHEST, 1 / LOWEST
    inverse = 1 / start
    for _ in range(_STEPS):
        slopes, curvature = _slopes(logits, truth, inverse)
        slope = float(slopes.mean())
        low, high = (low, inverse) if slope > 0 else (inverse, high)
        step = inverse - slope / curvature if curvature > 0 else 0.0
        following = step if low < step < high else math.sqrt(low * high)
        done = abs(math.log(following / inverse)) < _EXACT
        inverse = following
        if done:
            break
    at_an_end = not 1.001 / HIGHEST < inverse < 0.999 / LOWEST
    if at_an_end or curvature <= 0:
        return Fit(1 / inverse, math.inf)
    error = float(slopes.std(ddof=1)) / math.sqrt(len(truth)) / curvature
    return Fit(1 / inverse, error / inverse)


def _slopes(
    logits: NDArray[np.float32], truth: NDArray[np.int64], inverse: float
) -> tuple[NDArray[np.float64], float]:
    """Each picture's slope (N,) of the negative log-likelihood in 1 / T, and the mean curvature."""
    slopes, variance = [], 0.0
    rows = max(1, _AT_A_TIME // logits.shape[1])
    for start in range(0, len(truth), rows):
        values = logits[start : start + rows].astype(np.float64)
        true = np.take_along_axis(values, truth[start : start + rows, None], axis=1)
        values -= true
        weights = np.exp(log_softmax(inverse * values))
        means = (weights * values).sum(axis=1)
        slopes.append(means)
        variance += float(((weights * values**2).sum(axis=1) - means**2).sum())
    return np.concatenate(slopes), variance / len(truth)


def cross_validate(
    logits: NDArray[np.float32], truth: NDArray[np.int64], start: float, seed: int
) -> NDArray[np.float64]:
    """For each picture (N,) the temperature that pictures of the other folds give.

    Args:
        logits: (N, classes), finite, of twice as many pictures as there are folds at least.
        truth: class indices (N,).
        start: the likeliest of all pictures.
        seed: of the folds.
    """
    order = np.random.default_rng(seed).permutation(len(truth))
    temperatures = np.empty(len(truth))
    for fold in np.array_split(order, FOLDS):
        others = np.ones(len(truth), np.bool_)
        others[fold] = False
        fit = fit_temperature(logits[others], truth[others], start)
        temperatures[fold] = fit.temperature
    return temperatures


def log_likelihoods(logits: NDArray[np.float32], truth: NDArray[np.int64]) -> NDArray[np.float64]:
    """Logarithms (N,) of the true classes' probabilities, in double precision: none is 0."""
    return np.take_along_axis(log_softmax(logits), truth[:, None], axis=1)[:, 0]
