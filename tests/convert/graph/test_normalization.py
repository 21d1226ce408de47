"""The normalization folded into a convolution, on numbers worked by hand."""

import numpy as np
import pytest
from edgekit_convert.graph.normalization import fold_normalization, normalizing_convolution

from edgekit.model.manifest import Normalization

NORMALIZATION = Normalization(mean=(0.5, 0.2, 0.4), std=(0.25, 0.5, 2.0))


def test_weights_take_the_deviation_and_biases_the_mean() -> None:
    weight = np.array([[51.0, 102.0, 510.0], [0.0, 255.0, 0.0]], np.float32).reshape(2, 3, 1, 1)
    folded, bias = fold_normalization(weight, np.array([1.0, 2.0], np.float32), NORMALIZATION)
    # W / (255 std)
    assert folded.reshape(2, 3).ravel().tolist() == pytest.approx([0.8, 0.8, 1, 0, 2, 0])
    # b - sum W mean / std: 1 - (102 + 40.8 + 102) and 2 - 102.
    assert bias.tolist() == pytest.approx([-243.8, -100])
    assert folded.dtype == bias.dtype == np.float32


def test_all_taps_count_for_the_bias() -> None:
    weight = np.ones((1, 3, 2, 3), np.float32)
    _, bias = fold_normalization(weight, None, NORMALIZATION)
    assert bias.tolist() == pytest.approx([-6 * (2 + 0.4 + 0.2)])


def test_a_convolution_that_normalizes() -> None:
    weight, bias = normalizing_convolution(NORMALIZATION)
    assert weight.shape == (3, 3, 1, 1)
    pixel = np.array([255.0, 51.0, 0.0])
    # (1 - 0.5) / 0.25, (0.2 - 0.2) / 0.5, (0 - 0.4) / 2
    found = weight[:, :, 0, 0] @ pixel + bias
    assert found.tolist() == pytest.approx([2.0, 0.0, -0.2], abs=1e-6)
    assert weight.dtype == bias.dtype == np.float32
