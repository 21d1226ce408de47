"""How graphs answer pictures: ONNX in onnxruntime, TFLite in an interpreter."""

from collections.abc import Callable

import numpy as np
import onnx
from numpy.typing import NDArray

from edgekit.errors import RuntimeUnavailableError
from edgekit.inference.interpreter import Interpreter
from edgekit.model.manifest import Normalization
from edgekit_convert.answers import Answer, Answers
from edgekit_convert.graph.flatbuffer import expose_logits
from edgekit_convert.graph.fold import IMAGE, LOGITS, PROBABILITIES, with_logits
from edgekit_convert.graph.interpreters import Interpreters
from edgekit_convert.graph.session import Session
from edgekit_convert.weights.trained import normalize

_EDGETPU = "libedgetpu.so.1"


def exported_answer(model: onnx.ModelProto, normalization: Normalization) -> Answer:
    """An ONNX model that takes normalized pictures (N, 3, H, W) float32 and gives logits.

    Raises:
        ConversionError: onnxruntime refuses it; from the answer, too.
    """
    raw = onnx_answer(with_logits(model), model.graph.input[0].name)
    return lambda pictures: raw(normalize(pictures, normalization))


def folded_answer(model: onnx.ModelProto) -> Answer:
    """The folded ONNX model, which takes raw pixels (N, 3, H, W) float32.

    Raises:
        ConversionError: onnxruntime refuses it; from the answer, too.
    """
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    shown.graph.output.append(onnx.ValueInfoProto(name=LOGITS))
    raw = onnx_answer(shown, IMAGE)
    return lambda pictures: raw(
        np.ascontiguousarray(pictures.transpose(0, 3, 1, 2).astype(np.float32))
    )


def tflite_answer(flatbuffer: bytes, threads: int, runtime: str = "auto") -> Answer:
    """A TFLite classifier that ends in a softmax."""
    interpreters = Interpreters(expose_logits(flatbuffer), threads, runtime)

    def read(interpreter: Interpreter, index: int) -> Answers:
        probabilities, logits = (values for _, values in interpreter.outputs())
        return Answers(logits.reshape(1, -1), probabilities.reshape(1, -1))

    return lambda pictures: Answers.join(list(interpreters.map(pictures, read)))


def edgetpu_answer(flatbuffer: bytes) -> Answer | None:
    """A compiled classifier on the Edge TPU attached to this machine; None where there is none.

    The compiler swallows the logits: in their place are the logarithms of the probabilities.
    """
    try:
        interpreter = Interpreter(flatbuffer, delegate=_EDGETPU)
    except RuntimeUnavailableError:
        return None

    def answer(pictures: NDArray[np.uint8]) -> Answers:
        rows = [interpreter.answer(pictures[i : i + 1]) for i in range(len(pictures))]
        return Answers.of_probabilities(np.stack(rows))

    return answer


def onnx_answer(model: onnx.ModelProto, tensor: str) -> Callable[[NDArray[np.float32]], Answers]:
    """A model with outputs `logits` and `probabilities`, and an input (N, 3, H, W) float32.

    Args:
        model: the ONNX model.
        tensor: name of its input.

    Raises:
        ConversionError: onnxruntime refuses it; from the answer, too.
    """
    session = Session(model)

    def answer(values: NDArray[np.float32]) -> Answers:
        rows = []
        for index in range(len(values)):
            found = session.run([LOGITS, PROBABILITIES], {tensor: values[index : index + 1]})
            rows.append(Answers(*(np.asarray(v, dtype=np.float32) for v in found)))
        return Answers.join(rows)

    return answer
