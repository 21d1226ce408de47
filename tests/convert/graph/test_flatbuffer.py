"""Edits of a TFLite flatbuffer."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from edgekit_convert.graph.flatbuffer import (
    FlatbufferEditor,
    expose_activations,
    expose_logits,
    separate_constants,
    without_unread,
)

from edgekit.model import flatbuffer as tflite
from tests.convert.toys import NONE, Toy, noise, normal, run


def _classifier() -> bytes:
    toy = Toy(2, 2)
    hidden = toy.conv(toy.image, normal(4, 1, 1, 3), np.zeros(4))
    again = toy.conv(hidden, normal(4, 1, 1, 4), np.zeros(4), NONE)
    return toy.build(toy.softmax(toy.dense(toy.mean(again), normal(3, 4), None)))


def _outputs(flatbuffer: bytes) -> list[str]:
    graph = tflite.parse(flatbuffer)
    return [graph.tensors[index].name for index in graph.outputs]


def test_layers_with_weights_are_found_with_their_constants() -> None:
    editor = FlatbufferEditor(_classifier())
    layers = editor.weighted()
    assert [editor.kind(layer) for layer in layers] == ["CONV_2D", "CONV_2D", "FULLY_CONNECTED"]
    assert np.allclose(editor.constant(layers[0].inputs[1]), normal(4, 1, 1, 3))
    biases = [editor.bias(layer) for layer in layers]
    assert [bias is None for bias in biases] == [False, False, True]


def test_a_constant_is_replaced() -> None:
    editor = FlatbufferEditor(_classifier())
    weight = editor.weighted()[0].inputs[1]
    editor.set_constant(weight, np.ones((4, 1, 1, 3), np.float32))
    again = FlatbufferEditor(editor.pack())
    assert (again.constant(weight) == 1).all()


def test_layers_that_share_a_constant_get_one_each() -> None:
    editor = FlatbufferEditor(_classifier())
    first, second, _ = editor.weighted()
    # As TFLite's converter stores equal constants.
    second.inputs = [second.inputs[0], second.inputs[1], first.inputs[2]]
    shared = editor.pack()
    separate = separate_constants(shared)
    editor = FlatbufferEditor(separate)
    first, second, _ = editor.weighted()
    assert first.inputs[2] != second.inputs[2]
    editor.set_constant(first.inputs[2], np.ones(4, np.float32))
    assert (editor.constant(second.inputs[2]) == 0).all()
    pictures = noise(2, 2, 2, 3)
    assert np.array_equal(run(separate, pictures)["softmax4"], run(shared, pictures)["softmax4"])


def test_activations_become_outputs_behind_the_first() -> None:
    assert _outputs(expose_activations(_classifier())) == [
        "softmax4", "conv0", "conv1", "mean2", "dense3",
    ]  # fmt: skip


def test_logits_become_an_output_behind_the_probabilities() -> None:
    assert _outputs(expose_logits(_classifier())) == ["softmax4", "dense3"]


def test_what_nobody_reads_is_left_out() -> None:
    graph = _classifier()
    editor = FlatbufferEditor(graph)
    second = editor.weighted()[1]
    taken = editor.add_constant("taken", np.full((4, 1, 1, 4), 0.25, np.float32))
    second.inputs = [second.inputs[0], taken, second.inputs[2]]
    changed = editor.pack()
    lean = without_unread(changed)
    there = {tensor.name for tensor in tflite.parse(changed).tensors}
    assert there - {tensor.name for tensor in tflite.parse(lean).tensors} == {"w1"}
    assert len(lean) < len(changed) - 4 * 4 * 4
    pictures = noise(2, 2, 2, 3)
    assert np.array_equal(run(lean, pictures)["softmax4"], run(changed, pictures)["softmax4"])


def test_exposing_changes_nothing_but_the_outputs_and_drops_signatures() -> None:
    signed = FlatbufferEditor(_classifier())
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.inputs, signature.outputs = b"serving_default", [], []
    signed.model.signatureDefs = [signature]
    shown = FlatbufferEditor(expose_logits(signed.pack()))
    assert not shown.model.signatureDefs
    shown.graph.outputs = signed.graph.outputs
    signed.model.signatureDefs = shown.model.signatureDefs
    assert shown.pack() == signed.pack()
