"""Logits are divided by a temperature, and their integers stay what they are."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from edgekit_convert.answers import softmax
from edgekit_convert.confidence.last_layer import (
    NotFoldedError,
    answer_integers,
    integers,
    logit_scale,
    temper,
)
from edgekit_convert.graph.execution import tflite_answer
from edgekit_convert.graph.flatbuffer import FlatbufferEditor
from edgekit_convert.quantize.activations import observe
from edgekit_convert.quantize.quantizer import FloatModel, quantize, with_io
from edgekit_convert.quantize.recipes import PLAIN

from edgekit.inference.runtimes import installed_runtimes
from tests.convert.toys import NONE, RELU, RELU6, Toy, noise, normal

PICTURES = noise(60, 4, 4, 3)
CLASSES = 7


def features(toy: Toy) -> int:
    return toy.mean(toy.conv(toy.image, normal(8, 1, 1, 3) / 255, normal(8, seed=1)))


def dense(toy: Toy, fused: int = NONE) -> int:
    return toy.dense(features(toy), normal(CLASSES, 8, seed=2), normal(CLASSES, seed=3), fused)


def convolution(toy: Toy) -> int:
    """As SqueezeNet ends: a scale for each class, and a mean behind it."""
    return toy.mean(toy.conv(toy.image, normal(CLASSES, 2, 2, 3) / 99, normal(CLASSES, seed=3)))


def reshaped(toy: Toy) -> int:
    options = schema.ReshapeOptionsT()
    options.newShape = [1, CLASSES]
    tall = toy.apply(
        "RESHAPE", [dense(toy), toy.constant(np.array([CLASSES, 1], np.int32))], [CLASSES, 1],
        schema.ReshapeOptionsT(), newShape=[CLASSES, 1],
    )  # fmt: skip
    return toy.apply(
        "RESHAPE", [tall, toy.constant(np.array([1, CLASSES], np.int32))], [1, CLASSES], options
    )


def two_layers(toy: Toy) -> int:
    """Two heads, added: both have to be scaled."""
    other = toy.dense(features(toy), normal(CLASSES, 8, seed=5), normal(CLASSES, seed=6))
    return toy.add(dense(toy), other, NONE)


def two_classes(toy: Toy) -> int:
    """What becomes of one sigmoid: -z / 2 and z / 2 of one score."""
    one = toy.dense(features(toy), normal(1, 8, seed=2), normal(1, seed=3))
    return toy.dense(one, np.array([[-0.5], [0.5]]), np.zeros(2))


def int8(end: object) -> bytes:
    toy = Toy(4, 4)
    assert callable(end)
    graph = toy.build(toy.softmax(end(toy)))
    return quantize(
        FloatModel.prepare(graph, observe(graph, PICTURES, 1, 0, lambda done: None)), PLAIN
    )


@pytest.mark.parametrize("runtime", installed_runtimes())
@pytest.mark.parametrize("temperature", [0.37, 0.86, 1.3, 4.2])
@pytest.mark.parametrize("end", [dense, convolution, reshaped, two_layers, two_classes])
def test_the_integers_of_logits_stay_and_the_logits_are_divided(
    end: object, temperature: float, runtime: str
) -> None:
    before = int8(end)
    after, exact = temper(before, temperature)
    assert exact == pytest.approx(temperature, rel=1e-3)
    was = tflite_answer(before, 1, runtime)(PICTURES)
    found = tflite_answer(after, 1, runtime)(PICTURES)
    assert (integers(after, found.logits) == integers(before, was.logits)).all()
    assert found.logits == pytest.approx(was.logits / exact, rel=1e-5)
    # The softmax has seen it: its own rounding is a step of 1/256, and its table's a little more.
    assert found.probabilities == pytest.approx(softmax(was.logits / exact), abs=0.006)


def test_one_scale_is_divided_so_that_no_factor_between_integers_changes() -> None:
    model = int8(dense)
    for temperature in np.linspace(0.3, 3, 12):
        after, _ = temper(model, float(temperature))
        factors = []
        for one in (model, after):
            editor = FlatbufferEditor(one)
            layer = editor.weighted()[-1]
            source, weights, output = (
                np.float32(editor.graph.tensors[index].quantization.scale[0])
                for index in (layer.inputs[0], layer.inputs[1], layer.outputs[0])
            )
            factors.append(source * weights / output)
        assert factors[0] == factors[1]


def test_the_bias_has_the_scale_of_the_sums() -> None:
    after, _ = temper(int8(convolution), 1.7)
    editor = FlatbufferEditor(after)
    layer = editor.weighted()[-1]
    source, weights, bias = (
        np.asarray(editor.graph.tensors[index].quantization.scale) for index in layer.inputs
    )
    assert bias == pytest.approx(source * weights, rel=1e-6)


def test_nothing_but_scales_of_the_last_layer_changes() -> None:
    model = int8(dense)
    before, after = FlatbufferEditor(model), FlatbufferEditor(temper(model, 2.0)[0])
    changed = []
    for index, (one, other) in enumerate(
        zip(before.graph.tensors, after.graph.tensors, strict=True)
    ):
        if list(one.quantization.scale if one.quantization else []) != list(
            other.quantization.scale if other.quantization else []
        ):
            changed.append(index)
        assert before.model.buffers[one.buffer].data is None or np.array_equal(
            before.model.buffers[one.buffer].data, after.model.buffers[other.buffer].data
        )
    layer = before.weighted()[-1]
    assert sorted(changed) == sorted([*layer.inputs[1:], *layer.outputs])


@pytest.mark.parametrize("dtype", ["uint8", "int8", "float32"])
def test_whatever_the_input_and_output(dtype: str) -> None:
    model = int8(dense)
    after, exact = temper(model, 0.7)
    was = tflite_answer(with_io(model, dtype), 1)(PICTURES)
    found = tflite_answer(with_io(after, dtype), 1)(PICTURES)
    assert (integers(after, found.logits) == integers(model, was.logits)).all()
    assert found.probabilities == pytest.approx(softmax(was.logits / exact), abs=0.006)


def test_a_relu_of_the_logits_is_as_good() -> None:
    after, exact = temper(int8(lambda toy: dense(toy, RELU)), 1.5)
    assert logit_scale(after) * exact == pytest.approx(logit_scale(int8(lambda t: dense(t, RELU))))


def test_what_is_cut_off_above_cannot_be_scaled() -> None:
    with pytest.raises(NotFoldedError, match="FULLY_CONNECTED"):
        temper(int8(lambda toy: dense(toy, RELU6)), 1.5)


def test_logits_that_no_layer_gives_cannot_be_scaled() -> None:
    def product(toy: Toy) -> int:
        options = schema.MulOptionsT()
        made = features(toy)
        return toy.apply("MUL", [made, made], [1, 8], options)

    with pytest.raises(NotFoldedError, match="come from MUL cannot be scaled"):
        temper(int8(product), 1.5)


def test_logits_that_are_the_input_cannot_be_scaled() -> None:
    with pytest.raises(NotFoldedError, match="come from the input"):
        temper(int8(lambda toy: toy.mean(toy.image)), 1.5)


def test_logits_that_something_else_reads_cannot_be_scaled() -> None:
    def gated(toy: Toy) -> int:
        """A head whose scores are also weights of its other scores."""
        logits = dense(toy)
        gate = toy.apply("LOGISTIC", [logits], [1, CLASSES])
        other = toy.dense(gate, normal(CLASSES, CLASSES, seed=8), np.zeros(CLASSES))
        return toy.add(logits, other, NONE)

    with pytest.raises(NotFoldedError, match="go to LOGISTIC beside the softmax"):
        temper(int8(gated), 1.5)


@pytest.mark.parametrize("end", [dense, reshaped, convolution])
def test_integers_are_answered_as_in_the_model(end: object) -> None:
    model = int8(end)
    answers = tflite_answer(model, 1)(PICTURES)
    found = answer_integers(model, integers(model, answers.logits))
    assert (found == answers.probabilities).all()
