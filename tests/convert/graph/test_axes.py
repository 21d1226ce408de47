"""TRANSPOSEs between the axis orders of PyTorch and TFLite go, and the function stays."""

from collections.abc import Callable

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from edgekit_convert.graph.axes import channels_last
from numpy.typing import NDArray

from edgekit.model import flatbuffer as tflite
from tests.convert.toys import NONE, Toy, noise, normal, run

PICTURES = noise(2, 6, 8, 3)


def _ints(*values: int) -> NDArray[np.int32]:
    return np.array(values, np.int32)


class _Net(Toy):
    """A picture of 6 x 8 pixels, and operators in PyTorch's order."""

    def __init__(self) -> None:
        super().__init__(6, 8)

    def transposed(self, source: int, *order: int) -> int:
        shape = [self._shape(source)[axis] for axis in order]
        inputs = [source, self.constant(_ints(*order))]
        return self.apply("TRANSPOSE", inputs, shape, schema.TransposeOptionsT())

    def first(self, source: int) -> int:
        """NHWC to NCHW."""
        return self.transposed(source, 0, 3, 1, 2)

    def last(self, source: int) -> int:
        """NCHW to NHWC."""
        return self.transposed(source, 0, 2, 3, 1)

    def reshaped(self, source: int, *shape: int) -> int:
        inputs = [source, self.constant(_ints(*shape))]
        return self.apply("RESHAPE", inputs, list(shape), schema.ReshapeOptionsT())

    def wide(self) -> int:
        """Four channels, in NHWC."""
        return self.conv(self.image, normal(4, 1, 1, 3) / 255, normal(4), NONE)

    def closed(self, source: int) -> bytes:
        """The network, with a layer in NHWC behind it, so that a result in NCHW is seen."""
        width = self._shape(source)[-1]
        return self.build(self.conv(source, normal(3, 1, 1, width), normal(3), NONE))

    def joined(self, parts: list[int], axis: int, shape: list[int]) -> int:
        options = schema.ConcatenationOptionsT()
        return self.apply("CONCATENATION", parts, shape, options, axis=axis)


def _kinds(graph: bytes) -> list[str]:
    return [operator.name for operator in tflite.parse(graph).operators]


def _same_function(graph: bytes, moved: bytes) -> None:
    (output,) = tflite.parse(graph).outputs
    name = tflite.parse(graph).tensors[output].name
    exact, found = (run(model, PICTURES)[name] for model in (graph, moved))
    assert np.ptp(exact) > 0.1
    assert found.shape == exact.shape
    assert np.allclose(found, exact, rtol=1e-4, atol=1e-4)


def _border(net: _Net) -> int:
    """A border joined on, as the fold does it."""
    picture = net.first(net.image)
    row, column = (np.full(shape, 124.0) for shape in ((1, 3, 2, 8), (1, 3, 9, 1)))
    row[:, 1] = 7
    taller = net.joined([net.constant(row), picture, net.constant(row[:, :, :1])], 2, [1, 3, 9, 8])
    return net.joined([net.constant(column), taller], -1, [1, 3, 9, 9])


def _unary(net: _Net) -> int:
    return net.apply("RELU", [net.first(net.wide())], [1, 4, 6, 8])


def _prelu(net: _Net) -> int:
    slopes = net.constant(normal(4, 1, 1))
    return net.apply("PRELU", [net.first(net.wide()), slopes], [1, 4, 6, 8])


def _sum(net: _Net) -> int:
    one, other = net.wide(), net.wide()
    return net.add(net.first(one), net.first(other))


def _per_channel(net: _Net) -> int:
    factors = net.constant(normal(1, 4, 1, 1))
    return net.apply("MUL", [factors, net.first(net.wide())], [1, 4, 6, 8], schema.MulOptionsT())


def _per_channel_short(net: _Net) -> int:
    return net.add(net.first(net.wide()), net.constant(normal(4, 1, 1)), NONE)


def _per_column(net: _Net) -> int:
    return net.add(net.first(net.wide()), net.constant(normal(8)), NONE)


