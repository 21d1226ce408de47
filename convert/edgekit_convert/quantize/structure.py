"""The int8 model as a frame: types, versions, and which tensors share a scale; no numbers yet.

An operator that moves integers as they are gives what it writes the scale of what it reads, so
tensors form groups, along chains of such operators and through those that read several tensors.
Where a group would have two ranges that TFLite dictates, or would take bits from a tensor that
another reader needs, a QUANTIZE in between rescales that tensor to the group.
"""

import copy
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edgekit.errors import ConversionError
from edgekit_convert.graph.flatbuffer import WEIGHTED, FlatbufferEditor
from edgekit_convert.quantize.activations import Activation
from edgekit_convert.quantize.operators import KERNELS, PIXELS, Kernel

# A range may become this much wider for one reader's sake, by a bit, while others read it too.
_WIDER = 2.0
# Further down is the lowest float, which a maximum is padded with: no range reaches it, and the
# lowest integer does as well.
_LOWEST = -1e30


@dataclass(eq=False)
class Group:
    """Tensors that share a range, and with it scale and zero point.

    Attributes:
        tensors: their indices.
        sources: the float model's activations that the range has to hold; all others are moved
            from these.
        constants: index of each constant -> of the float model's with its values.
        fixed: the range's low and high end, where they are dictated.
        centred: whether the zero point has to be 0.
    """

    tensors: list[int] = field(default_factory=list)
    sources: list[int] = field(default_factory=list)
    constants: dict[int, int] = field(default_factory=dict)
    fixed: tuple[float, float] | None = None
    centred: bool = False


@dataclass(frozen=True)
class Structure:
    """An int8 model without numbers.

    Attributes:
        flatbuffer: scales and constants are still to be written. Its first tensors are those of the
            float model.
        groups: each activation, and each constant but weights and biases, is in one of them.
    """

    flatbuffer: bytes
    groups: list[Group]

    @cached_property
    def editor(self) -> FlatbufferEditor:
        """It taken apart. Whoever writes numbers writes all of them, over those written before."""
        return FlatbufferEditor(self.flatbuffer)


def check_operators(flatbuffer: bytes) -> None:
    """Whether int8 has all that a float model does.

    Raises:
        ConversionError: an operator has no int8 kernel, or computed weights.
    """
    model = FlatbufferEditor(flatbuffer)
    for operator in model.graph.operators:
        kind = model.kind(operator)
        if not _floats(model, (*operator.inputs, *operator.outputs)):
            continue
        where = f"{kind} ({model.name(operator.outputs[0])})"
        if kind not in KERNELS:
            raise ConversionError(
                f"int8 does not know the operator {where} of the float model; replace it in the "
                "network by others"
            )
        computed = [i for i in operator.inputs[1:] if i >= 0 and not model.is_constant(i)]
        if kind in WEIGHTED and computed:
            raise ConversionError(
                f"the operator {where} has weights that are computed; int8 knows constant ones only"
            )


def constant_range(values: NDArray[Any]) -> tuple[float, float]:
    """Low and high end, 0 included, of what a constant holds, less the lowest float."""
    held = values[values > _LOWEST]
    return float(held.min(initial=0)), float(held.max(initial=0))


def hull(ranges: Iterable[tuple[float, float]]) -> tuple[float, float]:
    """The smallest range that includes some ranges and 0."""
    lows, highs = zip((0.0, 0.0), *ranges, strict=True)
    return min(lows), max(highs)


def build_structure(flatbuffer: bytes, activations: dict[str, Activation]) -> Structure:
    """The frame of a float model in int8.

    Args:
        flatbuffer: the float model.
        activations: over the calibration pictures, by tensor name.

    Raises:
        ConversionError: an operator has no int8 kernel, or an activation was not observed.
    """
    check_operators(flatbuffer)
    return _Builder(FlatbufferEditor(flatbuffer), activations).build()


def _floats(model: FlatbufferEditor, tensors: Iterable[int]) -> list[int]:
    """Those of some tensors that are float32."""
    kind = schema.TensorType.FLOAT32
    return [int(i) for i in tensors if i >= 0 and model.graph.tensors[i].type == kind]


