"""Layouts are written otherwise, as onnx2tf lowers them; what is computed stays."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from edgekit_convert.graph.layout import write_layouts
from edgekit_convert.graph.refusals import check_dimensions
from numpy.typing import ArrayLike
from onnx import NodeProto, TensorProto, helper, numpy_helper

from edgekit.errors import ConversionError
from tests.convert.graph.onnx_nets import run
from tests.convert.toys import normal

HEIGHT, WIDTH, CHANNELS = 4, 5, 6
LAST, SECOND = [0, 2, 3, 1], [0, 3, 1, 2]


def _node(kind: str, inputs: str, output: str, **attributes: Any) -> NodeProto:
    return helper.make_node(kind, inputs.split(), [output], **attributes)


def _model(nodes: Sequence[NodeProto], **constants: ArrayLike) -> onnx.ModelProto:
    """Takes `x` (1, 6, 4, 5), gives `y`; floats are constants in float32, the rest in int64."""
    arrays = {name: np.asarray(values) for name, values in constants.items()}
    graph = helper.make_graph(
        list(nodes),
        "network",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, CHANNELS, HEIGHT, WIDTH])],
        [onnx.ValueInfoProto(name="y")],
        [
            numpy_helper.from_array(
                array.astype(np.float32 if array.dtype.kind == "f" else np.int64), name
            )
            for name, array in arrays.items()
        ],
    )
    graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def _written(model: onnx.ModelProto) -> list[str]:
    """Kinds of the operators that it is written with, which compute the same."""
    picture = normal(1, CHANNELS, HEIGHT, WIDTH, seed=9).astype(np.float32)
    (expected,) = run(model, picture)
    write_layouts(model)
    (found,) = run(model, picture)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    return [node.op_type for node in model.graph.node]


def _shuffle(order: list[int], between: list[int]) -> onnx.ModelProto:
    return _model(
        [
            _node("Reshape", "x apart", "five"),
            _node("Transpose", "five", "moved", perm=order),
            _node("Reshape", "moved whole", "y"),
        ],
        apart=between,
        whole=[1, CHANNELS, HEIGHT, WIDTH],
    )


def test_a_channel_shuffle_becomes_a_gather_of_channels() -> None:
    model = _shuffle([0, 2, 1, 3, 4], [1, 2, 3, HEIGHT, WIDTH])
    assert _written(model) == ["Gather"]
    (constant,) = model.graph.initializer
    assert numpy_helper.to_array(constant).tolist() == [0, 3, 1, 4, 2, 5]


def test_what_moves_pixels_too_is_no_channel_shuffle() -> None:
    model = _shuffle([0, 1, 3, 2, 4], [1, CHANNELS, 2, 2, WIDTH])  # rows
    assert _written(model) == ["Reshape", "Transpose", "Reshape"]


def test_a_shuffle_that_something_else_reads_the_middle_of_stays() -> None:
    model = _shuffle([0, 2, 1, 3, 4], [1, 2, 3, HEIGHT, WIDTH])
    model.graph.node.append(_node("Sigmoid", "moved", "other"))
    model.graph.output.append(onnx.ValueInfoProto(name="other"))
    write_layouts(model)
    assert [node.op_type for node in model.graph.node][:3] == ["Reshape", "Transpose", "Reshape"]


def test_a_block_of_convnext_loses_its_transposes() -> None:
    model = _model(
        [
            _node("Transpose", "x", "last", perm=LAST),
            _node("LayerNormalization", "last s b", "normal", axis=-1, epsilon=0.3),
            _node("MatMul", "normal m", "wide"),
            _node("Add", "n wide", "moved"),
            _node("Gelu", "moved", "bent"),
            _node("MatMul", "bent k", "narrow"),
            _node("Transpose", "narrow", "first", perm=SECOND),
            _node("Mul", "first layer", "scaled"),
            _node("Add", "scaled x", "y"),
        ],
        s=normal(CHANNELS), b=normal(CHANNELS, seed=1), m=normal(CHANNELS, 8, seed=2),
        n=normal(8, seed=3), k=normal(8, CHANNELS, seed=4), layer=normal(CHANNELS, 1, 1, seed=5),
    )  # fmt: skip
    kinds = _written(model)
    assert not {"Transpose", "LayerNormalization", "MatMul"} & set(kinds)
    shapes = {one.name: list(one.dims) for one in model.graph.initializer}
    assert all(len(shapes[name]) == 4 for name in shapes if name.endswith(("wide", "_1", "_0")))


def test_a_channels_last_sum_with_what_was_never_channels_first_stays_right() -> None:
    model = _model(
        [
            _node("Transpose", "x", "last", perm=LAST),
            _node("Relu", "last", "cut"),
            _node("Reshape", "x as", "other"),
            _node("Add", "cut other", "sum"),
            _node("Transpose", "sum", "y", perm=SECOND),
        ],
        **{"as": [1, HEIGHT, WIDTH, CHANNELS]},
    )
    assert _written(model).count("Transpose") == 2


@pytest.mark.parametrize("shape", [(), (WIDTH, CHANNELS), (1, HEIGHT, 1, 1)])
def test_a_constant_of_any_shape_is_turned_as_it_is_spread(shape: tuple[int, ...]) -> None:
    model = _model(
        [
            _node("Transpose", "x", "last", perm=LAST),
            _node("Sub", "c last", "less"),
            _node("Transpose", "less", "y", perm=SECOND),
        ],
        c=normal(*shape),
    )
    assert "Transpose" not in _written(model)


def test_a_normalization_over_rows_too_stays_as_it_is() -> None:
    model = _model(
        [
            _node("Transpose", "x", "last", perm=LAST),
            _node("LayerNormalization", "last s", "y", axis=2),
        ],
        s=normal(WIDTH, CHANNELS),
    )
    assert _written(model) == ["Transpose", "LayerNormalization"]


@pytest.mark.parametrize(
    ("order", "left"),
    [(range(CHANNELS), ["GlobalAveragePool", "Identity"]),
     ([1, 0, 2, 3, 4, 5], ["GlobalAveragePool", "Reshape", "Gather"])],
)  # fmt: skip
def test_a_pool_that_is_gathered_by_its_strides_is_taken_itself(
    order: Sequence[int], left: list[str]
) -> None:
    model = _model(
        [
            _node("GlobalAveragePool", "x", "mean"),
            _node("Reshape", "mean flat", "values"),
            _node("Gather", "values places", "y"),
        ],
        flat=[-1],
        places=np.reshape(order, (1, CHANNELS, 1, 1)),
    )
    assert _written(model) == left


def test_five_dimensions_are_refused_and_named() -> None:
    model = _shuffle([0, 1, 3, 2, 4], [1, CHANNELS, 2, 2, WIDTH])
    with pytest.raises(ConversionError, match=r"tensors of 5 dimensions \(five\).*attention"):
        check_dimensions(model)
    check_dimensions(_model([_node("Relu", "x", "y")]))