def _scalar(net: _Net) -> int:
    options = schema.MulOptionsT()
    inputs = [net.first(net.wide()), net.constant(np.array([0.2]))]
    return net.apply("MUL", inputs, [1, 4, 6, 8], options)


def _padded(net: _Net) -> int:
    pads = net.constant(_ints(0, 0, 1, 0, 0, 2, 3, 4).reshape(4, 2))
    return net.apply("PAD", [net.first(net.wide()), pads], [1, 5, 8, 15], schema.PadOptionsT())


def _sliced(net: _Net) -> int:
    begin, size = net.constant(_ints(0, 1, 2, 3)), net.constant(_ints(1, 2, 3, 4))
    inputs = [net.first(net.wide()), begin, size]
    return net.apply("SLICE", inputs, [1, 2, 3, 4], schema.SliceOptionsT())


def _shuffled(net: _Net) -> int:
    inputs = [net.first(net.wide()), net.constant(_ints(2, 0, 3))]
    return net.apply("GATHER", inputs, [1, 3, 6, 8], schema.GatherOptionsT(), axis=1)


def _split(net: _Net) -> int:
    inputs = [net.constant(_ints(1).reshape(())), net.first(net.wide())]
    shapes = [[1, 2, 6, 8]] * 2
    one, other = net.apply_many("SPLIT", inputs, shapes, schema.SplitOptionsT(), numSplits=2)
    return net.joined([other, one], 1, [1, 4, 6, 8])


def _squeezed_and_excited(net: _Net) -> int:
    wide = net.first(net.wide())
    options = schema.ReducerOptionsT()
    axes = net.constant(_ints(2, -1))
    mean = net.apply("MEAN", [wide, axes], [1, 4, 1, 1], options, keepDims=True)
    layer = net.conv(net.reshaped(mean, 1, 1, 1, 4), normal(4, 1, 1, 4), normal(4), NONE)
    gate = net.apply("LOGISTIC", [net.reshaped(layer, 1, 4, 1, 1)], [1, 4, 1, 1])
    return net.apply("MUL", [gate, wide], [1, 4, 6, 8], schema.MulOptionsT())


IN_ANY_ORDER = [
    _border, _unary, _prelu, _sum, _per_channel, _per_channel_short, _per_column, _scalar, _padded,
    _sliced, _shuffled, _split, _squeezed_and_excited,
]  # fmt: skip


@pytest.mark.parametrize("middle", IN_ANY_ORDER, ids=lambda middle: middle.__name__.strip("_"))
def test_what_stands_between_is_computed_in_nhwc(middle: Callable[[_Net], int]) -> None:
    net = _Net()
    graph = net.closed(net.last(middle(net)))
    moved = channels_last(graph)
    left = [kind for kind in _kinds(graph) if kind not in ("TRANSPOSE", "RESHAPE")]
    assert _kinds(moved) == left
    _same_function(graph, moved)


@pytest.mark.parametrize("kind", ["MEAN", "SUM", "REDUCE_MAX"])
@pytest.mark.parametrize(("axes", "shape"), [((2, 3), [1, 4]), ((1,), [1, 6, 8])])
def test_a_reduction_gives_what_it_gave(kind: str, axes: tuple[int, ...], shape: list[int]) -> None:
    net = _Net()
    inputs = [net.first(net.wide()), net.constant(_ints(*axes))]
    graph = net.build(net.apply(kind, inputs, shape, schema.ReducerOptionsT()))
    moved = channels_last(graph)
    assert _kinds(moved) == ["CONV_2D", kind]
    _same_function(graph, moved)


def test_axes_that_a_reduction_keeps_stay_in_order() -> None:
    net = _Net()
    inputs = [net.first(net.wide()), net.constant(_ints(2))]
    graph = net.build(net.apply("MEAN", inputs, [1, 4, 8], schema.ReducerOptionsT()))
    moved = channels_last(graph)
    assert _kinds(moved) == ["CONV_2D", "MEAN", "TRANSPOSE"]
    _same_function(graph, moved)


