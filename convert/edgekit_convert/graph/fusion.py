"""Compute in one operator of a float model what stands in two: int8 would round in between.

TensorFlow's converter does so by itself; onnx2tf 2 leaves some of it behind.
"""

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edgekit_convert.graph.flatbuffer import WEIGHTED, FlatbufferEditor

_NONE = schema.ActivationFunctionType.NONE
_ACTIVATIONS = {
    name: getattr(schema.ActivationFunctionType, name) for name in ("RELU", "RELU6", "RELU_N1_TO_1")
}
# Operators that can end in one of them.
_ENDING = (*WEIGHTED, "ADD", "MUL", "SUB")
# Nothing that a network computes is as low: a maximum is padded with it.
_LOWEST = -1e30


def fuse(flatbuffer: bytes) -> bytes:
    """The same function with fewer operators.

    What a layer's channels are multiplied by, or what is added to them, goes into the layer; so
    does a ReLU behind it. A maximum pads for itself, where that is what TFLite pads.
    """
    model = FlatbufferEditor(flatbuffer)
    operators = model.graph.operators
    for operator in list(operators):
        if (before := _before(model, operator)) is None:
            continue
        if _pads(model, before, operator):
            operator.inputs = [int(before.inputs[0])]
            operator.builtinOptions.padding = schema.Padding.SAME
            operators.remove(before)
        elif _fold(model, before, operator) or _activate(model, before, operator):
            before.outputs = operator.outputs
            operators.remove(operator)
    return model.pack()


def _before(model: FlatbufferEditor, operator: Any) -> Any | None:
    """The operator that works for this one alone, which computes with nothing else."""
    sources = [int(i) for i in operator.inputs if i >= 0 and not model.is_constant(i)]
    if len(sources) != 1 or sources[0] in model.graph.outputs:
        return None
    if len(model.readers(sources[0])) > 1:
        return None
    return next((o for o in model.graph.operators if sources[0] in o.outputs), None)


def _fold(model: FlatbufferEditor, layer: Any, operator: Any) -> bool:
    """Multiply a layer's weights, or add to its bias, what comes behind; whether that was it."""
    kind, name = model.kind(operator), model.name(operator.outputs[0])
    if kind not in ("ADD", "MUL") or model.kind(layer) not in WEIGHTED:
        return False
    if layer.builtinOptions.fusedActivationFunction != _NONE or layer not in model.weighted():
        return False
    source, weight, *rest = (int(i) for i in layer.inputs)
    biased = rest and rest[0] >= 0
    axis = 3 if model.kind(layer) == "DEPTHWISE_CONV_2D" else 0
    weights = model.constant(weight)
    channels = weights.shape[axis]
    constant = next(int(i) for i in operator.inputs if model.is_constant(i))
    values = _per_channel(model, constant, channels)
    if values is None or (biased and model.bias(layer) is None):
        return False
    biases = model.constant(rest[0]) if biased else np.zeros(channels, np.float32)
    if kind == "MUL":
        along = [1] * weights.ndim
        along[axis] = channels
        weight = model.add_constant(f"{name}_weight", weights * values.reshape(along))
        biases = biases * values
    else:
        biases = biases + values
    layer.inputs = [source, weight, model.add_constant(f"{name}_bias", biases)]
    layer.builtinOptions.fusedActivationFunction = operator.builtinOptions.fusedActivationFunction
    return True


def _per_channel(model: FlatbufferEditor, tensor: int, channels: int) -> NDArray[np.float32] | None:
    """A constant as (channels,), where it has one value for each, or one for all."""
    if model.graph.tensors[tensor].type != schema.TensorType.FLOAT32:
        return None
    values = model.constant(tensor)
    if values.size == 1:
        return np.full(channels, values.reshape(-1)[0], np.float32)
    return values.reshape(-1) if values.size == values.shape[-1] == channels else None


def _activate(model: FlatbufferEditor, before: Any, operator: Any) -> bool:
    """Let an operator end in the activation that comes behind; whether that was it."""
    activation = _ACTIVATIONS.get(model.kind(operator))
    if activation is None or model.kind(before) not in _ENDING:
        return False
    if before.builtinOptions.fusedActivationFunction != _NONE:
        return False
    before.builtinOptions.fusedActivationFunction = activation
    return True


def _pads(model: FlatbufferEditor, before: Any, operator: Any) -> bool:
    """Whether an operator pads for a maximum as that would with `SAME`."""
    if model.kind(operator) != "MAX_POOL_2D" or model.kind(before) != "PADV2":
        return False
    source, pads, value = (int(i) for i in before.inputs)
    pool = operator.builtinOptions
    if pool.padding != schema.Padding.VALID or not model.is_constant(value):
        return False
    if model.constant(value).reshape(-1)[0] > _LOWEST or not model.is_constant(pads):
        return False
    _, height, width, _ = model.graph.tensors[source].shape
    found = model.constant(pads, np.int32)
    same = [
        _same(size, stride, window)
        for size, stride, window in (
            (height, pool.strideH, pool.filterHeight),
            (width, pool.strideW, pool.filterWidth),
        )
    ]
    return bool(np.array_equal(found, [(0, 0), *same, (0, 0)]))


def _same(size: int, stride: int, window: int) -> tuple[int, int]:
    """What TFLite's `SAME` pads before and after an axis."""
    whole = max((-(-size // stride) - 1) * stride + window - size, 0)
    return whole // 2, whole - whole // 2
