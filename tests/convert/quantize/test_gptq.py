"""GPTQ, against its first steps by hand and against its promise."""

import numpy as np
import pytest
from edgekit_convert.quantize.gptq import gptq
from edgekit_convert.quantize.rounding import nearest
from numpy.typing import NDArray

from tests.convert.toys import normal


def _correlated(samples: int, channels: int, seed: int = 0) -> NDArray[np.float32]:
    """Inputs of few hidden causes, with unequal variances and means, as behind a ReLU."""
    causes = normal(samples, 4, seed=seed) @ normal(4, channels, seed=seed + 1)
    spread = np.linspace(0.5, 3, channels)
    own = 0.1 * normal(samples, channels, seed=seed + 2)
    return np.maximum((causes + own) * spread, 0).astype(np.float32)


def _output_error(
    weights: NDArray[np.float64], rounded: NDArray[np.float64], sample: NDArray[np.float32]
) -> float:
    """Variance of what rounding changes in the outputs: (W - W') C (W - W')^T, summed."""
    changed = (weights - rounded) @ np.asarray(sample, np.float64).T
    return float(changed.var(axis=1).sum())


class TestNearest:
    def test_by_hand(self) -> None:
        weights = np.array([[0.26, -0.24, 0.75], [1.1, -9.9, 3.0]])
        scales = np.array([[0.5], [2.0]])
        assert nearest(weights, scales).tolist() == [[1, 0, 2], [1, -5, 2]]

    def test_weights_use_127_integers_on_either_side(self) -> None:
        found = nearest(np.array([[-500.0, -127.4, 126.6, 127.6, 500.0]]), np.array([[1.0]]))
        assert found.tolist() == [[-127, -127, 127, 127, 127]]


def test_the_error_of_a_channel_is_made_up_for_by_one_that_moves_with_it() -> None:
    # Two equal inputs of variance 1, to which the damping adds 5 % of the mean variance: the
    # covariance is [[1.05, 1], [1, 1.05]]. The first weight loses 0.4, which the second makes up
    # for by 0.4 x 1 / 1.05 = 0.381: 0.2 + 0.381 is rounded to 1 where 0.2 alone was to 0.
    sample = np.array([[1, 1], [-1, -1]], np.float32)
    weights, scale = np.array([[0.4, 0.2]]), np.array([[1.0]])
    assert gptq(weights, scale, sample).tolist() == [[0, 1]]
    assert nearest(weights, scale).tolist() == [[0, 0]]
    # 0.4 x 0.952 is 0.381, and 0.118 + 0.381 is not yet rounded up.
    assert gptq(np.array([[0.4, 0.118]]), scale, sample).tolist() == [[0, 0]]
    assert gptq(np.array([[0.4, 0.120]]), scale, sample).tolist() == [[0, 1]]


def test_inputs_that_move_against_each_other_have_the_other_sign() -> None:
    sample = np.array([[1, -1], [-1, 1]], np.float32)
    assert gptq(np.array([[0.4, -0.2]]), np.array([[1.0]]), sample).tolist() == [[0, -1]]
    assert gptq(np.array([[0.4, 0.2]]), np.array([[1.0]]), sample).tolist() == [[0, 0]]


def test_the_channel_of_larger_variance_is_rounded_first() -> None:
    # Variances 1 and 9, damped by 0.25: the second is rounded first and loses 0.4, for which the
    # first makes up by 0.4 x 3 / 1.25 = 0.96 to 1.36, which is 1. The other way round it would be
    # 0, and the second would make up for 0.4 by 0.4 x 3 / 9.25 = 0.13 to 0.53, which is 1.
    sample = np.array([[1, 3], [-1, -3]], np.float32)
    assert gptq(np.array([[0.4, 0.4]]), np.array([[1.0]]), sample).tolist() == [[1, 0]]


@pytest.mark.parametrize("channels", [3, 64, 150])
def test_each_channel_is_rounded_after_the_best_answer_to_the_errors_so_far(channels: int) -> None:
    sample = _correlated(2_000, channels)
    weights = normal(5, channels, seed=9)
    scales = np.abs(weights).max(axis=1, keepdims=True) / 20
    # By another formula: with the channels f rounded, (W - W') H (W - W')^T is smallest where the
    # others r are W_r + (W_f - W'_f) H_fr H_rr^-1.
    hessian = np.cov(sample.T.astype(np.float64), bias=True)
    hessian += 0.05 * np.trace(hessian) / channels * np.eye(channels)
    order = np.argsort(-np.diag(hessian))
    expected = np.zeros_like(weights)
    for position, channel in enumerate(order):
        done, rest = order[:position], order[position:]
        lost = weights[:, done] - expected[:, done] * scales
        moved = lost @ hessian[np.ix_(done, rest)] @ np.linalg.inv(hessian[np.ix_(rest, rest)])
        expected[:, [channel]] = np.rint((weights[:, [channel]] + moved[:, :1]) / scales)
    assert gptq(weights, scales, sample).tolist() == expected.clip(-127, 127).tolist()


def test_a_mean_alone_is_no_correlation() -> None:
    # What the mean does to the output is left to bias correction.
    sample = np.array([[101, 101], [99, 101], [101, 99], [99, 99]], np.float32)
    weights = np.array([[0.4, 0.2]])
    assert gptq(weights, np.array([[1.0]]), sample).tolist() == [[0, 0]]


def test_each_row_is_rounded_by_its_own_scale() -> None:
    sample = np.array([[1, 1], [-1, -1]], np.float32)
    weights = np.array([[0.4, 0.2], [4.0, 2.0], [0.04, 0.02]])
    scales = np.array([[1.0], [10.0], [0.1]])
    assert gptq(weights, scales, sample).tolist() == [[0, 1]] * 3


def test_integers_stay_within_127() -> None:
    # The first weight's error of 10 asks 10 more of the second.
    sample = np.array([[1, 1], [-1, -1]], np.float32)
    assert gptq(np.array([[137.0, 127.0]]), np.array([[1.0]]), sample).tolist() == [[127, 127]]


@pytest.mark.parametrize(("channels", "part"), [(7, 0.8), (64, 0.2), (150, 0.1)])
def test_it_changes_the_outputs_far_less_than_nearest_rounding(channels: int, part: float) -> None:
    sample = _correlated(2_000, channels)
    weights = normal(12, channels, seed=9)
    scales = np.abs(weights).max(axis=1, keepdims=True) / 127
    found = gptq(weights, scales, sample) * scales
    plain = nearest(weights, scales) * scales
    assert _output_error(weights, found, sample) < part * _output_error(weights, plain, sample)


def test_a_constant_sample_leaves_the_nearest() -> None:
    sample = np.full((5, 3), 4.0, np.float32)
    weights, scales = normal(2, 3), np.full((2, 1), 0.1)
    assert np.array_equal(gptq(weights, scales, sample), nearest(weights, scales))
