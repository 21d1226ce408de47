"""Folding changes what the network takes, not what it answers."""

import numpy as np
import onnx
import pytest
from edgekit_convert.answers import signal_to_noise
from edgekit_convert.graph.execution import folded_answer, onnx_answer
from edgekit_convert.graph.fold import fold, picture_input, with_logits
from edgekit_convert.weights.trained import normalize
from numpy.typing import NDArray
from onnx import TensorProto, helper

from edgekit.errors import ConversionError
from edgekit.model.manifest import Normalization
from tests.convert.conftest import NORMALIZATION


@pytest.mark.parametrize("centre", [False, True])
@pytest.mark.parametrize(
    "normalization", [NORMALIZATION, Normalization(mean=(0.1, 0.9, 0.4), std=(1, 0.05, 2))]
)
def test_a_folded_network_gives_the_same_logits(
    exported: onnx.ModelProto,
    pictures: NDArray[np.uint8],
    centre: bool,
    normalization: Normalization,
) -> None:
    raw = onnx_answer(with_logits(exported), picture_input(exported).tensor)
    expected = raw(normalize(pictures[:8], normalization))
    folded = fold(exported, normalization, 64, 64, centre=centre)
    found = folded_answer(folded)(pictures[:8])
    snr = signal_to_noise(expected.logits, found.logits)
    # Borders included: only the order of additions differs.
    assert snr is None or snr > 100


def test_the_border_is_joined_on_where_it_can_be(exported: onnx.ModelProto) -> None:
    def kinds(centre: bool) -> list[str]:
        folded = fold(exported, NORMALIZATION, 64, 64, centre=centre)
        return [node.op_type for node in folded.graph.node]

    assert kinds(centre=False).count("Concat") == 2
    assert kinds(centre=True).count("Concat") == 0
    assert kinds(centre=True).count("Conv") == kinds(centre=False).count("Conv") + 1


def _classifier(
    *, batch: str | int = "N", channels: int = 3, ending: str | None = None, outputs: int = 1
) -> onnx.ModelProto:
    """A mean over the picture, a dense layer, and what a user's exporter put behind it."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w"], ["scores"], transB=1),
    ]
    if ending:
        nodes.append(helper.make_node(ending, ["scores"], ["y"]))
    name = "y" if ending else "scores"
    graph = helper.make_graph(
        nodes,
        "classifier",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, channels, "H", "W"])],
        [
            helper.make_tensor_value_info(n, TensorProto.FLOAT, None)
            for n in (name, "flat")[:outputs]
        ],
        [helper.make_tensor("w", TensorProto.FLOAT, [4, channels], range(4 * channels))],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def test_a_network_that_begins_otherwise_is_normalized_by_a_convolution(
    pictures: NDArray[np.uint8],
) -> None:
    model = _classifier()
    expected = onnx_answer(with_logits(model), "x")(normalize(pictures[:4], NORMALIZATION))
    folded = fold(model, NORMALIZATION, 64, 64, centre=False)
    assert folded.graph.node[0].op_type == "Conv"
    found = folded_answer(folded)(pictures[:4])
    assert np.allclose(found.logits, expected.logits, rtol=1e-4, atol=1e-4)
    assert np.allclose(found.probabilities.sum(axis=1), 1)


def test_a_softmax_is_added_only_where_there_is_none() -> None:
    for ending in (None, "Softmax"):
        kinds = [node.op_type for node in with_logits(_classifier(ending=ending)).graph.node]
        assert kinds.count("Softmax") == 1


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (_classifier(batch=16), "takes 16 pictures at once"),
        (_classifier(channels=1), "not a float32 picture"),
        (_classifier(ending="Sigmoid"), "ends in Sigmoid"),
        (_classifier(outputs=2), "has 2 outputs"),
    ],
)
def test_what_is_no_classifier_of_pictures_is_refused(model: onnx.ModelProto, message: str) -> None:
    with pytest.raises(ConversionError, match=message):
        fold(model, NORMALIZATION, 64, 64, centre=False)
