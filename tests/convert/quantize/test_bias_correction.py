"""Bias correction, on numbers worked by hand and against the layer's own outputs."""

import numpy as np
import pytest
from edgekit_convert.quantize.bias_correction import bias_correction

from tests.convert.toys import normal


def test_by_hand() -> None:
    # A kernel of 1x1: the first output loses (0.5, -0.25), the second (0, 1).
    weights = np.array([[[1.5, 0.75]], [[2.0, 3.0]]])
    rounded = np.array([[[1.0, 1.0]], [[2.0, 2.0]]])
    # 0.5 x 4 - 0.25 x 10, and 10.
    assert bias_correction(weights, rounded, np.array([4.0, 10.0])).tolist() == [-0.5, 10.0]


def test_all_positions_of_the_kernel_see_the_same_mean() -> None:
    weights = np.array([[[1.5], [1.0], [0.25]]])
    rounded = np.array([[[1.0], [1.25], [0.0]]])
    assert bias_correction(weights, rounded, np.array([2.0])).tolist() == [1.0]


def test_a_depthwise_output_reads_its_own_channel() -> None:
    weights, rounded = np.array([[[1.5]], [[3.25]]]), np.array([[[1.0]], [[3.0]]])
    found = bias_correction(weights, rounded, np.array([4.0, 100.0]))
    assert found.tolist() == [2.0, 25.0]


def test_outputs_of_a_depthwise_layer_that_share_a_channel_lie_side_by_side() -> None:
    weights, rounded = np.ones((4, 1, 1)), np.zeros((4, 1, 1))
    found = bias_correction(weights, rounded, np.array([4.0, 100.0]))
    assert found.tolist() == [4, 4, 100, 100]


def test_the_outputs_of_a_group_read_the_channels_of_that_group() -> None:
    # Two groups of two outputs and two channels.
    weights, rounded = np.ones((4, 1, 2)), np.zeros((4, 1, 2))
    found = bias_correction(weights, rounded, np.array([4.0, 100.0, 1.0, 2.0]))
    assert found.tolist() == [104, 104, 3, 3]


def test_the_mean_output_is_as_before() -> None:
    weights, inputs = normal(5, 9, 6), normal(300, 9, 6, seed=1) + normal(6, seed=2)
    rounded = np.rint(weights * 4) / 4
    before = np.einsum("ntc,otc->o", inputs, weights) / len(inputs)
    after = np.einsum("ntc,otc->o", inputs, rounded) / len(inputs)
    # Over many pictures the mean of a channel is the same at every position of the kernel.
    inputs_mean = inputs.mean(axis=(0, 1))
    assert np.abs(after - before).max() > 0.3
    correction = bias_correction(weights, rounded, inputs_mean)
    assert np.abs(after + correction - before).max() == pytest.approx(0, abs=0.1)
