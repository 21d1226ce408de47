"""What is written into an int8 model: integers, scales, zero points and biases of toy layers."""

import numpy as np
import pytest
from edgekit_convert.graph.flatbuffer import FlatbufferEditor
from edgekit_convert.quantize.activations import Activation
from edgekit_convert.quantize.constants import weight_scales, write_constants
from edgekit_convert.quantize.recipes import PLAIN
from msgspec.structs import replace
from numpy.typing import ArrayLike, NDArray

from edgekit.model.manifest import Recipe
from tests.convert.toys import NONE, Toy

# Scale of the toys' input.
INPUT = 0.5


class TestWeightScales:
    def test_the_largest_weight_of_each_output_is_127(self) -> None:
        weights = np.array([[[1.0, -12.7]], [[0.635, 0.1]]])
        found = weight_scales(weights, np.zeros(2), INPUT, one_for_all=False)
        assert found.tolist() == pytest.approx([0.1, 0.005])
        # As the file has it: float32.
        assert np.array_equal(found, found.astype(np.float32).astype(np.float64))

    def test_a_dense_layer_has_the_largest_of_all(self) -> None:
        weights = np.array([[[1.0, -12.7]], [[0.635, 0.1]]])
        found = weight_scales(weights, np.zeros(2), INPUT, one_for_all=True)
        assert found.tolist() == pytest.approx([0.1, 0.1])

    def test_a_scale_grows_until_its_bias_fits_in_half_of_32_bits(self) -> None:
        weights = np.array([[[1.27]], [[1.27]], [[0.0]], [[0.0]]])
        biases = np.array([-(2.0**30), 2.0**20, 2.0**30, 0.0])
        found = weight_scales(weights, biases, INPUT, one_for_all=False)
        # 2^30 = bias / (scale x 0.5)
        assert found.tolist() == pytest.approx([2.0, 0.01, 2.0, 1e-9 / 127])


class _Layer:
    """What was written of a toy's only layer."""

    def __init__(self, graph: bytes, recipe: Recipe, sample: ArrayLike) -> None:
        exact, model = FlatbufferEditor(graph), FlatbufferEditor(graph)
        # As the frame has them.
        for tensor in model.graph.tensors:
            tensor.quantization = _unset()
            tensor.quantization.scale = np.array([INPUT], np.float32)
        rows = np.asarray(sample, np.float32)
        seen = Activation(rows.min(axis=0)[None], rows.max(axis=0)[None], rows)
        write_constants(exact, model, {"image": seen}, {}, recipe)
        (operator,) = model.graph.operators
        _, weight, bias = (model.graph.tensors[i].quantization for i in operator.inputs)
        self.weights: NDArray[np.int8] = model.constant(operator.inputs[1], np.int8)
        self.biases: NDArray[np.int32] = model.constant(operator.inputs[2], np.int32)
        self.scales, self.zero_points = weight.scale, weight.zeroPoint
        self.bias_scales, self.bias_zero_points = bias.scale, bias.zeroPoint


def _unset() -> object:
    from ai_edge_litert import schema_py_generated as schema

    return schema.QuantizationParametersT()


CORRECTED = replace(PLAIN, bias_corrected=True)


def _convolution(recipe: Recipe) -> _Layer:
    toy = Toy(1, 2, channels=2)
    # Two positions; scales 0.1 and 1.
    weight = [[[[12.7, 0.34], [-0.16, 0.0]]], [[[127.0, 1.4], [-2.6, 0.0]]]]
    graph = toy.build(toy.conv(toy.image, weight, [3.0, -7.6], NONE))
    return _Layer(graph, recipe, [[10, 100], [30, 200]])


class TestConvolution:
    def test_each_output_has_its_scale(self) -> None:
        layer = _convolution(PLAIN)
        assert layer.weights.tolist() == [[[[127, 3], [-2, 0]]], [[[127, 1], [-3, 0]]]]
        assert layer.scales.tolist() == pytest.approx([0.1, 1.0])
        assert layer.zero_points.tolist() == [0, 0]

    def test_biases_are_in_units_of_input_times_weight(self) -> None:
        layer = _convolution(PLAIN)
        assert layer.bias_scales.tolist() == pytest.approx([0.05, 0.5])
        assert layer.bias_zero_points.tolist() == [0, 0]
        # 3 / 0.05 and -7.6 / 0.5
        assert layer.biases.tolist() == [60, -15]

    def test_a_corrected_bias_has_the_lost_mean(self) -> None:
        # E[x] is 20 and 150. Lost: 0.04 of the second channel and -0.16 + 0.2 of the first make
        # 6.8 on top of 3; 0.4 and 0.4 make 68 on top of -7.6.
        layer = _convolution(CORRECTED)
        assert layer.biases.tolist() == [(3 + 6.8) / 0.05, round((-7.6 + 68) / 0.5)]
        assert layer.weights.tolist() == _convolution(PLAIN).weights.tolist()

    def test_gptq_sees_the_layers_input(self) -> None:
        toy = Toy(1, 1, channels=3)
        # Scale 1; the last two channels move together, see test_gptq.py.
        graph = toy.build(toy.conv(toy.image, [[[[127.0, 0.4, 0.2]]]], [0.0], NONE))
        sample = [[0, 1, 1], [0, -1, -1]]
        assert _Layer(graph, PLAIN, sample).weights.tolist() == [[[[127, 0, 0]]]]
        gptq = replace(PLAIN, rounding="error-feedback")
        assert _Layer(graph, gptq, sample).weights.tolist() == [[[[127, 0, 1]]]]


