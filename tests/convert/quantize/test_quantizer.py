"""Each technique does what it says, on the demo's network."""

from dataclasses import replace

import numpy as np
import pytest
from edgekit_convert.answers import signal_to_noise
from edgekit_convert.graph.execution import tflite_answer
from edgekit_convert.graph.flatbuffer import Model
from edgekit_convert.quantize.quantizer import FloatModel, Recipe, quantize, with_io
from edgekit_convert.quantize.ranges import RULES, choose_ranges, fake_quantize
from edgekit_convert.quantize.search import CANDIDATES, search
from numpy.typing import NDArray

from edgekit.model import flatbuffer as tflite


def _snr(model: FloatModel, flatbuffer: bytes, pictures: NDArray[np.uint8]) -> float:
    exact = tflite_answer(model.flatbuffer, 2)(pictures)
    snr = signal_to_noise(exact.logits, tflite_answer(flatbuffer, 2)(pictures).logits)
    assert snr is not None
    return snr


def test_equalization_changes_no_answer(
    float_model: FloatModel, pictures: NDArray[np.uint8]
) -> None:
    equalized = float_model.equalized()
    assert equalized.flatbuffer != float_model.flatbuffer
    assert _snr(float_model, equalized.flatbuffer, pictures[100:110]) > 100


def test_equalized_activations_are_what_the_equalized_model_computes(
    float_model: FloatModel, pictures: NDArray[np.uint8]
) -> None:
    from edgekit_convert.quantize.activations import observe

    equalized = float_model.equalized()
    seen = observe(equalized.flatbuffer, pictures[:100], 2, 0, lambda done: None)
    for name, activation in equalized.activations.items():
        assert np.allclose(seen[name].highs, activation.highs, rtol=1e-3, atol=1e-3), name


def test_equalization_leaves_the_outputs_of_dense_layers_whose_weights_have_one_scale(
    two_layer_head: FloatModel, pictures: NDArray[np.uint8]
) -> None:
    equalized = two_layer_head.equalized()
    graph = tflite.parse(two_layer_head.flatbuffer)
    changed = {
        (operator.name, bool(np.any(equalized.activations[name].highs != before.highs)))
        for operator in graph.operators
        for name, before in two_layer_head.activations.items()
        if name == graph.tensors[operator.outputs[0]].name
    }
    assert ("CONV_2D", True) in changed
    assert ("FULLY_CONNECTED", True) not in changed
    plain = _snr(two_layer_head, quantize(two_layer_head, Recipe()), pictures[100:130])
    int8 = quantize(equalized, Recipe(equalize=True))
    assert _snr(two_layer_head, int8, pictures[100:130]) > plain - 1


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("equalize", [False, True])
def test_every_rule_makes_a_model_that_is_close(
    float_model: FloatModel, pictures: NDArray[np.uint8], rule: str, equalize: bool
) -> None:
    model = float_model.equalized() if equalize else float_model
    assert _snr(float_model, quantize(model, Recipe(rule, equalize)), pictures[100:130]) > 15


def test_no_rule_goes_beyond_what_was_seen(float_model: FloatModel) -> None:
    for rule in RULES:
        ranges = choose_ranges(float_model.flatbuffer, float_model.activations, rule)
        for operator in tflite.parse(float_model.flatbuffer).operators:
            name = tflite.parse(float_model.flatbuffer).tensors[operator.outputs[0]].name
            if operator.name in ("CONV_2D", "ADD", "FULLY_CONNECTED", "MEAN"):
                activation, (low, high) = float_model.activations[name], ranges[name]
                assert activation.low <= low <= 0 <= high <= activation.high, (rule, name)


def test_rounding_to_a_range_keeps_zero() -> None:
    values = np.array([-3.0, 0.0, 0.4, 10.0, 99.0], np.float32)
    rounded = fake_quantize(values, -1.0, 10.0)
    assert rounded[1] == 0
    assert rounded[-1] == pytest.approx(10.0, abs=11 / 255)
    assert np.abs(rounded[1:4] - values[1:4]).max() <= 11 / 255 / 2 + 1e-6


def test_all_parts_are_integers_and_inputs_are_pixels(float_model: FloatModel) -> None:
    graph = tflite.parse(quantize(float_model, Recipe("mse", feedback=True, correct_bias=True)))
    assert {t.dtype for t in graph.tensors} <= {"int8", "int32"}
    entry = graph.tensors[graph.inputs[0]]
    assert (entry.scale, entry.zero_point) == ((1.0,), (-128,))


@pytest.mark.parametrize("dtype", ["uint8", "int8", "float32"])
def test_every_type_of_input_gives_the_same_answers(
    float_model: FloatModel, pictures: NDArray[np.uint8], dtype: str
) -> None:
    quantized = quantize(float_model, Recipe())
    model = with_io(quantized, dtype)
    graph = tflite.parse(model)
    ends = (graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[0]])
    assert [end.name for end in ends] == ["image", "probabilities"]
    assert [end.dtype for end in ends] == [dtype, dtype]
    expected = tflite_answer(quantized, 1)(pictures[:10])
    assert np.array_equal(tflite_answer(model, 1)(pictures[:10]).probabilities,
                          expected.probabilities)  # fmt: skip


def test_a_bias_that_overflows_gets_a_larger_scale(
    float_model: FloatModel, pictures: NDArray[np.uint8]
) -> None:
    model = Model(float_model.flatbuffer)
    stem = model.weighted()[0]
    weight = model.constant(stem.inputs[1]).copy()
    # A channel without weights has the least scale there is; its bias may still be anything.
    weight[3] = 1e-12
    model.set_constant(stem.inputs[1], weight)
    dead = FloatModel.prepare(model.pack(), float_model.activations)
    assert _snr(dead, quantize(dead, Recipe()), pictures[100:110]) > 15


class TestSearch:
    def test_it_finds_what_is_best_on_the_held_out_pictures_and_tells_of_all(
        self, float_model: FloatModel, pictures: NDArray[np.uint8]
    ) -> None:
        done: list[int] = []
        exact = tflite_answer(float_model.flatbuffer, 2)(pictures[100:140])
        found = search(float_model, pictures[100:140], exact, 2, done.append)
        assert sum(done) == len(found.candidates) == CANDIDATES
        assert sum(candidate.chosen for candidate in found.candidates) == 1
        plain = _snr(float_model, quantize(float_model, Recipe()), pictures[140:200])
        assert _snr(float_model, found.flatbuffer, pictures[140:200]) > plain - 0.5
        remade = found.model if found.recipe.equalize else float_model
        assert quantize(remade, replace(found.recipe)) == found.flatbuffer
