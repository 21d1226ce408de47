"""Models of one operator, made by the schema itself, with any content."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edgekit.model.checks import check_graphs
from edgekit.model.flatbuffer import parse_graphs


class T(NamedTuple):
    """A tensor: its shape as the file states it, and its constant values, if it has some."""

    shape: Sequence[int]
    dtype: str = "float32"
    data: NDArray[Any] | None = None
    scale: Sequence[float] = ()
    zero: Sequence[int] | None = None
    axis: int = 0
    signature: Sequence[int] | None = None
    is_variable: bool = False


def ints(*values: int, shape: Sequence[int] | None = None, dtype: str = "int32") -> T:
    """A constant of integers."""
    return T([len(values)] if shape is None else shape, dtype, np.array(values, dtype))


def weights(*shape: int, dtype: str = "float32") -> T:
    """A constant of ones, quantized where it is of 8 bits."""
    return T(shape, dtype, np.ones(shape, dtype), (1.0,) if dtype in ("int8", "uint8") else ())


def options(kind: str, **fields: Any) -> Any:
    """The options of an operator; what is not named has the schema's default."""
    made = getattr(schema, f"{kind}T")()
    for name, value in fields.items():
        assert hasattr(made, name)
        setattr(made, name, value)
    return made


def build(
    kind: str,
    inputs: Sequence[T | None],
    outputs: Sequence[T],
    made: Any = None,
    *,
    version: int = 1,
    change: Any = None,
) -> bytes:
    """A model whose only operator is of a kind; `change` may alter its parts before it is packed.

    A tensor that is given twice is one tensor.
    """
    graph, model, operator = schema.SubGraphT(), schema.ModelT(), schema.OperatorT()
    model.buffers, graph.tensors = [schema.BufferT()], []
    numbers: dict[int, int] = {}
    for one in (*inputs, *outputs):
        if one is None or id(one) in numbers:
            continue
        numbers[id(one)] = len(graph.tensors)
        tensor = schema.TensorT()
        tensor.name, tensor.shape = f"t{len(graph.tensors)}".encode(), [*one.shape]
        tensor.type = getattr(schema.TensorType, one.dtype.upper())
        tensor.shapeSignature = None if one.signature is None else [*one.signature]
        tensor.isVariable, tensor.buffer = one.is_variable, 0
        if one.data is not None:
            data = schema.BufferT()
            data.data = np.frombuffer(one.data.tobytes(), np.uint8)
            tensor.buffer = len(model.buffers)
            model.buffers.append(data)
        if one.scale:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = [*one.scale]
            tensor.quantization.zeroPoint = [*(one.zero or [0] * len(one.scale))]
            tensor.quantization.quantizedDimension = one.axis
        graph.tensors.append(tensor)
    code = schema.OperatorCodeT()
    number = getattr(schema.BuiltinOperator, kind, schema.BuiltinOperator.CUSTOM)
    if number == schema.BuiltinOperator.CUSTOM:
        code.customCode = kind.encode()
    code.builtinCode, code.deprecatedBuiltinCode, code.version = number, min(number, 127), version
    operator.inputs = [-1 if one is None else numbers[id(one)] for one in inputs]
    operator.outputs = [numbers[id(one)] for one in outputs]
    if made is not None:
        name = type(made).__name__.removesuffix("T")
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, name)
        operator.builtinOptions = made
    graph.operators = [operator]
    fed = [one for one in inputs if one and one.data is None and not one.is_variable]
    graph.inputs = [*dict.fromkeys(numbers[id(one)] for one in fed)]
    graph.outputs = [numbers[id(one)] for one in outputs]
    model.version, model.subgraphs, model.operatorCodes = 3, [graph], [code]
    if change is not None:
        change(model)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def check(raw: bytes) -> None:
    """What the reader of model files does with a flatbuffer."""
    check_graphs(parse_graphs(raw), raw)
