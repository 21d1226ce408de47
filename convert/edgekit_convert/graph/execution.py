"""How graphs answer pictures: ONNX in onnxruntime, TFLite in an interpreter."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as onnxruntime_errors

from edgekit.errors import ConversionError, RuntimeUnavailableError
from edgekit.inference.interpreter import Interpreter
from edgekit.model.manifest import Normalization
from edgekit.text import first_line
from edgekit_convert.answers import MINIMUM_PROBABILITY, Answer, Answers
from edgekit_convert.graph.flatbuffer import expose_logits
from edgekit_convert.graph.fold import IMAGE, LOGITS, PROBABILITIES, picture_input, with_logits
from edgekit_convert.weights.trained import normalize

_EDGETPU = "libedgetpu.so.1"
_RUN_ERRORS = (
    onnxruntime_errors.InvalidArgument,
    onnxruntime_errors.Fail,
    onnxruntime_errors.RuntimeException,
)


def exported_answer(model: onnx.ModelProto, normalization: Normalization) -> Answer:
    """An ONNX classifier that takes normalized pictures (N, 3, H, W) float32.

    Raises:
        ConversionError: onnxruntime refuses it; from the answer, too.
    """
    raw = onnx_answer(with_logits(model), picture_input(model).tensor)
    return lambda pictures: raw(normalize(pictures, normalization))


def folded_answer(model: onnx.ModelProto) -> Answer:
    """The folded ONNX model, which takes raw pixels (N, 3, H, W) float32.

    Raises:
        ConversionError: onnxruntime refuses it; from the answer, too.
    """
    raw = onnx_answer(with_logits(model), IMAGE)
    return lambda pictures: raw(
        np.ascontiguousarray(pictures.transpose(0, 3, 1, 2).astype(np.float32))
    )


def tflite_answer(flatbuffer: bytes, threads: int, runtime: str = "auto") -> Answer:
    """A TFLite classifier that ends in a softmax."""
    interpreter = Interpreter(expose_logits(flatbuffer), threads=threads, runtime=runtime)

    def read() -> Answers:
        probabilities, logits = (values for _, values in interpreter.outputs())
        return Answers(logits.reshape(1, -1), probabilities.reshape(1, -1))

    return _one_by_one(interpreter, read)


def edgetpu_answer(flatbuffer: bytes) -> Answer | None:
    """A compiled classifier on the Edge TPU attached to this machine; None where there is none.

    The compiler swallows the logits: in their place are the logarithms of the probabilities.
    """
    try:
        interpreter = Interpreter(flatbuffer, delegate=_EDGETPU)
    except RuntimeUnavailableError:
        return None

    def read() -> Answers:
        probabilities = interpreter.output().reshape(1, -1)
        return Answers(np.log(np.maximum(probabilities, MINIMUM_PROBABILITY)), probabilities)

    return _one_by_one(interpreter, read)


def _one_by_one(interpreter: Interpreter, read: Callable[[], Answers]) -> Answer:
    def answer(pictures: NDArray[np.uint8]) -> Answers:
        rows = []
        for index in range(len(pictures)):
            interpreter.set_input(pictures[index : index + 1])
            interpreter.invoke()
            rows.append(read())
        return Answers.join(rows)

    return answer


def onnx_answer(model: onnx.ModelProto, tensor: str) -> Callable[[NDArray[np.float32]], Answers]:
    """A model with outputs `logits` and `probabilities`, and an input (N, 3, H, W) float32.

    Args:
        model: the ONNX model.
        tensor: name of its input.

    Raises:
        ConversionError: onnxruntime refuses it; from the answer, too.
    """
    run = onnx_runner(model, tensor, [LOGITS, PROBABILITIES])

    def answer(values: NDArray[np.float32]) -> Answers:
        rows = []
        for index in range(len(values)):
            found = run(values[index : index + 1])
            rows.append(Answers(*(np.asarray(v, dtype=np.float32) for v in found)))
        return Answers.join(rows)

    return answer


def onnx_runner(
    model: onnx.ModelProto, tensor: str, outputs: list[str]
) -> Callable[[NDArray[np.float32]], list[NDArray[Any]]]:
    """Values of some of a model's outputs, in their order, for its input (1, 3, H, W) float32.

    Args:
        model: the ONNX model.
        tensor: name of its input.
        outputs: names of its outputs; what none of them needs is not computed.

    Raises:
        ConversionError: onnxruntime refuses it; from the call, too.
    """
    session = _session(model)

    def run(values: NDArray[np.float32]) -> list[NDArray[Any]]:
        try:
            found: list[NDArray[Any]] = session.run(outputs, {tensor: values})
        except _RUN_ERRORS as error:
            reason = first_line(error)
            raise ConversionError(f"onnxruntime cannot run the model: {reason}") from error
        return found

    return run


def _session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # fatal; failures raise, warnings are about unused constants
    # onnx2tf wants the processor at the same time.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    errors = (
        onnxruntime_errors.Fail,
        onnxruntime_errors.InvalidGraph,
        onnxruntime_errors.InvalidArgument,
        onnxruntime_errors.NotImplemented,
        onnxruntime_errors.RuntimeException,
    )
    try:
        return onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except errors as error:
        raise ConversionError(f"onnxruntime refuses the ONNX model: {first_line(error)}") from error
