"""The normalization folded into a convolution, on numbers worked by hand."""

import numpy as np
import onnx
import pytest
from edgekit_convert.graph.normalization import (
    convolve_normalization,
    fold_normalization,
    normalizing_convolution,
    own_normalization,
)
from edgekit_convert.graph.onnx_editor import OnnxEditor
from onnx import TensorProto, helper, numpy_helper

from edgekit.model.manifest import Normalization
from tests.convert.graph.onnx_nets import run
from tests.convert.toys import normal

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


def _apart(order: tuple[int, ...]) -> onnx.ModelProto:
    """Takes channels apart, computes (c + 2) x - c of each c, and joins them in an order."""
    constants, nodes = {"one": np.array([1])}, []
    for channel in range(3):
        constants |= {
            f"index{channel}": np.array(channel),
            f"scale{channel}": np.array(channel + 2, np.float32),
            f"less{channel}": np.array(channel, np.float32),
        }
        for kind, first, second, output in (
            ("Gather", "x", "index", "a"), ("Unsqueeze", "a", "one", "b"),
            ("Mul", "b", "scale", "c"), ("Sub", "c", "less", "d"),
        ):  # fmt: skip
            inputs = [
                name if name in ("x", "one") else f"{name}{channel}" for name in (first, second)
            ]
            options = {"axis": 1} if kind == "Gather" else {}
            nodes.append(helper.make_node(kind, inputs, [f"{output}{channel}"], **options))
    nodes.append(helper.make_node("Concat", [f"d{c}" for c in order], ["y"], axis=1))
    graph = helper.make_graph(
        nodes,
        "apart",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 4, 5])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3, 4, 5])],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_channels_that_are_normalized_apart_become_a_convolution() -> None:
    model, picture = _apart((0, 1, 2)), normal(1, 3, 4, 5).astype(np.float32)
    (expected,) = run(model, picture)
    editor = OnnxEditor(model)
    own = own_normalization(editor, "x")
    assert own is not None
    assert (own.scale.tolist(), own.shift.tolist()) == ([2, 3, 4], [0, -1, -2])
    convolve_normalization(editor, "x")
    editor.prune()
    assert [node.op_type for node in model.graph.node] == ["Conv"]
    np.testing.assert_allclose(run(model, picture)[0], expected, rtol=1e-5)


def test_channels_that_are_joined_in_another_order_are_no_normalization() -> None:
    assert own_normalization(OnnxEditor(_apart((2, 1, 0))), "x") is None
