"""Foresee which operators of a model the compiler for Coral's Edge TPU accepts.

The compiler is closed, frozen at version 16.0.384591198 of July 2021. It replaces the operators
that the chip can run by one custom operator and leaves the rest to the CPU. What it accepts is
known from Coral's documentation and from its messages, as users report them:

- "TensorFlow models on the Edge TPU", its lists of model requirements and supported operations;
  Axis repeats the latter, in the edition for compiler 16, for its ARTPEC-7 cameras;
- "Edge TPU Compiler", for its memory;
- the issues of google-coral/edgetpu, for its messages and the versions of operators.
"""

import math
from collections.abc import Iterable

import msgspec

from edgekit.model import flatbuffer as tflite
from edgekit.model.schema import OPERATORS
from edgekit_convert.graph.flatbuffer import WEIGHTED

# The operators of Coral's table, each with the highest version that the compiler reads. It was
# built in July 2021, between TensorFlow 2.5 and 2.6. These are the versions in TFLite's register.cc
# of the following winter, less those that users saw refused: CONV_2D 6, QUANTIZE 3 and
# TRANSPOSE_CONV 4 (google-coral/edgetpu issues 631, 879 and 845). What else was new by then were
# mostly 16-bit types, which are refused anyway.
_VERSIONS = {
    "ADD": 4,
    "AVERAGE_POOL_2D": 3,
    "CONCATENATION": 3,
    "CONV_2D": 5,
    "DEPTHWISE_CONV_2D": 6,
    "EXPAND_DIMS": 1,
    "FULLY_CONNECTED": 9,
    "L2_NORMALIZATION": 2,
    "LOGISTIC": 3,
    "MAXIMUM": 4,
    "MAX_POOL_2D": 3,
    "MEAN": 3,
    "MINIMUM": 4,
    "MUL": 5,
    "PACK": 3,
    "PAD": 4,
    "PRELU": 1,
    "QUANTIZE": 2,
    "REDUCE_MAX": 3,
    "REDUCE_MIN": 3,
    "RELU": 3,
    "RELU6": 3,
    "RELU_N1_TO_1": 1,
    "RESHAPE": 1,
    "RESIZE_BILINEAR": 4,
    "RESIZE_NEAREST_NEIGHBOR": 4,
    "RSQRT": 2,
    "SLICE": 5,
    "SOFTMAX": 3,
    "SPACE_TO_DEPTH": 2,
    "SPLIT": 4,
    "SQUARED_DIFFERENCE": 2,
    "SQUEEZE": 2,
    "STRIDED_SLICE": 6,
    "SUB": 5,
    "SUM": 2,
    "TANH": 3,
    "TRANSPOSE": 5,
    "TRANSPOSE_CONV": 3,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": 3,
}
_ACTIVATION_TYPES = ("int8", "uint8")
_CONSTANT_TYPES = (*_ACTIVATION_TYPES, "int32")  # biases, shapes, axes and paddings have 32 bits
_MAXIMUM_SOFTMAX = 16_000

# Operators too young for the compiler: users saw it find the number of GELU out of range. Whether
# it knows the few before that is not known.
_TOO_NEW = frozenset(OPERATORS[OPERATORS.index("GELU") :])

# The chip has about 8 MB of SRAM, of which the program takes its part first ("Edge TPU Compiler").
# What is "used for caching model parameters" depends on the size of the activations: in models too
# large for the chip, compilers 2.1 to 16 reported 6.15 MiB at 192 x 640 pixels (a ResNet-18), 6.74
# at 320 x 320, 7.04 at 160 x 160 and 7.14 at 224 x 224; the median of seven such logs is 6.89.
_CACHE_BYTES = round(6.9 * (1 << 20))


class Refusal(msgspec.Struct, frozen=True):
    """An operator that the Edge TPU will not run.

    Attributes:
        operator: its name and version, for example `CONCATENATION v2`.
        position: index in the graph.
        reason: the compiler's rule that it breaks.
    """

    operator: str
    position: int
    reason: str


class EdgeTpu(msgspec.Struct, frozen=True):
    """How the model fits a Coral Edge TPU.

    Attributes:
        operators: number in the graph.
        mapped: how many the TPU runs: by preflight, or by the compiler's report where it ran.
        refusals: operators that stay on the CPU, with the rule they break.
        parameter_bytes: weights and biases.
        streamed_bytes: the part that does not fit the chip and goes over USB for every inference.
        compiler: the compiler's version; none where it did not run.
        note: one sentence for the reader, for example where the compiler comes from.
    """

    operators: int
    mapped: int
    refusals: list[Refusal]
    parameter_bytes: int
    streamed_bytes: int
    compiler: str | None
    note: str


def preflight(graph: tflite.Graph) -> EdgeTpu:
    """What the compiler will make of a model, as far as operators, types and shapes show.

    The compiler maps one run of operators: all from the first that it refuses stay on the CPU. The
    options of operators (fused activations, dilation, axes) and the values of constants are not in
    the graph, so that it may still refuse more.
    """
    reasons = [_refusal(graph, operator) for operator in graph.operators]
    refusals = [
        Refusal(label(graph.operators[i]), i, reason) for i, reason in enumerate(reasons) if reason
    ]
    unreadable = [i for i, op in enumerate(graph.operators) if _unreadable(graph, op)]
    mapped = [] if unreadable else _first_run(graph.operators, reasons)
    cause = next((r for r in refusals if not unreadable or r.position in unreadable), None)
    return EdgeTpu(
        operators=len(graph.operators),
        mapped=len(mapped),
        refusals=refusals,
        parameter_bytes=parameter_bytes(graph, graph.operators),
        streamed_bytes=max(0, parameter_bytes(graph, mapped) - _CACHE_BYTES),
        compiler=None,
        note=_foreseen(len(graph.operators), len(mapped), cause),
    )


