"""Average pools as operators with a scale of their own: the same function."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from edgekit_convert.graph.flatbuffer import FlatbufferEditor
from edgekit_convert.graph.rewrite import add_biases, free_average_pools

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
