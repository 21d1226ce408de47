"""How each stage of a conversion answers pictures."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as onnxruntime_errors

from edgekit.errors import ConversionError, RuntimeUnavailableError
from edgekit.inference.interpreter import Interpreter
from edgekit_convert.graph.flatbuffer import expose_logits
from edgekit_convert.graph.fold import IMAGE, LOGITS, PROBABILITIES, with_logits

_EDGETPU = "libedgetpu.so.1"
# Half a step of an 8-bit probability: what a client may have seen as 0.
LEAST = 1 / 512


def softmax(logits: NDArray[Any]) -> NDArray[np.float32]:
    """Probabilities of logits (N, classes)."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True), dtype=np.float32)


class Answers(NamedTuple):
    """Logits and probabilities (N, classes) float32; the probabilities are what a client sees."""

    logits: NDArray[np.float32]
    probabilities: NDArray[np.float32]

    @classmethod
    def of_logits(cls, logits: NDArray[np.float32]) -> "Answers":
        """Both, from logits alone."""
        return cls(logits, softmax(logits))

    @classmethod
    def join(cls, parts: "list[Answers]") -> "Answers":
        """Answers to all pictures, from answers to batches of them."""
        return cls(*(np.concatenate(values) for values in zip(*parts, strict=True)))

    def of(self, chosen: NDArray[np.intp]) -> "Answers":
        """Answers to some of the pictures."""
        return Answers(self.logits[chosen], self.probabilities[chosen])


# A stage's answers to pictures (N, H, W, 3) uint8.
Answer: TypeAlias = Callable[[NDArray[np.uint8]], Answers]
# Pixels of a batch. In larger ones PyTorch waits for the kernel to hand it fresh memory.
_PIXELS = 4 * 224 * 224


def in_batches(
    answer: Answer, pictures: NDArray[np.uint8], advance: Callable[[int], None] = lambda done: None
) -> Answers:
    """Answers to many pictures; `advance` is called with the number of each batch."""
    size = max(1, _PIXELS // (pictures.shape[1] * pictures.shape[2]))
    parts = []
    for start in range(0, len(pictures), size):
        batch = pictures[start : start + size]
        parts.append(answer(batch))
        advance(len(batch))
    return Answers.join(parts)


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
        reason = str(error).strip().splitlines()[0]
        raise ConversionError(f"onnxruntime refuses the ONNX model: {reason}") from error


def onnx_answer(model: onnx.ModelProto, tensor: str) -> Callable[[NDArray[np.float32]], Answers]:
    """An ONNX model with outputs `logits` and `probabilities`, in onnxruntime.

    The function returned takes the model's input (N, 3, H, W) float32.
    """
    session = _session(model)

    def answer(values: NDArray[np.float32]) -> Answers:
        rows = []
        for index in range(len(values)):
            try:
                found = session.run([LOGITS, PROBABILITIES], {tensor: values[index : index + 1]})
            except (onnxruntime_errors.InvalidArgument, onnxruntime_errors.Fail) as error:
                reason = str(error).strip().splitlines()[0]
                raise ConversionError(f"onnxruntime cannot run the model: {reason}") from error
            rows.append(Answers(*(np.asarray(v, dtype=np.float32) for v in found)))
        return Answers.join(rows)

    return answer


def folded_answer(model: onnx.ModelProto) -> Answer:
    """The folded ONNX model, which takes raw pixels."""
    raw = onnx_answer(with_logits(model), IMAGE)
    return lambda pictures: raw(
        np.ascontiguousarray(pictures.transpose(0, 3, 1, 2).astype(np.float32))
    )


def tflite_answer(flatbuffer: bytes, threads: int, runtime: str = "auto") -> Answer:
    """A TFLite classifier in an interpreter."""
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
        return Answers(np.log(np.maximum(probabilities, LEAST)), probabilities)

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
