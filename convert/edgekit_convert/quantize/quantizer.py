"""Float32 TFLite to int8: the frame of `structure.py`, with ranges, weights and biases."""

import copy
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgekit.model.manifest import Recipe
from edgekit_convert.graph.flatbuffer import FlatbufferEditor
from edgekit_convert.quantize.activations import Activation
from edgekit_convert.quantize.constants import Rounded, write_constants
from edgekit_convert.quantize.equalization import equalize
from edgekit_convert.quantize.ranges import choose_ranges, quantize_values, scale_and_zero_point
from edgekit_convert.quantize.structure import Structure, build_structure

# AI Edge Quantizer's name for weights and activations of 8 bits, with ranges known beforehand; the
# manifest has it.
SCHEME = "static_wi8_ai8"


@dataclass(frozen=True)
class FloatModel:
    """A float32 flatbuffer, ready to be quantized in several ways.

    Attributes:
        flatbuffer: the model.
        activations: over the calibration pictures, by tensor name.
        structure: the model in int8, without numbers.
        rounded: weights that were rounded so far.
        ranges: of the structure's groups, by each rule that was used so far.
    """

    flatbuffer: bytes
    activations: dict[str, Activation]
    structure: Structure = field(repr=False)
    rounded: Rounded = field(default_factory=dict, repr=False)
    ranges: dict[str, list[tuple[float, float]]] = field(default_factory=dict, repr=False)

    @cached_property
    def exact(self) -> FlatbufferEditor:
        """The flatbuffer taken apart; not to be changed."""
        return FlatbufferEditor(self.flatbuffer)

    @classmethod
    def prepare(cls, flatbuffer: bytes, activations: dict[str, Activation]) -> "FloatModel":
        """A model with what quantizing it in any way has in common.

        Raises:
            ConversionError: an operator has no int8 kernel, or an activation was not observed.
        """
        return cls(flatbuffer, activations, build_structure(flatbuffer, activations))

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
    groups = model.structure.groups
    if recipe.ranges not in model.ranges:
        found = choose_ranges(model.exact, groups, model.activations, recipe.ranges)
        model.ranges[recipe.ranges] = found
    exact, quantized = model.exact, model.structure.editor
    for group, (low, high) in zip(groups, model.ranges[recipe.ranges], strict=True):
        scale, zero_point = scale_and_zero_point(low, high)
        for index in group.tensors:
            quantization = quantized.graph.tensors[index].quantization
            quantization.scale = np.array([scale], np.float32)
            quantization.zeroPoint = np.array([zero_point], np.int64)
        for index, origin in group.constants.items():
            quantized.set_constant(index, quantize_values(exact.constant(origin), low, high))
    write_constants(exact, quantized, model.activations, model.rounded, recipe)
    return quantized.pack()


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
