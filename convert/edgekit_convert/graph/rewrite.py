"""Write a float model with operators that TFLite computes well, or at all, in int8."""

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edgekit_convert.graph.flatbuffer import FlatbufferEditor

_NONE = 0


def rewrite(flatbuffer: bytes) -> bytes:
    """The same function, for int8: with freer average pools, and a bias in every layer."""
    return add_biases(free_average_pools(flatbuffer))


def free_average_pools(flatbuffer: bytes) -> bytes:
    """The same function without AVERAGE_POOL_2D, but those that leave their padding out.

    The int8 kernel keeps the scale of its input, but averages fill a smaller range: those of a
    whole picture often a few of the 255 steps. A MEAN, and a DEPTHWISE_CONV_2D with equal weights,
    compute the same at any scale.
    """
    model = FlatbufferEditor(flatbuffer)
    operators = model.graph.operators
    for position, operator in enumerate(operators):
        if model.kind(operator) == "AVERAGE_POOL_2D" and not _pads(model, operator):
            operators[position] = _rewritten(model, operator)
    return model.pack()


def add_biases(flatbuffer: bytes) -> bytes:
    """The same function with a bias of 0 where a layer has none.

    Without one LiteRT refuses a convolution in int8, and crashes in a depthwise one; and a bias is
    where corrections go.
    """
    model = FlatbufferEditor(flatbuffer)
    for operator in model.weighted():
        if len(operator.inputs) < 3 or operator.inputs[2] < 0:
            outputs = int(model.graph.tensors[operator.outputs[0]].shape[-1])
            name = f"{model.name(operator.outputs[0])}_bias"
            bias = _constant(model, name, np.zeros(outputs, np.float32))
            operator.inputs = [*map(int, operator.inputs[:2]), bias]
    return model.pack()


def _pads(model: FlatbufferEditor, operator: Any) -> bool:
    """Whether a pool reaches beyond its input, of which it then averages fewer values."""
    options = operator.builtinOptions
    _, height, width, _ = model.graph.tensors[operator.inputs[0]].shape
    return options.padding == schema.Padding.SAME and any(
        (-(-size // stride) - 1) * stride + window > size
        for size, stride, window in (
            (height, options.strideH, options.filterHeight),
            (width, options.strideW, options.filterWidth),
        )
    )


def _rewritten(model: FlatbufferEditor, operator: Any) -> Any:
    pool, source = operator.builtinOptions, int(operator.inputs[0])
    _, height, width, channels = model.graph.tensors[source].shape
    window = (pool.filterHeight, pool.filterWidth)
    name = model.name(operator.outputs[0])
    if window == (height, width) and pool.fusedActivationFunction == _NONE:
        axes = _constant(model, f"{name}_axes", np.array([1, 2], np.int32))
        mean = model.add_operator("MEAN")
        mean.builtinOptionsType = schema.BuiltinOptions.ReducerOptions
        mean.builtinOptions = schema.ReducerOptionsT()
        mean.builtinOptions.keepDims = True
        mean.inputs, mean.outputs = [source, axes], operator.outputs
        return mean
    equal = np.full((1, *window, channels), 1 / (window[0] * window[1]), np.float32)
    layer = model.add_operator("DEPTHWISE_CONV_2D")
    layer.builtinOptionsType = schema.BuiltinOptions.DepthwiseConv2DOptions
    options = layer.builtinOptions = schema.DepthwiseConv2DOptionsT()
    options.padding, options.depthMultiplier = schema.Padding.VALID, 1
    options.strideH, options.strideW = pool.strideH, pool.strideW
    options.dilationHFactor = options.dilationWFactor = 1
    options.fusedActivationFunction = pool.fusedActivationFunction
    weight = _constant(model, f"{name}_weight", equal)
    bias = _constant(model, f"{name}_bias", np.zeros(channels, np.float32))
    layer.inputs, layer.outputs = [source, weight, bias], operator.outputs
    return layer


def _constant(model: FlatbufferEditor, name: str, values: NDArray[Any]) -> int:
    """Add a constant, float32 or int32."""
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(values.tobytes(), np.uint8)
    model.model.buffers.append(buffer)
    tensor, kinds = schema.TensorT(), schema.TensorType
    tensor.name, tensor.shape = name.encode(), list(values.shape)
    tensor.type = kinds.INT32 if values.dtype == np.int32 else kinds.FLOAT32
    tensor.buffer = len(model.model.buffers) - 1
    return model.add_tensor(tensor)
