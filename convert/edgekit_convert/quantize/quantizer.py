"""Float32 TFLite to int8 with our own ranges, weights and biases.

AI Edge Quantizer decides the structure: which tensors are quantized, to which types, and the
fixed scale of a softmax. The numbers are ours.
"""

import copy
import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_quantizer import quantizer
from ai_edge_quantizer import recipe as schemes

from edgekit.errors import ConversionError
from edgekit.model.manifest import Recipe
from edgekit_convert.graph.flatbuffer import FlatbufferEditor
from edgekit_convert.quantize.activations import Activation
from edgekit_convert.quantize.constants import Rounded, write_constants
from edgekit_convert.quantize.equalization import equalize
from edgekit_convert.quantize.ranges import Ranges, choose_ranges, scale_and_zero_point

# AI Edge Quantizer's name for weights and activations of 8 bits, with ranges known beforehand.
SCHEME = "static_wi8_ai8"
# The version of each operator that brought it int8, by TFLite's op_version.cc: the quantizer leaves
# float's, and old compilers go by versions.
_VERSIONS = {
    "ADD": 2, "AVERAGE_POOL_2D": 2, "CONCATENATION": 2, "CONV_2D": 3, "DEPTHWISE_CONV_2D": 3,
    "FULLY_CONNECTED": 4, "MAX_POOL_2D": 2, "MEAN": 2, "MUL": 2, "PAD": 2, "SOFTMAX": 2,
}  # fmt: skip
# TFLite fixes the scale of what they give.
_FIXED_SCALE = ("LOGISTIC", "SOFTMAX", "TANH")


@dataclass(frozen=True)
class FloatModel:
    """A float32 flatbuffer, ready to be quantized in several ways.

    Attributes:
        flatbuffer: the model.
        activations: over the calibration pictures, by tensor name.
        structure: the model in int8, its scales, weights and biases not yet ours.
        rounded: weights that were rounded so far.
        ranges: of the activations, by each rule that was used so far.
    """

    flatbuffer: bytes
    activations: dict[str, Activation]
    structure: bytes = field(repr=False)
    rounded: Rounded = field(default_factory=dict, repr=False)
    ranges: dict[str, Ranges] = field(default_factory=dict, repr=False)

    @classmethod
    def prepare(cls, flatbuffer: bytes, activations: dict[str, Activation]) -> "FloatModel":
        """A model with what quantizing it in any way has in common.

        Raises:
            ConversionError: the quantizer gave up, or a part of the graph stayed in float.
        """
        return cls(flatbuffer, activations, _structure(flatbuffer, activations))

    def equalized(self) -> "FloatModel":
        """The same function with equalized channels."""
        return FloatModel(*equalize(self.flatbuffer, self.activations), self.structure)


def quantize(model: FloatModel, recipe: Recipe) -> bytes:
    """Quantize to int8, input and output too.

    Weights of convolutions have a scale for each output channel, all else one for each tensor.

    Args:
        model: already equalized where the recipe says so.
        recipe: how.
    """
    if recipe.ranges not in model.ranges:
        found = choose_ranges(model.flatbuffer, model.activations, recipe.ranges)
        model.ranges[recipe.ranges] = found
    quantized = FlatbufferEditor(model.structure)
    _set_activation_scales(quantized, model.ranges[recipe.ranges])
    exact = FlatbufferEditor(model.flatbuffer)
    write_constants(exact, quantized, model.activations, model.rounded, recipe)
    return quantized.pack()


def _set_activation_scales(model: FlatbufferEditor, ranges: Ranges) -> None:
    """Give every activation the scale and zero point of its range, unless TFLite fixes them."""
    fixed = {
        int(index)
        for operator in model.graph.operators
        if model.kind(operator) in _FIXED_SCALE
        for index in operator.outputs
    }
    for index, tensor in enumerate(model.graph.tensors):
        found = ranges.get(model.name(index))
        if found is None or index in fixed:
            continue
        scale, zero_point = scale_and_zero_point(*found)
        tensor.quantization.scale = np.array([scale], np.float32)
        tensor.quantization.zeroPoint = np.array([zero_point], np.int64)