def test_transposes_add_up() -> None:
    net = _Net()
    turned = net.transposed(net.first(net.wide()), 0, 2, 1, 3)
    graph = net.closed(net.transposed(net.transposed(turned, 0, 2, 1, 3), 0, 2, 3, 1))
    moved = channels_last(graph)
    assert _kinds(moved) == ["CONV_2D", "CONV_2D"]
    _same_function(graph, moved)


def test_a_flattened_picture_goes_to_a_layer_whose_columns_change_places() -> None:
    net = _Net()
    flat = net.reshaped(net.first(net.wide()), 1, 4 * 6 * 8)
    graph = net.build(net.dense(flat, normal(5, 4 * 6 * 8), normal(5)))
    moved = channels_last(graph)
    assert _kinds(moved) == ["CONV_2D", "FULLY_CONNECTED"]
    _same_function(graph, moved)


def test_pooled_channels_go_to_a_layer_as_they_are() -> None:
    net = _Net()
    flat = net.reshaped(net.apply("RELU", [net.wide()], [1, 6, 8, 4]), 1, 4 * 6 * 8)
    graph = net.build(net.dense(flat, normal(5, 4 * 6 * 8), normal(5)))
    moved = channels_last(graph)
    assert _kinds(moved) == ["CONV_2D", "RELU", "FULLY_CONNECTED"]
    _same_function(graph, moved)


def test_an_answer_in_another_order_stays() -> None:
    net = _Net()
    graph = net.build(net.first(net.wide()))
    assert _kinds(channels_last(graph)) == ["CONV_2D", "TRANSPOSE"]
    _same_function(graph, channels_last(graph))


def _square(net: _Net) -> int:
    """As wide as high as it has channels, so that any order fits."""
    begin, size = net.constant(_ints(0, 0, 0, 0)), net.constant(_ints(1, 4, 4, 4))
    return net.apply("SLICE", [net.wide(), begin, size], [1, 4, 4, 4], schema.SliceOptionsT())


def _of_two_orders(net: _Net) -> int:
    square = _square(net)
    return net.add(net.first(square), net.last(square), NONE)


def _one_of_them_only(net: _Net) -> int:
    square = _square(net)
    return net.add(net.first(square), square, NONE)


def _reshaped_in_order(net: _Net) -> int:
    return net.reshaped(net.first(net.wide()), 1, 8, 6, 4)


def _softmax_of_columns(net: _Net) -> int:
    options = schema.SoftmaxOptionsT()
    return net.apply("SOFTMAX", [net.first(net.wide())], [1, 4, 6, 8], options, beta=1.0)


def _gathered_by_a_matrix(net: _Net) -> int:
    inputs = [net.first(net.wide()), net.constant(_ints(1, 0).reshape(2, 1))]
    options = schema.GatherOptionsT()
    rows = net.apply("GATHER", inputs, [1, 2, 1, 6, 8], options, axis=1)
    return net.reshaped(rows, 1, 2, 6, 8)


@pytest.mark.parametrize(
    "middle",
    [_of_two_orders, _one_of_them_only, _reshaped_in_order, _softmax_of_columns,
     _gathered_by_a_matrix],
    ids=lambda middle: middle.__name__.strip("_"),
)  # fmt: skip
def test_where_the_order_matters_it_stays(middle: Callable[[_Net], int]) -> None:
    net = _Net()
    graph = net.closed(middle(net))
    moved = channels_last(graph)
    assert "TRANSPOSE" in _kinds(moved)
    _same_function(graph, moved)


def test_a_graph_without_transposes_is_as_it_was() -> None:
    net = _Net()
    graph = net.closed(net.add(net.wide(), net.wide()))
    assert _kinds(channels_last(graph)) == _kinds(graph)
    _same_function(graph, channels_last(graph))


def test_two_orders_become_the_one_that_they_make() -> None:
    net = _Net()
    graph = net.closed(net.transposed(net.first(net.wide()), 0, 2, 1, 3))
    moved = channels_last(graph)
    assert _kinds(moved) == ["CONV_2D", "TRANSPOSE", "CONV_2D"]
    _same_function(graph, moved)


def test_the_answer_keeps_its_tensor() -> None:
    net = _Net()
    graph = net.build(net.last(net.first(net.wide())))
    _same_function(graph, channels_last(graph))
