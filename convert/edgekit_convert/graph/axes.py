"""Rid a float model of TRANSPOSEs between PyTorch's axis order and TFLite's.

onnx2tf 2 lowers one ONNX operator after another: a convolution, which TFLite has in NHWC alone,
stands between two TRANSPOSEs, and what could be computed in either order is left in NCHW. Here a
TRANSPOSE moves down, through all that can be computed in any order of axes, until it meets the one
that undoes it. Quantization gains by that, too: it takes the last axis for the channels.
"""

import copy
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edgekit_convert.graph.flatbuffer import FlatbufferEditor

# As of np.transpose: axis i of the result is axis order[i] of the source.
Order: TypeAlias = tuple[int, ...]
_NHWC_TO_NCHW: Order = (0, 3, 1, 2)


@dataclass(frozen=True)
class _Axes:
    """Where an operator that can be computed in any order of axes says which it means.

    Attributes:
        data: positions of the tensors that it computes with; all, where none are named.
        listed: position of a constant that lists axes.
        rows: positions of constants with a row for each axis.
        option: whether its options have an `axis`.
    """

    data: tuple[int, ...] = ()
    listed: int | None = None
    rows: tuple[int, ...] = ()
    option: bool = False


_ELEMENTWISE = (
    "ABS", "ADD", "DIV", "ELU", "EXP", "GELU", "HARD_SWISH", "LEAKY_RELU", "LOGISTIC", "MAXIMUM",
    "MINIMUM", "MUL", "NEG", "PRELU", "RELU", "RELU6", "RELU_0_TO_1", "RELU_N1_TO_1", "RSQRT",
    "SQRT", "SQUARE", "SQUARED_DIFFERENCE", "SUB", "TANH",
)  # fmt: skip
_AXES = dict.fromkeys(_ELEMENTWISE, _Axes()) | {
    "CONCATENATION": _Axes(option=True),
    "GATHER": _Axes(data=(0,), option=True),
    "MEAN": _Axes(data=(0,), listed=1),
    "PAD": _Axes(data=(0,), rows=(1,)),
    "PADV2": _Axes(data=(0,), rows=(1,)),
    "REDUCE_MAX": _Axes(data=(0,), listed=1),
    "SLICE": _Axes(data=(0,), rows=(1, 2)),
    "SPLIT": _Axes(data=(1,), listed=0),
    "SUM": _Axes(data=(0,), listed=1),
}
_REDUCTIONS = ("MEAN", "REDUCE_MAX", "SUM")


def channels_last(flatbuffer: bytes) -> bytes:
    """The same function with TRANSPOSEs only where an operator asks for the order they make."""
    return _Mover(FlatbufferEditor(flatbuffer)).moved()