def _structure(flatbuffer: bytes, activations: dict[str, Activation]) -> bytes:
    calibration = {
        name: {"min": np.array(low, np.float32), "max": np.array(high, np.float32)}
        for name, (low, high) in choose_ranges(flatbuffer, activations, "min-max").items()
    }
    # The quantizer refuses biases that overflow 32 bits; write_constants has an answer to them.
    unbiased = FlatbufferEditor(flatbuffer)
    for operator in unbiased.weighted():
        if (bias := unbiased.bias(operator)) is not None:
            unbiased.set_constant(bias, np.zeros_like(unbiased.constant(bias)))
    worker = quantizer.Quantizer(bytearray(unbiased.pack()))
    worker.load_quantization_recipe(schemes.static_wi8_ai8())
    with warnings.catch_warnings():
        # It warns that the recipe's name is not among its own.
        warnings.simplefilter("ignore")
        try:
            result = worker.quantize(calibration)
        except (ValueError, RuntimeError, KeyError) as error:
            raise ConversionError(f"AI Edge Quantizer refuses this model: {error}") from error
    model = FlatbufferEditor(bytes(result.quantized_model))
    floats = sorted(
        tensor.name.decode()
        for tensor in model.graph.tensors
        if tensor.type == schema.TensorType.FLOAT32
    )
    if floats:
        raise ConversionError(f"{len(floats)} tensors stayed in float, the first is {floats[0]}")
    for code in model.model.operatorCodes:
        code.version = max(code.version, _VERSIONS.get(model.code_name(code), 1))
    return model.pack()


def with_io(flatbuffer: bytes, dtype: str) -> bytes:
    """Give an int8 model an input `image` and an output `probabilities` of another type.

    dtype is `uint8`, `int8` or `float32`, for both.
    uint8 with zero point z + 128 holds the same values as int8 with zero point z, as Coral's
    models have it; float32 holds the pixel value and the probability themselves.
    """
    model = FlatbufferEditor(flatbuffer)
    graph = model.graph
    old_input, old_output = int(graph.inputs[0]), int(graph.outputs[0])
    if dtype == "int8":
        graph.tensors[old_input].name = b"image"
        graph.tensors[old_output].name = b"probabilities"
        return model.pack()
    new_input = model.add_tensor(_twin(graph.tensors[old_input], b"image", dtype))
    new_output = model.add_tensor(_twin(graph.tensors[old_output], b"probabilities", dtype))
    graph.tensors[old_input].name = b"image_int8"
    graph.tensors[old_output].name = b"probabilities_int8"
    first = model.add_operator("QUANTIZE")
    first.builtinOptionsType = schema.BuiltinOptions.QuantizeOptions
    first.builtinOptions = schema.QuantizeOptionsT()
    first.inputs, first.outputs = [new_input], [old_input]
    if dtype == "float32":
        last = model.add_operator("DEQUANTIZE", version=2)
        last.builtinOptionsType = schema.BuiltinOptions.DequantizeOptions
        last.builtinOptions = schema.DequantizeOptionsT()
    else:
        last = copy.deepcopy(first)
    last.inputs, last.outputs = [old_output], [new_output]
    graph.operators.insert(0, first)
    graph.operators.append(last)
    graph.inputs, graph.outputs = [new_input], [new_output]
    for signature in model.model.signatureDefs or []:
        for entries, index in ((signature.inputs, new_input), (signature.outputs, new_output)):
            for entry in entries:
                entry.tensorIndex = index
    return model.pack()


def _twin(tensor: Any, name: bytes, dtype: str) -> Any:
    twin = copy.deepcopy(tensor)
    twin.name = name
    if dtype == "float32":
        twin.type = schema.TensorType.FLOAT32
        twin.quantization = None
    else:
        twin.type = schema.TensorType.UINT8
        twin.quantization.zeroPoint = [int(z) + 128 for z in twin.quantization.zeroPoint]
    return twin
