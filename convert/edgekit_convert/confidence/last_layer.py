"""A temperature folded into an int8 model: the logits' scale is divided by it, and nothing else.

Integers keep their values where all that is computed with them keeps its ratio of scales: so the
scales of the last layer, of its weights and bias and of its output, are divided alike, and those of
what passes the logits on to the softmax. The integers of the logits, and with them the order of the
classes, are what they were; the softmax takes them for other numbers. Its own factor, beta, would
do as well, but not every delegate and converter obeys it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edgekit.inference.interpreter import Interpreter
from edgekit_convert.graph.flatbuffer import RELU, WEIGHTED, FlatbufferEditor, without_unread
from edgekit_convert.quantize.operators import KERNELS

# f(x / T) = f(x) / T, in integers too, where all scales are divided alike.
_HOMOGENEOUS = {kind for kind, kernel in KERNELS.items() if kernel.shared} | {
    "ADD", "MEAN", "QUANTIZE", "RELU", "SUB", "SUM",
}  # fmt: skip
# Factors next to the one asked for, in steps of float32; about one in 200 is exact.
_TRIED = 1 << 13


class NotFoldedError(Exception):
    """A temperature cannot be folded into a model; says why."""


@dataclass(frozen=True)
class _End:
    """What is between the last layer, that included, and the softmax.

    Attributes:
        layers: operators with weights.
        activations: tensors of logits, or of what they are made of behind the layers; int8
            constants that these are computed with too.
    """

    layers: list[Any]
    activations: set[int]


def temper(flatbuffer: bytes, temperature: float) -> tuple[bytes, float]:
    """An int8 model whose logits are divided by a temperature, with the same integers.

    Scales are float32, whose rounding would change the factor between a layer's sums and its
    output, and with it one logit of a hundred thousand by a step. So of the temperatures next to
    the one asked for, nearer than a thousandth, that is taken which does not. There is none for
    layers with a scale for each class, and for several layers: there a logit may differ so.

    Args:
        flatbuffer: with int8 input and output.
        temperature: T.

    Returns:
        the model and the temperature that it has.

    Raises:
        NotFoldedError: its logits come from no layer that could be scaled.
    """
    model = FlatbufferEditor(flatbuffer)
    end = _find_end(model)
    factor = _exact_factor(model, end.layers, 1 / temperature)
    scaled = set(end.activations)
    for layer in end.layers:
        scaled |= {int(index) for index in layer.inputs[1:] if index >= 0}
    for index in scaled:
        quantization = model.graph.tensors[index].quantization
        exact = np.asarray(quantization.scale, np.float64) * factor
        quantization.scale = exact.astype(np.float32)
    return model.pack(), 1 / factor


def integers(flatbuffer: bytes, logits: NDArray[np.float32]) -> NDArray[np.int8]:
    """The int8 values of a model's logits, which were read as real numbers, or are next to them.

    Args:
        flatbuffer: the model, with whatever input and output.
        logits: (N, classes).
    """
    quantization = _logits(FlatbufferEditor(flatbuffer)).quantization
    scale, zero = np.float32(quantization.scale[0]), int(quantization.zeroPoint[0])
    whole = np.rint(logits / scale) + zero
    return np.asarray(np.clip(whole, -128, 127), dtype=np.int8)


def logit_scale(flatbuffer: bytes) -> float:
    """What a step of a model's logits is worth."""
    return float(_logits(FlatbufferEditor(flatbuffer)).quantization.scale[0])


def answer_integers(flatbuffer: bytes, values: NDArray[np.int8]) -> NDArray[np.float32]:
    """What a model makes of integers of logits: probabilities (N, classes), with their rounding.

    Args:
        flatbuffer: with int8 input and output.
        values: (N, classes).
    """
    model = FlatbufferEditor(flatbuffer)
    softmax = _softmax(model)
    position = next(i for i, one in enumerate(model.graph.operators) if one is softmax)
    model.graph.operators = model.graph.operators[position:]
    model.graph.inputs, model.model.signatureDefs = [softmax.inputs[0]], []
    shape = _logits(model).shape
    interpreter = Interpreter(without_unread(model.pack()))
    return np.stack([interpreter.answer(row.reshape(shape)) for row in values])


def _softmax(model: FlatbufferEditor) -> Any:
    return [operator for operator in model.graph.operators if model.kind(operator) == "SOFTMAX"][-1]


def _logits(model: FlatbufferEditor) -> Any:
    return model.graph.tensors[_softmax(model).inputs[0]]


def _find_end(model: FlatbufferEditor) -> _End:
    """Go back from the softmax to layers, through what keeps a common factor."""
    softmax = _softmax(model)
    writers = {int(index): one for one in model.graph.operators for index in one.outputs}
    end, waiting = _End([], set()), [int(softmax.inputs[0])]
    while waiting:
        tensor = waiting.pop()
        if tensor in end.activations:
            continue
        end.activations.add(tensor)
        if model.is_constant(tensor):
            continue
        writer = writers.get(tensor)
        kind = model.kind(writer) if writer else "the input"
        fused = getattr(writer and writer.builtinOptions, "fusedActivationFunction", 0)
        if fused not in (0, RELU) or kind not in (*WEIGHTED, *_HOMOGENEOUS):
            raise NotFoldedError(f"logits that come from {kind} cannot be scaled in a layer")
        assert writer is not None
        if kind not in WEIGHTED:
            waiting += _of_int8(model, writer.inputs)
        elif writer not in end.layers:
            end.layers.append(writer)
    for tensor in end.activations:
        for reader in model.readers(tensor):
            if reader is not softmax and not end.activations.issuperset(
                _of_int8(model, reader.outputs)
            ):
                raise NotFoldedError(f"logits go to {model.kind(reader)} beside the softmax")
    return end


def _of_int8(model: FlatbufferEditor, tensors: Any) -> list[int]:
    kind = schema.TensorType.INT8
    return [int(i) for i in tensors if i >= 0 and model.graph.tensors[i].type == kind]


def _exact_factor(model: FlatbufferEditor, layers: list[Any], factor: float) -> float:
    """The factor, or one next to it with which a single layer's integers are exactly the same."""
    source, weights, output = (
        np.asarray(model.graph.tensors[index].quantization.scale, np.float32)
        for index in (layers[0].inputs[0], layers[0].inputs[1], layers[0].outputs[0])
    )
    if len(layers) > 1 or weights.size > 1:
        return factor
    factors = factor * (1 + np.arange(_TRIED) * 2.0**-24)
    same = np.ones(_TRIED, np.bool_)
    for before, after in zip(
        _multipliers(source, weights, output),
        _multipliers(source, (weights * factors).astype("f4"), (output * factors).astype("f4")),
        strict=True,
    ):
        same &= before == after
    return float(factors[same.argmax()])


def _multipliers(
    source: NDArray[np.float32], weights: NDArray[np.float32], output: NDArray[np.float32]
) -> tuple[NDArray[Any], ...]:
    """What kernels multiply a layer's sums with.

    TFLite's own have 31 bits of a quotient in double precision, of a product in float32
    (`GetQuantizedConvolutionMultipler`, `QuantizeMultiplier`); XNNPACK has float32 throughout.
    """
    product = source * weights
    fractions, exponents = np.frexp(product.astype(np.float64) / output)
    return np.rint(fractions * 2.0**31), exponents, product / output
