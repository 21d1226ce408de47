"""A float model becomes an int8 model that computes nearly the same."""

import numpy as np
import pytest
from edgekit_convert.graph.execution import tflite_answer
from edgekit_convert.graph.flatbuffer import FlatbufferEditor
from edgekit_convert.quantize.activations import observe
from edgekit_convert.quantize.quantizer import FloatModel, quantize, with_io
from edgekit_convert.quantize.ranges import RULES, stretch
from edgekit_convert.quantize.recipes import PLAIN, RECIPES
from edgekit_convert.quantize.search import CANDIDATES, search
from edgekit_convert.verify.scoring import scoring
from msgspec.structs import replace
from numpy.typing import NDArray

from edgekit.errors import ConversionError
from edgekit.inference.interpreter import Interpreter
from edgekit.model import flatbuffer as tflite
from edgekit.model.manifest import Recipe
from tests.convert.toys import NONE, Toy, noise, normal, run

PICTURES = noise(8, 6, 6, 3)
ALL = Recipe(ranges="mse", equalized=True, rounding="error-feedback", bias_corrected=True)


def _prepare(graph: bytes) -> FloatModel:
    return FloatModel.prepare(graph, observe(graph, PICTURES, 1, 0, lambda done: None))


def _residual() -> bytes:
    """What a ResNet is made of, in small."""
    toy = Toy(6, 6)
    stem = toy.conv(toy.image, normal(8, 1, 1, 3) / 255, normal(8, seed=1) / 10)
    block = toy.conv(stem, normal(8, 1, 1, 8, seed=2) / 3, normal(8, seed=3) / 10, NONE)
    depth = toy.depthwise(toy.add(block, stem), normal(1, 1, 1, 8, seed=4), normal(8, seed=5) / 10)
    last = toy.conv(toy.max_pool(depth, 2), normal(8, 3, 3, 8, seed=6) / 9, normal(8, seed=7) / 10)
    hidden = toy.dense(toy.mean(last), normal(8, 8, seed=8), normal(8, seed=9) / 10)
    return toy.build(toy.softmax(hidden))


@pytest.fixture(scope="module")
def model() -> FloatModel:
    return _prepare(_residual())


def _steps_away(model: FloatModel, int8: bytes) -> dict[str, float]:
    """Largest difference of each activation from the float model's, in units of its scale."""
    scales = {tensor.name: tensor.scale[0] for tensor in tflite.parse(int8).tensors if tensor.scale}
    exact, rounded = run(model.flatbuffer, PICTURES), run(int8, PICTURES)
    return {
        name: float(np.abs(rounded[name] - values).max() / scales[name])
        for name, values in exact.items()
    }


def _ranges(model: FloatModel, rule: str) -> dict[str, tuple[float, float]]:
    """Range of each of the float model's tensors by name, once one was quantized by a rule."""
    editor = FlatbufferEditor(model.flatbuffer)
    return {
        editor.name(tensor): found
        for group, found in zip(model.structure.groups, model.ranges[rule], strict=True)
        for tensor in group.tensors
    }


