"""Two operators become one of the same function."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from edgekit_convert.graph.fusion import fuse
from edgekit_convert.graph.rewrite import add_biases
from numpy.typing import ArrayLike, NDArray

from edgekit.model import flatbuffer as tflite
from tests.convert.toys import NONE, RELU, RELU6, Toy, noise, normal, run

PICTURES = noise(2, 6, 8, 3)
LAYERS = {
    "CONV_2D": lambda toy, bias, fused: toy.conv(toy.image, normal(5, 3, 3, 3) / 99, bias, fused),
    "DEPTHWISE_CONV_2D": lambda toy, bias, fused: toy.depthwise(
        toy.image, normal(1, 3, 3, 6) / 99, bias, fused
    ),
    "FULLY_CONNECTED": lambda toy, bias, fused: toy.dense(
        toy.image, normal(7, 6 * 8 * 3) / 99, bias, fused
    ),
}


def _kinds(graph: bytes) -> list[str]:
    return [operator.name for operator in tflite.parse(graph).operators]


def _answer(graph: bytes) -> NDArray[np.float32]:
    graph = add_biases(graph)  # LiteRT crashes in a depthwise layer without one
    (output,) = tflite.parse(graph).outputs
    return run(graph, PICTURES)[tflite.parse(graph).tensors[output].name]


def _same_function(graph: bytes, fused: bytes) -> None:
    assert np.ptp(_answer(graph)) > 0.1
    assert np.allclose(_answer(fused), _answer(graph), rtol=1e-4, atol=1e-4)


def _with_constant(
    toy: Toy, kind: str, source: int, values: ArrayLike, fused: int = NONE, *, turned: bool = False
) -> int:
    options = schema.MulOptionsT() if kind == "MUL" else schema.AddOptionsT()
    inputs = [source, toy.constant(values)]
    inputs = inputs[::-1] if turned else inputs
    shape = toy._shape(source)
    return toy.apply(kind, inputs, shape, options, fusedActivationFunction=fused)


@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("kind", ["MUL", "ADD"])
@pytest.mark.parametrize("layer", LAYERS)
def test_constants_go_into_the_layer_before(layer: str, kind: str, biased: bool) -> None:
    toy = Toy(6, 8)
    width = {"CONV_2D": 5, "DEPTHWISE_CONV_2D": 6, "FULLY_CONNECTED": 7}[layer]
    source = LAYERS[layer](toy, normal(width) if biased else None, NONE)
    graph = toy.build(_with_constant(toy, kind, source, normal(width, seed=1), RELU, turned=True))
    fused = fuse(graph)
    assert _kinds(fused) == [layer]
    _same_function(graph, fused)


def test_one_constant_for_all_channels() -> None:
    toy = Toy(6, 8)
    source = LAYERS["CONV_2D"](toy, normal(5), NONE)
    sixth = _with_constant(toy, "MUL", source, np.array([1 / 6]))
    graph = toy.build(_with_constant(toy, "ADD", sixth, np.array(0.5), RELU6))
    fused = fuse(graph)
    assert _kinds(fused) == ["CONV_2D"]
    _same_function(graph, fused)


@pytest.mark.parametrize("kind", ["RELU", "RELU6", "RELU_N1_TO_1"])
def test_an_activation_goes_into_the_operator_before(kind: str) -> None:
    toy = Toy(6, 8)
    source = LAYERS["CONV_2D"](toy, normal(5), NONE)
    source = toy.apply(kind, [source], toy._shape(source))
    source = toy.add(source, source, NONE)
    graph = toy.build(toy.apply(kind, [source], toy._shape(source)))
    fused = fuse(graph)
    assert _kinds(fused) == ["CONV_2D", "ADD"]
    _same_function(graph, fused)


def _behind(kind: str, fused: int = NONE, *, columns: bool = False, read: bool = False) -> bytes:
    toy = Toy(6, 8)
    source = LAYERS["CONV_2D"](toy, normal(5), fused)  # 4 x 6 pixels
    shape = toy._shape(source)
    if kind in ("MUL", "ADD"):
        values = normal(1, 1, 6, 1) if columns else normal(5)
        end = _with_constant(toy, kind, source, values)
    else:
        end = toy.apply(kind, [source], shape)
    return toy.build(toy.add(end, source, NONE) if read else end)


@pytest.mark.parametrize(
    "graph",
    [
        pytest.param(_behind("MUL", RELU), id="after an activation"),
        pytest.param(_behind("ADD", RELU), id="added after an activation"),
        pytest.param(_behind("RELU6", RELU), id="two activations"),
        pytest.param(_behind("MUL", columns=True), id="a constant for each column"),
        pytest.param(_behind("ADD", read=True), id="the layer has another reader"),
        pytest.param(_behind("RELU", read=True), id="the activation is not for all"),
        pytest.param(_behind("TANH"), id="an activation that no operator ends in"),
    ],
)
def test_what_cannot_be_one_stays_two(graph: bytes) -> None:
    assert _kinds(fuse(graph)) == _kinds(graph)
    _same_function(graph, fuse(graph))


def _padded_pool(
    size: tuple[int, int], window: int, stride: int, pads: ArrayLike, value: float
) -> bytes:
    toy = Toy(6, 8)
    source = toy.conv(toy.image, normal(4, 7 - size[0], 9 - size[1], 3) / 99, normal(4), NONE)
    rows = np.array([(0, 0), *np.reshape(pads, (2, 2)), (0, 0)], np.int32)
    height, width = (n + sum(row) for n, row in zip(size, rows[1:3], strict=True))
    inputs = [source, toy.constant(rows), toy.constant(np.array([value]))]
    padded = toy.apply("PADV2", inputs, [1, height, width, 4], schema.PadV2OptionsT())
    shape = [1, (height - window) // stride + 1, (width - window) // stride + 1, 4]
    return toy.build(
        toy.apply(
            "MAX_POOL_2D", [padded], shape, schema.Pool2DOptionsT(),
            filterHeight=window, filterWidth=window, strideH=stride, strideW=stride,
            padding=schema.Padding.VALID,
        )
    )  # fmt: skip


LOWEST = float(np.finfo(np.float32).min)


@pytest.mark.parametrize(
    ("size", "window", "stride", "pads"),
    [
        ((6, 8), 3, 1, (1, 1, 1, 1)),
        ((6, 8), 3, 2, (0, 1, 0, 1)),  # rounded up
        ((5, 8), 3, 2, (1, 1, 0, 1)),
        ((5, 7), 2, 2, (0, 1, 0, 1)),
    ],
)
def test_a_maximum_pads_for_itself(
    size: tuple[int, int], window: int, stride: int, pads: tuple[int, ...]
) -> None:
    graph = _padded_pool(size, window, stride, pads, LOWEST)
    assert _kinds(fuse(graph)) == ["CONV_2D", "MAX_POOL_2D"]
    _same_function(graph, fuse(graph))


@pytest.mark.parametrize(
    ("size", "window", "stride", "pads", "value"),
    [
        pytest.param((6, 8), 3, 2, (1, 1, 1, 1), LOWEST, id="as PyTorch pads"),
        pytest.param((6, 8), 3, 2, (1, 0, 1, 0), LOWEST, id="before, not after"),
        pytest.param((6, 8), 3, 1, (1, 1, 1, 1), -1.0, id="with a value that counts"),
    ],
)
def test_other_padding_stays(
    size: tuple[int, int], window: int, stride: int, pads: tuple[int, ...], value: float
) -> None:
    graph = _padded_pool(size, window, stride, pads, value)
    assert _kinds(fuse(graph)) == ["CONV_2D", "PADV2", "MAX_POOL_2D"]