def _first_run(
    operators: tuple[tflite.Operator, ...], reasons: list[str | None]
) -> list[tflite.Operator]:
    """The operators that become the custom operator."""
    start = 0
    # A float input is quantized on the CPU, and the chip takes over from there.
    while start < len(operators) and reasons[start] and operators[start].name == "QUANTIZE":
        start += 1
    end = next((i for i in range(start, len(operators)) if reasons[i]), len(operators))
    return list(operators[start:end])


def _foreseen(operators: int, mapped: int, cause: Refusal | None) -> str:
    if cause is None:
        return f"all {operators} operators should run on the Edge TPU"
    return (
        f"{mapped} of {operators} operators should run on the Edge TPU; {cause.operator} at "
        f"position {cause.position} does not: {cause.reason}"
    )


def label(operator: tflite.Operator) -> str:
    """Its name and version, for example `CONCATENATION v2`."""
    return f"{operator.name} v{operator.version}"


def _refusal(graph: tflite.Graph, operator: tflite.Operator) -> str | None:
    """The first rule that an operator breaks."""
    if reason := _unreadable(graph, operator):
        return reason
    if operator.name not in _VERSIONS:
        return "the Edge TPU has no such operator"
    inputs = [graph.tensors[i] for i in operator.inputs if i >= 0]
    outputs = [graph.tensors[i] for i in operator.outputs if i >= 0]
    return (
        _refused_type(inputs + outputs)
        or _refused_shape([t for t in inputs + outputs if not t.buffer])
        or _refused_parameters(operator.name, inputs)
        or _refused_use(operator.name, inputs, outputs)
    )


def _unreadable(graph: tflite.Graph, operator: tflite.Operator) -> str | None:
    """Why the compiler refuses the whole file, not this operator alone."""
    if operator.name in _TOO_NEW:
        return "the compiler is older than this operator and refuses the whole file"
    highest = _VERSIONS.get(operator.name)
    if highest is not None and operator.version > highest:
        return f"the compiler reads it up to version {highest} and refuses the whole file"
    for index in (*operator.inputs, *operator.outputs):
        if index >= 0 and min(graph.tensors[index].shape, default=0) < 0:
            return (
                f"the size of {graph.tensors[index].name!r} is unknown before run time, and the "
                "compiler refuses the whole file"
            )
    return None


def _refused_type(tensors: list[tflite.Tensor]) -> str | None:
    for tensor in tensors:
        if tensor.dtype not in (_CONSTANT_TYPES if tensor.buffer else _ACTIVATION_TYPES):
            return f"{tensor.name!r} is {tensor.dtype}, and the Edge TPU computes in 8-bit integers"
    return None


def _refused_shape(activations: list[tflite.Tensor]) -> str | None:
    for tensor in activations:
        if len(tensor.shape) > 4:
            return f"{tensor.name!r} has {len(tensor.shape)} dimensions, more than 4"
        if math.prod(tensor.shape[:-3]) != 1:
            return f"{tensor.name!r} is a batch of {tensor.shape[0]}, and only 1 is supported"
        if len(tensor.scale) > 1:
            return f"{tensor.name!r} has a scale for each channel, as only weights may have"
    return None


def _refused_parameters(name: str, inputs: list[tflite.Tensor]) -> str | None:
    if name not in WEIGHTED:
        return None
    if not all(tensor.buffer for tensor in inputs[1:]):
        return "its weights are not constant"
    # By TFLite's specification dense layers had one scale until 2024, when version 12 brought one
    # for each channel. What the compiler makes of them under an older version is not known.
    if name == "FULLY_CONNECTED" and any(len(tensor.scale) > 1 for tensor in inputs[1:]):
        return "its weights have a scale for each channel, as in 2021 only convolutions could"
    return None


def _refused_use(
    name: str, inputs: list[tflite.Tensor], outputs: list[tflite.Tensor]
) -> str | None:
    """The rules of single operators."""
    if name == "CONCATENATION" and any(tensor.buffer for tensor in inputs):
        return (
            "it may append nothing constant but zeros, and this border is not zero; convert with "
            "--edgetpu, which normalizes by a 1x1 convolution instead"
        )
    if name in ("FULLY_CONNECTED", "SOFTMAX") and math.prod(outputs[0].shape[:-1]) != 1:
        return "its output has more than one dimension"
    if name == "SOFTMAX" and math.prod(inputs[0].shape) > _MAXIMUM_SOFTMAX:
        return f"it has more than {_MAXIMUM_SOFTMAX:,} elements"
    if name == "MEAN":
        depth = inputs[0].shape[-1:]
        if depth != outputs[0].shape[-1:] and math.prod(depth) % 4:
            return "it averages over channels, and their number is no multiple of 4"
    return None


def parameter_bytes(graph: tflite.Graph, operators: Iterable[tflite.Operator]) -> int:
    """Size of the weights and biases that operators use."""
    used = {i for op in operators if op.name in WEIGHTED for i in op.inputs[1:] if i >= 0}
    return sum(graph.tensors[i].buffer for i in used)