class TestQuantize:
    @pytest.mark.parametrize("equalized", [False, True])
    @pytest.mark.parametrize("rounding", ["nearest", "error-feedback"])
    @pytest.mark.parametrize("bias_corrected", [False, True])
    def test_every_activation_is_within_a_few_steps(
        self, model: FloatModel, equalized: bool, rounding: str, bias_corrected: bool
    ) -> None:
        recipe = Recipe(
            ranges="min-max", equalized=equalized, rounding=rounding, bias_corrected=bias_corrected
        )
        float_model = model.equalized() if equalized else model
        away = _steps_away(float_model, quantize(float_model, recipe))
        # Half a step of its own, and what comes through of its input's and weights'.
        assert max(away.values()) < 8, away
        assert away["conv0"] < 1.5

    def test_exact_weights_leave_half_a_step(self) -> None:
        toy = Toy(6, 6)
        # 127 x 2^-10 and less: no weight is rounded.
        weight = np.array([[127, -64, 3], [1, 5, -127]]).reshape(2, 1, 1, 3) / 1024
        model = _prepare(toy.build(toy.conv(toy.image, weight, [0.5, -0.25], NONE)))
        away = _steps_away(model, quantize(model, PLAIN))
        assert away["conv0"] <= 0.51

    def test_all_parts_are_integers_and_inputs_are_pixels(self, model: FloatModel) -> None:
        graph = tflite.parse(quantize(model, ALL))
        assert {t.dtype for t in graph.tensors} <= {"int8", "int32"}
        entry = graph.tensors[graph.inputs[0]]
        assert (entry.scale, entry.zero_point) == ((1.0,), (-128,))

    def test_probabilities_keep_the_scale_that_tflite_fixes(self, model: FloatModel) -> None:
        graph = tflite.parse(quantize(model, PLAIN))
        end = graph.tensors[graph.outputs[0]]
        assert (end.scale, end.zero_point) == ((1 / 256,), (-128,))

    def test_activations_have_the_scale_of_the_range_chosen(self, model: FloatModel) -> None:
        for rule in RULES:
            graph = tflite.parse(quantize(model, replace(PLAIN, ranges=rule)))
            low, high = _ranges(model, rule)["conv1"]
            (tensor,) = [tensor for tensor in graph.tensors if tensor.name == "conv1"]
            assert tensor.scale[0] == pytest.approx((high - low) / 255)
            assert tensor.zero_point[0] == round(-255 * low / (high - low)) - 128

    def test_no_rule_goes_further_beyond_what_was_seen_than_its_tail(
        self, model: FloatModel
    ) -> None:
        for rule in RULES:
            quantize(model, replace(PLAIN, ranges=rule))
            ranges = _ranges(model, rule)
            for name in ("conv0", "conv1", "add2", "conv5", "dense7"):
                seen, (low, high) = model.activations[name], ranges[name]
                least = seen.low * stretch(-seen.lows.min(axis=1))
                most = seen.high * stretch(seen.highs.max(axis=1))
                assert least <= low <= 0 <= high <= most, (rule, name)

    def test_operators_have_the_version_that_brought_int8(self, model: FloatModel) -> None:
        editor = FlatbufferEditor(quantize(model, PLAIN))
        versions = {editor.code_name(code): code.version for code in editor.model.operatorCodes}
        assert versions == {
            "ADD": 2, "CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 4,
            "MAX_POOL_2D": 2, "MEAN": 2, "SOFTMAX": 2,
        }  # fmt: skip

    def test_a_channel_without_weights_keeps_its_bias(self) -> None:
        toy = Toy(6, 6)
        weight = np.array([[1.0, 2.0, 3.0], [1e-12, 0.0, 0.0]]).reshape(2, 1, 1, 3)
        # At the scale of such weights the bias would be far beyond 32 bits.
        model = _prepare(toy.build(toy.conv(toy.image, weight, [0.0, 700.0], NONE)))
        assert _steps_away(model, quantize(model, PLAIN))["conv0"] < 1.5

    def test_a_model_that_cannot_be_quantized_whole_is_refused(self) -> None:
        graph = _residual()
        seen = observe(graph, PICTURES, 1, 0, lambda done: None)
        del seen["add2"]
        with pytest.raises(ConversionError):
            FloatModel.prepare(graph, seen)


class TestIo:
    def test_uint8_has_the_zero_point_of_int8_plus_128(self, model: FloatModel) -> None:
        graph = tflite.parse(with_io(quantize(model, PLAIN), "uint8"))
        ends = (graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[0]])
        assert [(end.scale, end.zero_point) for end in ends] == [((1,), (0,)), ((1 / 256,), (0,))]

    @pytest.mark.parametrize("dtype", ["uint8", "int8", "float32"])
    def test_every_type_of_input_gives_the_same_answers(
        self, model: FloatModel, dtype: str
    ) -> None:
        quantized = quantize(model, PLAIN)
        changed = with_io(quantized, dtype)
        graph = tflite.parse(changed)
        ends = (graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[0]])
        assert [end.name for end in ends] == ["image", "probabilities"]
        assert [end.dtype for end in ends] == [dtype, dtype]
        for picture in PICTURES:
            found = []
            for flatbuffer in (quantized, changed):
                interpreter = Interpreter(flatbuffer)
                interpreter.set_input(picture[None])
                interpreter.invoke()
                found.append(interpreter.output())
            assert np.array_equal(*found)


class TestWholeNetwork:
    def test_its_channels_are_equalized_and_its_answers_stay(
        self, float_model: FloatModel, pictures: NDArray[np.uint8]
    ) -> None:
        equalized = float_model.equalized()
        changed = {
            name
            for name, before in float_model.activations.items()
            if not np.array_equal(before.highs, equalized.activations[name].highs)
        }
        kinds = {
            operator.name
            for graph in [tflite.parse(float_model.flatbuffer)]
            for operator in graph.operators
            if graph.tensors[operator.outputs[0]].name in changed
        }
        assert kinds == {"CONV_2D", "MAX_POOL_2D", "PAD", "ADD", "MEAN"}
        exact, found = (
            tflite_answer(model.flatbuffer, 1)(pictures[40:]) for model in (float_model, equalized)
        )
        assert np.allclose(found.logits, exact.logits, rtol=1e-3, atol=1e-3)

    def test_it_is_searched(self, float_model: FloatModel, pictures: NDArray[np.uint8]) -> None:
        exact = tflite_answer(float_model.flatbuffer, 1)(pictures[40:])
        found = search(float_model, RECIPES, scoring(pictures[40:], exact, 1), lambda done: None)
        assert CANDIDATES - 1 <= len(found.candidates) <= CANDIDATES
        (chosen,) = [candidate for candidate in found.candidates if candidate.chosen]
        assert chosen.snr_db == max(candidate.snr_db for candidate in found.candidates) > 20
        assert quantize(found.model, found.recipe) == found.flatbuffer
