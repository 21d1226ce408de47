"""The mean error of the logits goes into the last layer's bias."""

import numpy as np
import pytest
from edgekit_convert.graph.execution import tflite_answer
from edgekit_convert.graph.flatbuffer import FlatbufferEditor
from edgekit_convert.quantize.activations import observe
from edgekit_convert.quantize.output_correction import correct_output
from edgekit_convert.quantize.quantizer import FloatModel, quantize
from edgekit_convert.quantize.recipes import PLAIN
from numpy.typing import NDArray

from tests.convert.toys import NONE, RELU, Toy, noise, normal

PICTURES = noise(20, 4, 4, 3)


def _model(fused: int) -> FloatModel:
    toy = Toy(4, 4)
    hidden = toy.conv(toy.image, normal(8, 1, 1, 3) / 255, normal(8, seed=1))
    logits = toy.dense(toy.mean(hidden), normal(3, 8, seed=2), normal(3, seed=3) + 2, fused)
    graph = toy.build(toy.softmax(logits))
    return FloatModel.prepare(graph, observe(graph, PICTURES, 1, 0, lambda done: None))


def _logits(flatbuffer: bytes) -> NDArray[np.float32]:
    return tflite_answer(flatbuffer, 1)(PICTURES).logits


def test_the_mean_logits_become_the_float_model_s() -> None:
    model = _model(NONE)
    editor = FlatbufferEditor(quantize(model, PLAIN))
    bias = editor.bias(editor.weighted()[-1])
    assert bias is not None
    # As if what came before had lost this much.
    lost = np.array([0.5, -0.25, 0.0])
    steps = np.rint(lost / editor.graph.tensors[bias].quantization.scale).astype(np.int32)
    editor.set_constant(bias, editor.constant(bias, np.int32) - steps)
    spoiled = editor.pack()
    exact, before = _logits(model.flatbuffer).mean(axis=0), _logits(spoiled)
    made = correct_output(spoiled, model.activations, before)
    assert made is not None
    corrected, after = made
    assert np.abs(before.mean(axis=0) - exact).max() > 0.2
    # Half a step of the logits, at most.
    assert _logits(corrected).mean(axis=0) == pytest.approx(exact, abs=0.01)
    step = editor.graph.tensors[editor.weighted()[-1].outputs[0]].quantization.scale[0]
    assert np.abs(after - _logits(corrected)).max() < 1.01 * step


def test_behind_an_activation_nothing_is_corrected() -> None:
    model = _model(RELU)
    flatbuffer = quantize(model, PLAIN)
    assert correct_output(flatbuffer, model.activations, _logits(flatbuffer)) is None


def test_logits_that_no_layer_gives_are_left_alone() -> None:
    toy = Toy(4, 4)
    hidden = toy.conv(toy.image, normal(8, 1, 1, 3) / 255, normal(8, seed=1))
    graph = toy.build(toy.softmax(toy.mean(hidden)))
    model = FloatModel.prepare(graph, observe(graph, PICTURES, 1, 0, lambda done: None))
    flatbuffer = quantize(model, PLAIN)
    assert correct_output(flatbuffer, model.activations, _logits(flatbuffer)) is None
