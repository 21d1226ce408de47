"""The border folded into the first convolution, against a plain convolution in NumPy."""

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from edgekit_convert.graph.border import border_pixel, can_fold_border, fold_border
from edgekit_convert.graph.onnx_editor import OnnxEditor
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgekit.model.manifest import Normalization
from tests.convert.toys import normal

NORMALIZATION = Normalization(mean=(0.5, 0.2, 0.4), std=(0.25, 0.5, 2.0))
HEIGHT, WIDTH = 7, 9
WEIGHT, BIAS = normal(4, 3, 3, 5), normal(4, seed=1)


def _network(pads: list[int], *, bias: bool = True, **attributes: Any) -> onnx.ModelProto:
    """A convolution with a kernel of 3 rows and 5 columns and a stride of 2 and 1."""
    constants = {"w": WEIGHT} | ({"b": BIAS} if bias else {})
    node = helper.make_node(
        "Conv", ["x", *constants], ["y"], pads=pads, strides=[2, 1], **attributes
    )
    graph = helper.make_graph(
        [node],
        "convolution",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, HEIGHT, WIDTH])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, "rows", "columns"])],
        [numpy_helper.from_array(v.astype(np.float32), name) for name, v in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def _convolve(picture: NDArray[Any], pads: list[int], bias: NDArray[Any]) -> NDArray[Any]:
    """Normalize, pad with zeros, multiply and add: (outputs, rows, columns)."""
    mean = np.array(NORMALIZATION.mean).reshape(3, 1, 1)
    std = np.array(NORMALIZATION.std).reshape(3, 1, 1)
    top, left, bottom, right = pads
    padded = np.pad((picture / 255 - mean) / std, ((0, 0), (top, bottom), (left, right)))
    rows, columns = (padded.shape[1] - 3) // 2 + 1, padded.shape[2] - 4
    outputs = np.empty((4, rows, columns))
    for row in range(rows):
        for column in range(columns):
            patch = padded[:, 2 * row : 2 * row + 3, column : column + 5]
            outputs[:, row, column] = (WEIGHT * patch).sum(axis=(1, 2, 3)) + bias
    return outputs


def _run(model: onnx.ModelProto, picture: NDArray[Any]) -> NDArray[Any]:
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (found,) = session.run(None, {"x": picture[None].astype(np.float32)})
    return np.asarray(found[0])


PICTURE = np.random.default_rng(0).integers(0, 256, (3, HEIGHT, WIDTH))


@pytest.mark.parametrize(
    "pads",
    [
        [0, 0, 0, 0],
        [1, 2, 1, 2],
        [1, 2, 3, 4],  # another size on each side
        [2, 0, 0, 0],
        [0, 2, 0, 0],
        [0, 0, 2, 0],
        [0, 0, 0, 2],
    ],
)
@pytest.mark.parametrize("bias", [True, False])
def test_it_computes_what_zero_padding_of_the_normalized_picture_computes(
    pads: list[int], bias: bool
) -> None:
    model = _network(pads, bias=bias)
    editor = OnnxEditor(model)
    fold_border(editor, editor.graph.node[0], NORMALIZATION, HEIGHT, WIDTH)
    expected = _convolve(PICTURE, pads, BIAS if bias else np.zeros(4))
    assert np.allclose(_run(model, PICTURE), expected, atol=1e-4)
    # The convolution itself pads nothing any more.
    (convolution,) = [node for node in model.graph.node if node.op_type == "Conv"]
    (padding,) = [a for a in convolution.attribute if a.name == "pads"]
    assert list(padding.ints) == [0, 0, 0, 0]


def test_the_border_is_each_channels_mean_in_pixels() -> None:
    assert border_pixel(NORMALIZATION).reshape(3).tolist() == pytest.approx([127.5, 51, 102])
    model = _network([1, 2, 1, 2])
    editor = OnnxEditor(model)
    fold_border(editor, editor.graph.node[0], NORMALIZATION, HEIGHT, WIDTH)
    joined = {name: editor.constant(name) for name in ("border_2_1", "border_3_2")}
    shapes = {name: values.shape for name, values in joined.items() if values is not None}
    # Rows as wide as the picture, then columns as high as the picture with them.
    assert shapes == {"border_2_1": (1, 3, 1, WIDTH), "border_3_2": (1, 3, HEIGHT + 2, 2)}


@pytest.mark.parametrize(
    ("attributes", "fits"),
    [
        ({}, True),
        ({"auto_pad": "NOTSET"}, True),
        ({"group": 3}, False),
        ({"auto_pad": "SAME_UPPER"}, False),
    ],
)
def test_it_fits_plain_convolutions_alone(attributes: dict[str, Any], fits: bool) -> None:
    editor = OnnxEditor(_network([1, 1, 1, 1], **attributes))
    assert can_fold_border(editor, editor.graph.node[0]) == fits


def test_it_does_not_fit_weights_that_are_computed() -> None:
    model = _network([1, 1, 1, 1])
    for name in ("w", "b"):
        editor = OnnxEditor(model)
        node = editor.graph.node[0]
        assert can_fold_border(editor, node)
        position = list(node.input).index(name)
        node.input[position] = "computed"
        assert not can_fold_border(editor, node)
        node.input[position] = name


def test_it_does_not_fit_other_operators() -> None:
    node = helper.make_node("Relu", ["x"], ["y"])
    assert not can_fold_border(OnnxEditor(onnx.ModelProto()), node)