class TestDepthwise:
    def _layer(self, recipe: Recipe) -> _Layer:
        toy = Toy(2, 1, channels=2)
        weight = [[[[12.7, 1.0]], [[0.33, -254.0]]]]  # (1, height, width, outputs)
        graph = toy.build(toy.depthwise(toy.image, weight, [1.0, 2.0], NONE))
        return _Layer(graph, recipe, [[10, 1_000], [30, 3_000]])

    def test_each_output_on_the_last_axis_has_its_scale(self) -> None:
        layer = self._layer(PLAIN)
        assert layer.scales.tolist() == pytest.approx([0.1, 2.0])
        assert layer.weights.tolist() == [[[[127, 0]], [[3, -127]]]]
        assert layer.biases.tolist() == [20, 2]

    def test_each_bias_is_corrected_by_its_own_channel(self) -> None:
        # 0.03 x 20 on top of 1, and 1 x 2,000 on top of 2.
        assert self._layer(CORRECTED).biases.tolist() == [round(1.6 / 0.05), 2_002]

    def test_gptq_has_nothing_to_make_up_with(self) -> None:
        gptq = replace(PLAIN, rounding="error-feedback")
        assert self._layer(gptq).weights.tolist() == self._layer(PLAIN).weights.tolist()


class TestGroups:
    """Two outputs, each of a channel of its own, though this is no depthwise layer."""

    def _layer(self, recipe: Recipe) -> _Layer:
        toy = Toy(1, 1, channels=4)
        weight = [[[[127.0, 0.4]]], [[[127.0, 0.4]]]]
        graph = toy.build(toy.conv(toy.image, weight, [0.0, 0.0], NONE))
        # Scale 1. In the first group the channels are opposite, in the second alike.
        return _Layer(graph, recipe, [[1, 1, 3, 3], [-1, -1, 5, 5]])

    def test_biases_are_corrected_by_their_own_channels(self) -> None:
        # 0.4 of means 0 and 4.
        assert self._layer(CORRECTED).biases.tolist() == [0, round(0.4 * 4 / 0.5)]

    def test_gptq_sees_their_own_channels(self) -> None:
        toy = Toy(1, 1, channels=6)
        weight = [[[[127.0, 0.4, 0.2]]], [[[127.0, 0.4, 0.2]]]]
        graph = toy.build(toy.conv(toy.image, weight, [0.0, 0.0], NONE))
        # As in TestConvolution: in the second group alone two channels move together.
        sample = [[0, 1, 0, 0, 1, 1], [0, -1, 0, 0, -1, -1]]
        gptq = replace(PLAIN, rounding="error-feedback")
        assert _Layer(graph, gptq, sample).weights.tolist() == [[[[127, 0, 0]]], [[[127, 0, 1]]]]


class TestDense:
    def _layer(self, recipe: Recipe) -> _Layer:
        toy = Toy(1, 1, channels=2)
        graph = toy.build(toy.dense(toy.image, [[12.7, 0.04], [1.0, -0.33]], [1.0, -2.0]))
        return _Layer(graph, recipe, [[10, 100], [30, 200]])

    def test_all_outputs_have_one_scale(self) -> None:
        layer = self._layer(PLAIN)
        assert layer.scales.tolist() == pytest.approx([0.1])
        assert layer.zero_points.tolist() == [0]
        assert layer.weights.tolist() == [[127, 0], [10, -3]]
        assert layer.bias_scales.tolist() == pytest.approx([0.05])
        assert layer.biases.tolist() == [20, -40]

    def test_one_that_flattens_reads_each_channel_at_every_position(self) -> None:
        toy = Toy(1, 2, channels=2)
        graph = toy.build(toy.dense(toy.image, [[127.0, 0.4, 0.3, -0.2]], [0.0]))
        layer = _Layer(graph, CORRECTED, [[10, 100], [30, 200]])
        # Scale 1: lost are 0.3 of 20 and 0.4 - 0.2 of 150.
        assert layer.weights.tolist() == [[127, 0, 0, 0]]
        assert layer.biases.tolist() == [round((0.3 * 20 + 0.2 * 150) / 0.5)]

    def test_biases_are_corrected(self) -> None:
        # 0.04 x 150 on top of 1, and -0.03 x 150 on top of -2.
        assert self._layer(CORRECTED).biases.tolist() == [140, -130]


def test_a_bias_beyond_32_bits_stays_within_them() -> None:
    toy = Toy(1, 1, channels=1)
    # The scale lets the bias be 2^30; correction then asks for far more.
    graph = toy.build(toy.conv(toy.image, [[[[0.4]]]], [2.0**30], NONE))
    layer = _Layer(graph, CORRECTED, [[1e12], [1e12]])
    assert layer.scales.tolist() == [2.0]
    assert layer.weights.tolist() == [[[[0]]]]
    assert layer.biases.tolist() == [2**31 - 1]


def test_what_was_rounded_once_is_not_rounded_again() -> None:
    toy = Toy(1, 1, channels=1)
    graph = toy.build(toy.conv(toy.image, [[[[0.4]]]], [0.0], NONE))
    rounded: dict[tuple[int, str, bytes], NDArray[np.int8]] = {}
    for recipe in (PLAIN, CORRECTED, replace(PLAIN, rounding="error-feedback")):
        model = FlatbufferEditor(graph)
        for tensor in model.graph.tensors:
            tensor.quantization = _unset()
            tensor.quantization.scale = np.array([INPUT], np.float32)
        write_constants(FlatbufferEditor(graph), model, {}, rounded, recipe)
    assert {rounding for _, rounding, _ in rounded} == {"nearest", "error-feedback"}
    assert len(rounded) == 2