class _Builder:
    """Goes through a float model's operators in their order, and changes it in place."""

    def __init__(self, model: FlatbufferEditor, activations: dict[str, Activation]) -> None:
        self._model = model
        self._activations = activations
        self._float = set(_floats(model, range(len(model.graph.tensors))))
        self._group_of: dict[int, Group] = {}
        # How many tensors have each buffer: converters let equal constants share one.
        self._users = Counter(tensor.buffer for tensor in model.graph.tensors)
        # Tensors that an operator computes with, at whatever scale they have.
        self._needed = {
            int(index)
            for operator in model.graph.operators
            if not self._kernel(operator).shared
            for index in operator.inputs
        }

    def build(self) -> Structure:
        model, graph = self._model, self._model.graph
        for operator in model.weighted():
            self._prepare_weights(operator)
        self._add_source(int(graph.inputs[0]), PIXELS)
        operators: list[Any] = []
        for operator in graph.operators:
            kernel = self._kernel(operator)
            operator.inputs = [int(index) for index in operator.inputs]
            outputs = [int(index) for index in operator.outputs if index in self._float]
            if kernel.shared and outputs:
                group = self._share(operator, operators)
                for output in outputs:
                    self._put(output, group)
            else:
                for position in self._constants(operator):
                    self._put_constant(operator, position, Group())
                if kernel.centred is not None and outputs:
                    self._centre(operator, kernel.centred, operators)
                for output in outputs:
                    self._add_source(output, kernel.fixed)
            operators.append(operator)
        graph.operators = operators
        for code in model.model.operatorCodes:
            if (known := KERNELS.get(model.code_name(code))) is not None:
                code.version = max(code.version, known.version)
        return Structure(model.pack(), list(dict.fromkeys(self._group_of.values())))

    def _kernel(self, operator: Any) -> Kernel:
        # Operators of integers alone need not be in the table.
        return KERNELS.get(self._model.kind(operator), Kernel())

    def _prepare_weights(self, operator: Any) -> None:
        model, kind = self._model, self._model.kind(operator)
        types = (schema.TensorType.INT8, np.int8), (schema.TensorType.INT32, np.int32)
        for index, (stored, dtype) in zip(operator.inputs[1:3], types, strict=False):
            if index < 0:
                continue
            tensor = model.graph.tensors[index]
            self._separate(tensor)
            model.set_constant(index, np.zeros(tensor.shape, dtype))
            self._put_type(tensor, stored)
            self._float.discard(int(index))
        axis = 3 if kind == "DEPTHWISE_CONV_2D" else 0
        model.graph.tensors[operator.inputs[1]].quantization.quantizedDimension = axis

    def _add_source(self, tensor: int, fixed: tuple[float, float] | None) -> None:
        """Give an activation that an operator computes, or the input, a group of its own."""
        name = self._model.name(tensor)
        if name not in self._activations:
            raise ConversionError(f"no calibration picture showed the values of {name}")
        self._put(tensor, Group(sources=[tensor], fixed=fixed))

    def _put(self, tensor: int, group: Group) -> None:
        """Let a tensor be in a group."""
        group.tensors.append(tensor)
        self._group_of[tensor] = group
        self._put_type(self._model.graph.tensors[tensor], schema.TensorType.INT8)

    @staticmethod
    def _put_type(tensor: Any, kind: int) -> None:
        tensor.type = kind
        tensor.quantization = schema.QuantizationParametersT()

    def _constants(self, operator: Any) -> list[int]:
        """Positions of an operator's constants, less weights, biases and integers."""
        return [
            position
            for position, index in enumerate(operator.inputs)
            if index in self._float and self._model.is_constant(index)
        ]

    def _put_constant(self, operator: Any, position: int, group: Group) -> None:
        """Let a constant be in a group; a copy of it, where it has another group already."""
        model, index = self._model, operator.inputs[position]
        known = [copied for copied, origin in group.constants.items() if origin == index]
        if known:
            operator.inputs[position] = known[0]
            return
        own = index
        if index in self._group_of:
            own = model.add_tensor(copy.deepcopy(model.graph.tensors[index]))
            model.graph.tensors[own].name += f"_{own}".encode()
            self._users[model.graph.tensors[own].buffer] += 1
            operator.inputs[position] = own
        self._separate(model.graph.tensors[own])
        group.constants[own] = index
        self._put(own, group)

    def _separate(self, tensor: Any) -> None:
        """Give a constant a buffer of its own."""
        buffers = self._model.model.buffers
        if self._users[tensor.buffer] > 1:
            self._users[tensor.buffer] -= 1
            buffers.append(copy.deepcopy(buffers[tensor.buffer]))
            tensor.buffer = len(buffers) - 1

    def _range(self, group: Group) -> tuple[float, float]:
        """What a group's values were seen to be."""
        seen = [self._activations[self._model.name(source)] for source in group.sources]
        held = [constant_range(self._model.constant(i)) for i in group.constants.values()]
        return hull([*((one.low, one.high) for one in seen), *held])

    def _share(self, operator: Any, operators: list[Any]) -> Group:
        """The group of all that an operator moves.

        What has to stay in another group is rescaled by a QUANTIZE, appended to `operators`.
        """
        constants = self._constants(operator)
        moved = [
            position
            for position, index in enumerate(operator.inputs)
            if index in self._float and position not in constants
        ]
        held = [constant_range(self._model.constant(operator.inputs[p])) for p in constants]
        groups = list(dict.fromkeys(self._group_of[operator.inputs[p]] for p in moved))
        seen = {group: self._range(group) for group in groups}
        shared = Group()
        for group in groups:
            others = hull([*(seen[other] for other in groups if other is not group), *held])
            if group.fixed is not None and _holds(group.fixed, others):
                shared = group
        low, high = shared.fixed or hull([*seen.values(), *held])
        for group in groups:
            if group is not shared and not self._stays_apart(group, shared, high - low):
                self._merge(group, shared)
        for position in moved:
            index = operator.inputs[position]
            if self._group_of[index] is not shared:
                operator.inputs[position] = self._rescale(index, shared, operators)
        for position in constants:
            self._put_constant(operator, position, shared)
        return shared

    def _stays_apart(self, group: Group, shared: Group, width: float) -> bool:
        """Whether a group cannot, or had better not, get a range that others share."""
        if group.fixed is not None:
            return group.fixed != shared.fixed
        low, high = self._range(group)
        if group.centred and shared.fixed is not None:
            return True
        needed = not self._needed.isdisjoint(group.tensors)
        return needed and width > _WIDER * (high - low)

    def _centre(self, operator: Any, position: int, operators: list[Any]) -> None:
        """Let an input have the zero point 0."""
        index = operator.inputs[position]
        group = self._group_of[index]
        if group.fixed is not None:
            group = Group()
            operator.inputs[position] = self._rescale(index, group, operators)
        group.centred = True

    def _merge(self, group: Group, other: Group) -> None:
        """Let all of a group be in another."""
        for tensor in group.tensors:
            self._group_of[tensor] = other
        other.tensors += group.tensors
        other.sources += group.sources
        other.constants |= group.constants
        other.centred |= group.centred

    def _rescale(self, tensor: int, group: Group, operators: list[Any]) -> int:
        """A copy of an activation in another group."""
        model = self._model
        copied = copy.deepcopy(model.graph.tensors[tensor])
        index = model.add_tensor(copied)
        copied.name += f"_rescaled_{index}".encode()
        self._put(index, group)
        group.sources.append(tensor)
        operator = model.add_operator("QUANTIZE")
        operator.builtinOptionsType = schema.BuiltinOptions.QuantizeOptions
        operator.builtinOptions = schema.QuantizeOptionsT()
        operator.inputs, operator.outputs = [tensor], [index]
        operators.append(operator)
        return index


def _holds(outer: tuple[float, float], inner: tuple[float, float]) -> bool:
    """Whether a range includes another but for less than one of its 255 steps."""
    step = (outer[1] - outer[0]) / 255
    return outer[0] - step < inner[0] and inner[1] < outer[1] + step