class _Mover:
    """Goes through a model's operators in their order, and changes it in place."""

    def __init__(self, model: FlatbufferEditor) -> None:
        self._model = model
        self._operators: list[Any] = []
        # Tensor -> the tensor that it is a transposed copy of, and how.
        self._transposed: dict[int, tuple[int, Order]] = {}
        # Tensor -> the tensor that it equals.
        self._equal: dict[int, int] = {}
        # Tensor of one row -> the tensor that it is made of.
        self._flattened: dict[int, int] = {}

    def moved(self) -> bytes:
        for operator in self._model.graph.operators:
            operator.inputs = [self._equal.get(int(i), int(i)) for i in operator.inputs]
            operator.outputs = [int(i) for i in operator.outputs]
            kind = self._model.kind(operator)
            if kind == "TRANSPOSE":
                self._transpose(operator)
            elif kind == "RESHAPE":
                self._reshape(operator)
            else:
                if kind == "FULLY_CONNECTED":
                    self._take_unflattened(operator)
                elif kind in _AXES:
                    self._move_above(operator, kind)
                    continue
                self._operators.append(operator)
        self._model.graph.operators = self._used()
        return self._model.pack()

    def _shape(self, tensor: int) -> tuple[int, ...]:
        return tuple(int(size) for size in self._model.graph.tensors[tensor].shape)

    def _integers(self, tensor: int) -> NDArray[np.int32] | None:
        """Value of a constant of int32; none where it is something else."""
        kind = self._model.graph.tensors[tensor].type
        if not self._model.is_constant(tensor) or kind != schema.TensorType.INT32:
            return None
        return self._model.constant(tensor, np.int32)

    def _transpose(self, operator: Any) -> None:
        source, (output,) = operator.inputs[0], operator.outputs
        if (values := self._integers(operator.inputs[1])) is not None:
            order = tuple(int(axis) for axis in values)
            if source in self._transposed:
                source, before = self._transposed[source]
                order = tuple(before[axis] for axis in order)
                operator.inputs = [source, self._constant(output, np.array(order, np.int32))]
            if self._is(output, source, order):
                return
        self._operators.append(operator)

    def _reshape(self, operator: Any) -> None:
        source, (output,) = operator.inputs[0], operator.outputs
        if source in self._transposed:
            origin, order = self._transposed[source]
            if _moves_nothing(order, self._shape(origin)):
                source = operator.inputs[0] = origin
        shape = self._shape(source)
        order = tuple(range(len(shape)))
        if len(shape) == 4 and shape[1] == shape[2] == 1 and self._shape(output) != shape:
            order = _NHWC_TO_NCHW  # if that is what it does, which its output's shape tells
        if self._shape(output) == tuple(shape[axis] for axis in order):
            if self._is(output, source, order):
                return
        elif self._shape(output) == (1, int(np.prod(shape))):
            self._flattened[output] = source
        self._operators.append(operator)

    def _is(self, output: int, source: int, order: Order) -> bool:
        """Note what a tensor is; whether the operator that writes it can be left out."""
        if order == tuple(range(len(order))) and output not in self._model.graph.outputs:
            self._equal[output] = source
            return True
        self._transposed[output] = (source, order)
        return False

    def _take_unflattened(self, operator: Any) -> None:
        """Let a dense layer, which flattens what it takes, take what was flattened for it."""
        source = self._flattened.get(operator.inputs[0])
        weight = operator.inputs[1]
        if source is None or operator.builtinOptions.keepNumDims:
            return
        shape = self._shape(source)
        kind = self._model.graph.tensors[weight].type
        if self._shape(weight)[1:] != (int(np.prod(shape)),):
            return
        if source in self._transposed:
            if not self._model.is_constant(weight) or kind != schema.TensorType.FLOAT32:
                return
            source, order = self._transposed[source]
            values = self._model.constant(weight)
            columns = values.reshape(-1, *shape)
            columns = columns.transpose(0, *(1 + axis for axis in _inverse(order)))
            operator.inputs[1] = self._constant(weight, columns.reshape(values.shape))
        operator.inputs[0] = source

    def _move_above(self, operator: Any, kind: str) -> None:
        """Let an operator read what was transposed, and transpose what it gives."""
        order = self._order(operator, kind)
        if order is None:
            self._operators.append(operator)
            return
        axes = _AXES[kind]
        inverse = _inverse(order)
        constants: dict[int, NDArray[Any]] = {}
        result = order
        if axes.listed is not None:
            values = self._integers(operator.inputs[axes.listed])
            assert values is not None
            listed = [order[axis] for axis in values.reshape(-1)]
            constants[axes.listed] = np.array(listed, np.int32).reshape(values.shape)
            if kind in _REDUCTIONS and not operator.builtinOptions.keepDims:
                kept = [axis for axis in order if axis not in listed]
                result = tuple(sorted(kept).index(axis) for axis in kept)
        for position in axes.rows:
            rows = self._integers(operator.inputs[position])
            assert rows is not None
            constants[position] = rows[list(inverse)]
        if axes.option:
            operator.builtinOptions.axis = order[operator.builtinOptions.axis]
        for position in axes.data or range(len(operator.inputs)):
            index = operator.inputs[position]
            if not self._model.is_constant(index):
                operator.inputs[position] = self._transposed[index][0]
            elif (held := self._model.constant(index)).size > 1:
                whole = held.reshape((1,) * (len(order) - held.ndim) + held.shape)
                constants[position] = whole.transpose(inverse)
        for position, held in constants.items():
            operator.inputs[position] = self._constant(operator.inputs[position], held)
        self._operators.append(operator)
        if result != tuple(range(len(result))):
            operator.outputs = [self._transpose_back(i, result) for i in operator.outputs]

    def _order(self, operator: Any, kind: str) -> Order | None:
        """How all that an operator reads was transposed; none where it has to stay as it is."""
        axes = _AXES[kind]
        orders = set()
        for position in axes.data or range(len(operator.inputs)):
            index = operator.inputs[position]
            if self._model.graph.tensors[index].type != schema.TensorType.FLOAT32:
                return None
            if not self._model.is_constant(index):
                orders.add(self._transposed[index][1] if index in self._transposed else None)
        named = (*axes.rows, *(() if axes.listed is None else (axes.listed,)))
        if any(self._integers(operator.inputs[position]) is None for position in named):
            return None
        if kind == "GATHER" and (
            len(self._shape(operator.inputs[1])) != 1 or operator.builtinOptions.batchDims
        ):
            return None
        return orders.pop() if len(orders) == 1 else None

    def _transpose_back(self, tensor: int, order: Order) -> int:
        """A tensor of which `tensor` is the transposed copy."""
        graph = self._model.graph
        twin = copy.deepcopy(graph.tensors[tensor])
        twin.name += b"_channels_last"
        twin.shape = [self._shape(tensor)[axis] for axis in _inverse(order)]
        twin.shapeSignature = None
        source = self._model.add_tensor(twin)
        operator = self._model.add_operator("TRANSPOSE")
        operator.builtinOptionsType = schema.BuiltinOptions.TransposeOptions
        operator.builtinOptions = schema.TransposeOptionsT()
        operator.inputs = [source, self._constant(tensor, np.array(order, np.int32))]
        operator.outputs = [tensor]
        self._operators.append(operator)
        self._transposed[tensor] = (source, order)
        return source

    def _constant(self, like: int, values: NDArray[Any]) -> int:
        """A new constant, named after a tensor."""
        name = f"{self._model.name(like)}_{len(self._model.graph.tensors)}"
        return self._model.add_constant(name, values)

    def _used(self) -> list[Any]:
        """The operators less those whose outputs nobody reads."""
        needed = {int(i) for i in self._model.graph.outputs}
        used = []
        for operator in reversed(self._operators):
            if needed.intersection(operator.outputs):
                needed.update(operator.inputs)
                used.append(operator)
        return used[::-1]


def _inverse(order: Order) -> Order:
    return tuple(int(axis) for axis in np.argsort(order))


def _moves_nothing(order: Order, shape: tuple[int, ...]) -> bool:
    """Whether values lie in memory as before, since only axes of length 1 change places."""
    long = [axis for axis in order if shape[axis] > 1]
    return long == sorted(long)
