"""What is remembered of the activations, beside what NumPy computes."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from edgekit_convert.quantize import activations
from edgekit_convert.quantize.activations import Activation, observe

from edgekit.errors import ConversionError
from tests.convert.toys import NONE, RELU, Toy, noise, normal

PICTURES = noise(5, 4, 8, 3)
WEIGHT, BIAS = normal(2, 1, 1, 3), normal(2, seed=1)
EXPECTED = np.einsum("nhwi,oi->nhwo", PICTURES.astype(np.float64), WEIGHT[:, 0, 0]) + BIAS


def _observe(fused: int) -> dict[str, Activation]:
    toy = Toy(4, 8)
    convolved = toy.conv(toy.image, WEIGHT, BIAS, fused)
    graph = toy.build(toy.mean(toy.max_pool(convolved, 2)))
    done: list[int] = []
    seen = observe(graph, PICTURES, 1, 0, done.append)
    assert done == [1] * 5
    return seen


def test_each_channel_has_its_smallest_and_largest_value_in_each_picture() -> None:
    seen = _observe(NONE)["conv0"]
    assert np.allclose(seen.lows, np.minimum(EXPECTED.min(axis=(1, 2)), 0), rtol=1e-4)
    assert np.allclose(seen.highs, np.maximum(EXPECTED.max(axis=(1, 2)), 0), rtol=1e-4)
    assert seen.low == seen.lows.min() < 0 < seen.high == seen.highs.max()
    assert np.allclose(seen.peaks, np.abs(EXPECTED).max(axis=(0, 1, 2)), rtol=1e-4)


def test_of_many_pictures_some_that_follow_each_other_share_theirs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(activations, "_BLOCKS", 2)
    seen = _observe(NONE)["conv0"]
    for block, pictures in enumerate((EXPECTED[:3], EXPECTED[3:])):
        assert np.allclose(seen.lows[block], np.minimum(pictures.min(axis=(0, 1, 2)), 0), rtol=1e-4)
        assert np.allclose(
            seen.highs[block], np.maximum(pictures.max(axis=(0, 1, 2)), 0), rtol=1e-4
        )


def test_0_is_always_among_them() -> None:
    seen = _observe(NONE)["image"]
    assert seen.lows.tolist() == [[0, 0, 0]] * 5
    assert seen.highs.tolist() == PICTURES.max(axis=(1, 2)).tolist()


@pytest.mark.parametrize("shape", [(1, 5), (2, 2048), (52900, 3), (1025, 1), (49, 512)])
def test_extremes_are_found_in_any_row_of_any_shape(shape: tuple[int, int]) -> None:
    for row in {0, shape[0] // 2, shape[0] - 1}:
        values = np.zeros(shape, np.float32)
        values[row] = np.arange(1, shape[1] + 1)
        assert (activations._reduce(np.maximum, values) == values[row]).all()
        assert (activations._reduce(np.minimum, -values) == -values[row]).all()


def test_behind_a_relu_nothing_is_below_0() -> None:
    seen = _observe(RELU)["conv0"]
    assert seen.lows.tolist() == [[0, 0]]
    assert np.allclose(seen.highs, np.maximum(EXPECTED, 0).max(axis=(1, 2)), rtol=1e-4)


def test_few_values_are_all_kept() -> None:
    seen = _observe(NONE)
    found = seen["conv0"].sample
    assert np.allclose(np.sort(found, axis=0), np.sort(EXPECTED.reshape(-1, 2), axis=0), atol=0.01)
    assert seen["mean2"].sample.shape == (5, 2)


def test_of_one_size_the_same_positions_are_kept() -> None:
    seen = _observe(NONE)
    pixels = seen["image"].sample
    assert np.allclose(seen["conv0"].sample, pixels @ WEIGHT[:, 0, 0].T + BIAS, atol=0.01)


def test_the_seed_decides_the_positions() -> None:
    toy = Toy(4, 8)
    graph = toy.build(toy.conv(toy.image, WEIGHT, BIAS))
    one, same, other = (
        observe(graph, PICTURES, 1, seed, lambda done: None)["conv0"].sample for seed in (1, 1, 2)
    )
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_a_scaled_activation_has_all_of_it_scaled() -> None:
    seen = Activation(
        np.array([[-1, -2]], np.float32), np.array([[3, 4], [5, 0]], np.float32),
        np.ones((3, 2), np.float32),
    )  # fmt: skip
    scaled = seen.scaled(np.array([2, 10], np.float32))
    assert scaled.lows.tolist() == [[-2, -20]]
    assert scaled.highs.tolist() == [[6, 40], [10, 0]]
    assert scaled.peaks.tolist() == [10, 40]
    assert scaled.sample.tolist() == [[2, 10]] * 3


def test_of_many_channels_some_pictures_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activations, "_KEPT", 64)
    seen = _observe(NONE)
    # 5 pictures of 32 x 3 values; a mean of 2 channels.
    assert seen["image"].sample.shape == (5 * (64 // 15), 3)
    assert seen["mean2"].sample.shape == (5, 2)
    monkeypatch.setattr(activations, "_KEPT", 6)
    seen = _observe(NONE)
    assert seen["image"].sample.shape == (2, 3)  # of pictures 0 and 3
    assert seen["conv0"].sample.shape == (3, 2)
    # Ranges are those of all pictures all the same.
    assert seen["image"].highs.tolist() == PICTURES.max(axis=(1, 2)).tolist()


def test_what_float_does_not_hold_is_refused() -> None:
    toy = Toy(4, 8)
    convolved = toy.conv(toy.image, np.full((2, 1, 1, 3), 3e38), BIAS, NONE)
    graph = toy.build(toy.apply("LOGISTIC", [convolved], [1, 4, 8, 2]))
    with pytest.raises(ConversionError, match="the tensor conv0 goes beyond what float32 holds"):
        observe(graph, PICTURES, 1, 0, lambda done: None)


def test_all_activations_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activations, "_KEPT_IN_ALL", 4 * 30)
    seen = _observe(NONE)
    assert sum(one.sample.size for one in seen.values()) <= 4 * 30


def test_what_is_no_float_is_left_out() -> None:
    toy = Toy(4, 8)
    convolved = toy.conv(toy.image, WEIGHT, BIAS, NONE)
    shape = toy.apply("SHAPE", [convolved], [4], schema.ShapeOptionsT(), outType=2)
    toy.retype(shape, schema.TensorType.INT32)
    scalar = toy.apply(
        "MEAN", [convolved, toy.constant(np.array([0, 1, 2, 3], np.int32))], [],
        schema.ReducerOptionsT(),
    )  # fmt: skip
    seen = observe(toy.build(scalar), PICTURES, 1, 0, lambda done: None)
    assert seen.keys() == {"image", "conv0", "mean2"}
    assert seen["mean2"].sample.shape == (5, 1)
