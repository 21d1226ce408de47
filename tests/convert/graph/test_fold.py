"""Folding changes what the network takes, not what it answers."""

import numpy as np
import onnx
import pytest
from edgekit_convert.graph.execution import folded_answer, onnx_answer
from edgekit_convert.graph.fold import fold, with_logits
from edgekit_convert.weights.trained import normalize
from onnx import TensorProto, helper, numpy_helper

from edgekit.model.manifest import Normalization
from tests.convert.toys import noise, normal

NORMALIZATION = Normalization(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


SIZE = 16
PICTURES = noise(4, SIZE, SIZE, 3)


def _network(*, keepdims: int = 1, relu: bool = True) -> onnx.ModelProto:
    """A small network that begins and ends as torch exports a ResNet."""
    constants = {
        "w": normal(4, 3, 5, 5) / 5,
        "b": normal(4, seed=1),
        "v": normal(6, 4, seed=2),
        "axes": np.array([-1, -2]),
        "shape": np.array([1, -1]),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["convolved"], pads=[2] * 4, strides=[2, 2]),
        *([helper.make_node("Relu", ["convolved"], ["cut"])] if relu else []),
        helper.make_node(
            "MaxPool",
            ["cut" if relu else "convolved"],
            ["pool"],
            kernel_shape=[3, 3],
            pads=[2, 0, 1, 1],
        ),
        helper.make_node("ReduceMean", ["pool", "axes"], ["mean"], keepdims=keepdims),
        *([helper.make_node("Reshape", ["mean", "shape"], ["flat"])] if keepdims else []),
        helper.make_node("Gemm", ["flat" if keepdims else "mean", "v"], ["scores"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, SIZE, SIZE])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 6])],
        [
            numpy_helper.from_array(v if v.dtype == np.int64 else v.astype(np.float32), name)
            for name, v in constants.items()
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def _kinds(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


@pytest.mark.parametrize("centre", [False, True])
@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("relu", [False, True])
def test_a_folded_network_gives_the_same_answers(centre: bool, keepdims: int, relu: bool) -> None:
    network = _network(keepdims=keepdims, relu=relu)
    normalization = Normalization(mean=(0.1, 0.9, 0.4), std=(1, 0.05, 2))
    raw = onnx_answer(with_logits(network), "x")
    expected = raw(normalize(PICTURES, normalization))
    found = folded_answer(fold(network, normalization, SIZE, SIZE, centre=centre))(PICTURES)
    # Borders included: only the order of additions differs.
    assert np.allclose(found.logits, expected.logits, rtol=1e-4, atol=1e-4)
    assert np.allclose(found.probabilities, expected.probabilities, atol=1e-5)


def test_the_border_is_joined_on_where_it_can_be() -> None:
    def kinds(centre: bool) -> list[str]:
        return _kinds(fold(_network(), NORMALIZATION, SIZE, SIZE, centre=centre))

    assert kinds(centre=False).count("Concat") == 2
    assert kinds(centre=True).count("Concat") == 0
    assert kinds(centre=True).count("Conv") == kinds(centre=False).count("Conv") + 1


@pytest.mark.parametrize("keepdims", [0, 1])
def test_a_mean_over_the_picture_is_a_global_pooling(keepdims: int) -> None:
    kinds = _kinds(fold(_network(keepdims=keepdims), NORMALIZATION, SIZE, SIZE, centre=False))
    assert kinds[-4:] == ["GlobalAveragePool", "Flatten", "Gemm", "Softmax"]
    assert "ReduceMean" not in kinds
    assert "Reshape" not in kinds


def test_only_behind_a_relu_a_max_pool_is_padded_with_0() -> None:
    for relu in (True, False):
        kinds = _kinds(fold(_network(relu=relu), NORMALIZATION, SIZE, SIZE, centre=False))
        assert kinds.count("Pad") == int(relu)


def test_input_and_output_are_an_image_and_probabilities() -> None:
    folded = fold(_network(), NORMALIZATION, SIZE, SIZE, centre=False)
    (image,), (probabilities,) = folded.graph.input, folded.graph.output
    assert image.name == "image"
    assert [d.dim_value for d in image.type.tensor_type.shape.dim] == [1, 3, SIZE, SIZE]
    assert probabilities.name == "probabilities"


def test_the_network_itself_stays_as_it_is() -> None:
    network = _network()
    before = network.SerializeToString()
    fold(network, NORMALIZATION, SIZE, SIZE, centre=False)
    assert network.SerializeToString() == before


def test_a_network_that_begins_otherwise_is_normalized_by_a_convolution() -> None:
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "v"], ["scores"], transB=1),
    ]
    model = _network()
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.initializer[2].CopyFrom(
        helper.make_tensor("v", TensorProto.FLOAT, [4, 3], range(12))
    )
    expected = onnx_answer(with_logits(model), "x")(normalize(PICTURES, NORMALIZATION))
    folded = fold(model, NORMALIZATION, SIZE, SIZE, centre=False)
    assert folded.graph.node[0].op_type == "Conv"
    found = folded_answer(folded)(PICTURES)
    assert np.allclose(found.logits, expected.logits, rtol=1e-4, atol=1e-4)
    assert np.allclose(found.probabilities.sum(axis=1), 1)
