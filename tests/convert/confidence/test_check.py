"""A model with a temperature is checked on pictures, and what it answers without is known."""

import numpy as np
import pytest
from edgekit_convert.answers import Answers
from edgekit_convert.confidence.check import check_tempered, without_temperature
from edgekit_convert.confidence.last_layer import temper
from edgekit_convert.graph.execution import tflite_answer
from edgekit_convert.graph.flatbuffer import FlatbufferEditor
from edgekit_convert.pictures import Pictures
from edgekit_convert.quantize.quantizer import with_io
from numpy.typing import NDArray

from edgekit.errors import ConversionError
from tests.convert.confidence.test_last_layer import PICTURES, convolution, dense, int8

SHOWN = Pictures(PICTURES, [str(i) for i in range(len(PICTURES))], "")


@pytest.mark.parametrize("end", [dense, convolution])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_the_written_model_is_the_one_with_the_temperature(end: object, dtype: str) -> None:
    model = int8(end)
    before = with_io(model, dtype)
    tempered, exact = temper(model, 1.4)
    check_tempered(
        with_io(tempered, dtype), before, exact, SHOWN, tflite_answer(before, 1)(PICTURES)
    )


def refused(after: bytes, before: bytes, temperature: float) -> None:
    with pytest.raises(ConversionError, match="changed more than the model's confidence"):
        check_tempered(after, before, temperature, SHOWN, tflite_answer(before, 1)(PICTURES))


def test_a_model_without_it_is_refused() -> None:
    refused(int8(dense), int8(dense), 1.4)


def test_a_model_with_another_is_refused() -> None:
    model = int8(dense)
    refused(temper(model, 1.5)[0], model, 1.4)


def test_a_model_with_other_integers_is_refused() -> None:
    model = int8(dense)
    tempered, exact = temper(model, 1.4)
    editor = FlatbufferEditor(tempered)
    scale = editor.graph.tensors[editor.weighted()[-1].inputs[1]].quantization
    scale.scale = np.asarray(scale.scale) * np.float32(1.02)
    refused(editor.pack(), model, exact)


@pytest.mark.parametrize("temperature", [0.6, 1.0, 1.7])
def test_answers_without_a_temperature_are_found_again(temperature: float) -> None:
    model = int8(dense)
    tempered, exact = temper(model, temperature)

    def compiled(pictures: NDArray[np.uint8]) -> Answers:
        return Answers.of_probabilities(tflite_answer(tempered, 1)(pictures).probabilities)

    exactly = tflite_answer(model, 1)(PICTURES).probabilities
    found = without_temperature(compiled, exact)(PICTURES).probabilities
    assert found == pytest.approx(exactly, abs=0.02)
