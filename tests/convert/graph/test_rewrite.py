"""Operators written as others, which int8 computes better: the same function."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from edgekit_convert.graph.flatbuffer import FlatbufferEditor
from edgekit_convert.graph.rewrite import add_biases, free_average_pools, rewrite, take_roots
from edgekit_convert.quantize.activations import observe
from edgekit_convert.quantize.quantizer import FloatModel, quantize
from edgekit_convert.quantize.recipes import PLAIN
from numpy.typing import ArrayLike

from edgekit.model import flatbuffer as tflite
from tests.convert.toys import NONE, RELU, Toy, noise, normal, run

PICTURES = noise(3, 6, 8, 3)
SAME, VALID = schema.Padding.SAME, schema.Padding.VALID


def _pool(window: tuple[int, int], stride: int, padding: int, fused: int = NONE) -> bytes:
    toy = Toy(6, 8)
    source = toy.conv(toy.image, normal(4, 1, 1, 3) / 255, normal(4), NONE)
    height, width = (
        -(-(size - (length - 1) * (padding == VALID)) // stride)
        for size, length in zip((6, 8), window, strict=True)
    )
    return toy.build(
        toy.apply(
            "AVERAGE_POOL_2D",
            [source],
            [1, height, width, 4],
            schema.Pool2DOptionsT(),
            filterHeight=window[0],
            filterWidth=window[1],
            strideH=stride,
            strideW=stride,
            padding=padding,
            fusedActivationFunction=fused,
        )
    )


@pytest.mark.parametrize(
    ("window", "stride", "padding", "fused", "becomes"),
    [
        ((6, 8), 1, VALID, NONE, "MEAN"),
        ((6, 8), 1, VALID, RELU, "DEPTHWISE_CONV_2D"),  # a MEAN has no ReLU
        ((2, 2), 2, VALID, NONE, "DEPTHWISE_CONV_2D"),
        ((2, 2), 2, SAME, NONE, "DEPTHWISE_CONV_2D"),  # nothing is padded
        ((3, 5), 1, VALID, RELU, "DEPTHWISE_CONV_2D"),
        ((3, 3), 1, SAME, NONE, "AVERAGE_POOL_2D"),  # averages fewer values at the border
        ((3, 2), 2, SAME, NONE, "AVERAGE_POOL_2D"),
    ],
)
def test_the_pool_becomes_another_operator_of_the_same_function(
    window: tuple[int, int], stride: int, padding: int, fused: int, becomes: str
) -> None:
    graph = _pool(window, stride, padding, fused)
    rewritten = free_average_pools(graph)
    assert [operator.name for operator in tflite.parse(rewritten).operators] == ["CONV_2D", becomes]
    exact, found = (run(model, PICTURES)["average_pool_2d1"] for model in (graph, rewritten))
    assert found.shape == exact.shape
    assert np.allclose(found, exact, atol=1e-5)


def _scaled(factors: ArrayLike, added: ArrayLike | None, *, read_twice: bool = False) -> bytes:
    """Channels multiplied, added to, and behind a ReLU."""
    toy = Toy(6, 8)
    # Behind a ReLU: a layer that ends in none takes the factors itself.
    source = toy.conv(toy.image, normal(4, 1, 1, 3) / 255, normal(4), RELU)
    shape = [1, 6, 8, 4]
    end = toy.apply("MUL", [toy.constant(factors), source], shape, schema.MulOptionsT())
    scaled = end
    if added is not None:
        end = toy.add(end, toy.constant(added), RELU)
    if read_twice:
        end = toy.add(end, scaled, NONE)
    return toy.build(end)


FACTORS = np.array([1.0, -0.001, 30.0, 0.2])
ADDED = np.array([[[[0.5, 0.001, -10.0, 0.0]]]])


@pytest.mark.parametrize(
    ("graph", "kinds"),
    [
        (_scaled(FACTORS, ADDED), ["DEPTHWISE_CONV_2D"]),
        (_scaled(FACTORS, None), ["DEPTHWISE_CONV_2D"]),
        (_scaled(FACTORS, [0.5]), ["DEPTHWISE_CONV_2D", "ADD"]),
        (_scaled(FACTORS, ADDED, read_twice=True), ["DEPTHWISE_CONV_2D", "ADD", "ADD"]),
        (_scaled([0.5], ADDED), ["MUL", "ADD"]),  # one constant has all 8 bits
        (_scaled(normal(6, 8, 1), ADDED), ["MUL", "ADD"]),  # of positions, not of channels
        (_scaled(normal(1, 6, 8, 4), ADDED), ["MUL", "ADD"]),
    ],
)
def test_channels_are_scaled_by_a_layer(graph: bytes, kinds: list[str]) -> None:
    rewritten = rewrite(graph)
    operators = tflite.parse(rewritten).operators
    assert [operator.name for operator in operators] == ["CONV_2D", *kinds]
    exact, found = run(graph, PICTURES), run(rewritten, PICTURES)
    last = next(iter(exact))  # the output
    assert np.allclose(found[last], exact[last], rtol=1e-5, atol=1e-5)


def test_in_int8_small_factors_are_as_exact_as_large_ones() -> None:
    graph = rewrite(_scaled(FACTORS, ADDED))
    model = FloatModel.prepare(graph, observe(graph, PICTURES, 1, 0, lambda done: None))
    int8 = FlatbufferEditor(quantize(model, PLAIN))
    weight, scales = int8.weighted()[1].inputs[1], int8.graph.tensors
    assert int8.constant(weight, np.int8).tolist() == [[[[127, -127, 127, 127]]]]
    assert scales[weight].quantization.scale == pytest.approx(np.abs(FACTORS) / 127)


def test_a_layer_without_a_bias_gets_one_of_0() -> None:
    toy = Toy(6, 8)
    convolved = toy.conv(toy.image, normal(4, 1, 1, 3) / 255, None, NONE)
    deep = toy.depthwise(convolved, normal(1, 1, 1, 8), normal(8), NONE)
    graph = toy.build(toy.dense(toy.mean(deep), normal(2, 8), None))
    rewritten = FlatbufferEditor(add_biases(graph))
    biases = [rewritten.bias(operator) for operator in rewritten.weighted()]
    values = [rewritten.constant(bias).tolist() for bias in biases if bias is not None]
    assert values[0] == [0] * 4
    assert values[1] == normal(8).astype(np.float32).tolist()
    assert values[2] == [0] * 2


@pytest.mark.parametrize(("exponent", "kind"), [(-0.5, "RSQRT"), (0.5, "POW")])
def test_the_inverse_of_a_root_is_an_operator_of_its_own(exponent: float, kind: str) -> None:
    toy = Toy(6, 8)
    power = toy.apply("POW", [toy.image, toy.constant(exponent)], [1, 6, 8, 3])
    graph = toy.build(power)
    rewritten = take_roots(graph)
    assert [operator.name for operator in tflite.parse(rewritten).operators] == [kind]
    pictures = np.maximum(PICTURES, 1)
    np.testing.assert_allclose(
        run(rewritten, pictures)["pow0"], run(graph, pictures)["pow0"], rtol=1e-5
    )
