"""Write a float model with operators that TFLite computes well, or at all, in int8."""

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edgekit_convert.graph.axes import channels_last
from edgekit_convert.graph.flatbuffer import FlatbufferEditor, without_unread
from edgekit_convert.graph.fusion import fuse

_NONE = 0


def rewrite(flatbuffer: bytes) -> bytes:
    """The same function, for int8: see the functions below."""
    steps = (
        channels_last, fuse, take_roots, free_average_pools, scale_channels_by_layers, add_biases
    )  # fmt: skip
    for step in steps:
        flatbuffer = step(flatbuffer)
    return without_unread(flatbuffer)


def take_roots(flatbuffer: bytes) -> bytes:
    """The same function with RSQRT where values are taken to the power of -1/2: no int8 has POW."""
    model = FlatbufferEditor(flatbuffer)
    operators = model.graph.operators
    for position, operator in enumerate(operators):
        if model.kind(operator) != "POW" or not model.is_constant(operator.inputs[1]):
            continue
        exponents = model.constant(operator.inputs[1])
        if exponents.size == 1 and exponents.item() == -0.5:
            root = operators[position] = model.add_operator("RSQRT")
            root.inputs, root.outputs = [operator.inputs[0]], operator.outputs
    return model.pack()


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


def scale_channels_by_layers(flatbuffer: bytes) -> bytes:
    """The same function with a 1x1 depthwise layer where channels are multiplied by constants.

    This is what is left of a BatchNorm with no layer before it. The constants of a MUL share 8 bits
    and one scale, in which small ones are lost; those of a layer have a scale each. An ADD of
    constants behind it becomes the layer's bias, of 32 bits.
    """
    model = FlatbufferEditor(flatbuffer)
    operators = model.graph.operators
    for position, operator in enumerate(operators):
        if model.kind(operator) != "MUL" or (found := _per_channel(model, operator)) is None:
            continue
        source, factors = found
        fused, outputs = operator.builtinOptions.fusedActivationFunction, operator.outputs
        bias = np.zeros_like(factors)
        readers = model.readers(int(outputs[0]))
        alone = len(readers) == 1 and outputs[0] not in model.graph.outputs and fused == _NONE
        if alone and model.kind(readers[0]) == "ADD":
            addition = readers[0]
            if (added := _per_channel(model, addition)) is not None:
                bias = added[1]
                fused, outputs = addition.builtinOptions.fusedActivationFunction, addition.outputs
                operators.remove(addition)
        weight = factors.reshape(1, 1, 1, -1)
        operators[position] = _depthwise(model, source, outputs, weight, bias, (1, 1), fused)
    return model.pack()


def _per_channel(model: FlatbufferEditor, operator: Any) -> tuple[int, NDArray[np.float32]] | None:
    """An operator's picture (1, H, W, C) and constant (C,), where it has these inputs."""
    constants = [int(i) for i in operator.inputs if model.is_constant(i)]
    sources = [int(i) for i in operator.inputs if not model.is_constant(i)]
    if len(constants) != 1 or len(sources) != 1:
        return None
    shape = model.graph.tensors[sources[0]].shape
    tensor = model.graph.tensors[constants[0]]
    if len(shape) != 4 or tensor.type != schema.TensorType.FLOAT32:
        return None
    values = model.constant(constants[0])
    if not values.shape or values.size != shape[-1] or values.shape[-1] != shape[-1]:
        return None
    return sources[0], values.reshape(-1)


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
            bias = model.add_constant(name, np.zeros(outputs, np.float32))
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
        axes = model.add_constant(f"{name}_axes", np.array([1, 2], np.int32))
        mean = model.add_operator("MEAN")
        mean.builtinOptionsType = schema.BuiltinOptions.ReducerOptions
        mean.builtinOptions = schema.ReducerOptionsT()
        mean.builtinOptions.keepDims = True
        mean.inputs, mean.outputs = [source, axes], operator.outputs
        return mean
    equal = np.full((1, *window, channels), 1 / (window[0] * window[1]), np.float32)
    bias, strides = np.zeros(channels, np.float32), (pool.strideH, pool.strideW)
    fused = pool.fusedActivationFunction
    return _depthwise(model, source, operator.outputs, equal, bias, strides, fused)


def _depthwise(
    model: FlatbufferEditor, source: int, outputs: Any, weight: NDArray[np.float32],
    bias: NDArray[np.float32], strides: tuple[int, int], fused: int,
) -> Any:  # fmt: skip
    layer = model.add_operator("DEPTHWISE_CONV_2D")
    layer.builtinOptionsType = schema.BuiltinOptions.DepthwiseConv2DOptions
    options = layer.builtinOptions = schema.DepthwiseConv2DOptionsT()
    options.padding, options.depthMultiplier = schema.Padding.VALID, 1
    options.strideH, options.strideW = strides
    options.dilationHFactor = options.dilationWFactor = 1
    options.fusedActivationFunction = fused
    name = model.name(outputs[0])
    constants = [
        model.add_constant(f"{name}_weight", weight), model.add_constant(f"{name}_bias", bias)
    ]  # fmt: skip
    layer.inputs, layer.outputs = [source, *constants], outputs
    return layer
