"""Read a TFLite flatbuffer without an interpreter.

An interpreter trusts the flatbuffer it is given and can crash the process on a damaged one, so
this reader is what a model file passes first: every offset is checked (`edgekit.model.decode`), and
so is what the tables say (`edgekit.model.checks`). The layout is that of `schema.fbs` (TensorFlow
Lite schema version 3).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edgekit.errors import ModelFileError
from edgekit.model import limits
from edgekit.model.decode import Fields, Reader, Schema
from edgekit.model.schema import OPERATORS, TENSOR_TYPES
from edgekit.model.tables import TABLES, UNIONS

IDENTIFIER = b"TFL3"
# Custom operators name themselves in the operator code; everything else by this number.
_CUSTOM = 32
_SCHEMA = Schema(TABLES, UNIONS)
# Bits of an element. Strings have no size, and resources and variants no data.
BITS = {
    "float32": 32, "float16": 16, "int32": 32, "uint8": 8, "int64": 64, "bool": 8, "int16": 16,
    "complex64": 64, "int8": 8, "float64": 64, "complex128": 128, "uint64": 64, "uint32": 32,
    "uint16": 16, "int4": 4, "bfloat16": 16, "int2": 2, "uint4": 4,
}  # fmt: skip


@dataclass(frozen=True)
class Tensor:
    """A tensor of the graph; `scale` and `zero_point` hold one value per tensor or per channel.

    Attributes:
        name: as the file has it.
        shape: a dimension of -1 is unknown until run time.
        dtype: one of `TENSOR_TYPES`.
        scale, zero_point: of its quantization; empty where it is not quantized.
        buffer: number of bytes of constant data, 0 for an activation.
        start: offset of that data in the flatbuffer.
        allocated: the shape that an interpreter begins with; `shape` where all is known.
        axis: along which the scales lie, where there are several.
        is_variable: whether it keeps its value from one inference to the next.
        is_sparse: whether its data leaves zeros out.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    buffer: int
    start: int = 0
    allocated: tuple[int, ...] = ()
    axis: int = 0
    is_variable: bool = False
    is_sparse: bool = False


@dataclass(frozen=True)
class Operator:
    """An operator with the indices of its tensors; -1 stands for an absent optional input.

    Attributes:
        name: one of `OPERATORS`, or a custom operator's own.
        version: of the operator.
        inputs, outputs, intermediates: tensors.
        options: by name, as `edgekit.model.tables.TABLES` has them, and their table as `kind`.
        is_custom: whether it is none of TFLite's own.
    """

    name: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    intermediates: tuple[int, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    is_custom: bool = False


@dataclass(frozen=True)
class Graph:
    """The model's main subgraph."""

    tensors: tuple[Tensor, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    operators: tuple[Operator, ...]

    def operator_counts(self) -> dict[str, int]:
        """How often each operator occurs, the most frequent first."""
        counts: dict[str, int] = {}
        for operator in self.operators:
            counts[operator.name] = counts.get(operator.name, 0) + 1
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    def parameters(self) -> int:
        """Number of weights and biases: constant elements that convolutions and dense layers use.

        Constants that are not trained (paddings, axes, the border of the input) do not count.
        """
        weighted = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"}
        used = {i for op in self.operators if op.name in weighted for i in op.inputs[1:] if i >= 0}
        return sum(math.prod(self.tensors[i].shape) for i in used if self.tensors[i].buffer)


def _buffer(fields: Fields, size: int) -> tuple[int, int]:
    """Start and length of a buffer's data, in the table or (in large models) behind the tables."""
    offset = fields["offset"]
    # An offset of 1 marks a buffer whose data is not in the file.
    if offset <= 1:
        start, length = fields["data"]
        return start, length
    if offset + fields["size"] > size:
        raise ModelFileError("a buffer reaches beyond the end of the file")
    return offset, fields["size"]


def _tensor(fields: Fields, buffers: list[tuple[int, int]]) -> Tensor:
    name = fields["name"] or ""
    number, index = fields["type"], fields["buffer"]
    if not 0 <= number < len(TENSOR_TYPES):
        raise ModelFileError(f"tensor {name!r} is of an unknown type ({number})")
    if index >= len(buffers):
        raise ModelFileError(f"tensor {name!r} names a buffer that does not exist")
    if fields["external_buffer"]:
        raise ModelFileError(f"the data of tensor {name!r} is in another file")
    start, size = buffers[index]
    quantization = fields["quantization"] or {}
    if quantization.get("details"):
        raise ModelFileError(f"tensor {name!r} is quantized in a way that is not known here")
    return Tensor(
        name=name,
        shape=fields["shape_signature"] or fields["shape"],
        dtype=TENSOR_TYPES[number],
        scale=quantization.get("scale", ()),
        zero_point=quantization.get("zero_point", ()),
        buffer=size,
        start=start,
        allocated=fields["shape"],
        axis=quantization.get("quantized_dimension", 0),
        is_variable=fields["is_variable"],
        is_sparse=fields["sparsity"] is not None,
    )


def _operator_code(fields: Fields) -> tuple[str, int, bool]:
    """Name and version of an operator, and whether it is a custom one."""
    # Codes beyond 127 do not fit the first, deprecated, one-byte field; the larger one holds.
    code = max(fields["deprecated_builtin_code"], fields["builtin_code"])
    if code == _CUSTOM:
        if not fields["custom_code"]:
            raise ModelFileError("a custom operator has no name")
        return fields["custom_code"], fields["version"], True
    name = OPERATORS[code] if 0 <= code < len(OPERATORS) else f"BUILTIN_{code}"
    return name, fields["version"], False


def _operator(
    fields: Fields, codes: list[tuple[str, int, bool]], tensors: int, size: int
) -> Operator:
    index = fields["opcode_index"]
    if index >= len(codes):
        raise ModelFileError("an operator is of a kind that the file does not define")
    inputs, outputs, inside = fields["inputs"], fields["outputs"], fields["intermediates"]
    if not all(-1 <= i < tensors for i in (*inputs, *outputs, *inside)):
        raise ModelFileError("an operator names a tensor that does not exist")
    limits.check(max(len(inputs), len(outputs)), limits.CONNECTIONS, "tensors at one operator")
    if fields["large_custom_options_offset"] + fields["large_custom_options_size"] > size:
        raise ModelFileError("an operator's options reach beyond the end of the file")
    options = fields["builtin_options"] or fields["builtin_options2"] or {}
    name, version, is_custom = codes[index]
    return Operator(name, version, inputs, outputs, inside, options, is_custom)


def _graph(
    fields: Fields, codes: list[tuple[str, int, bool]], buffers: list[tuple[int, int]], size: int
) -> Graph:
    tensors = tuple(_tensor(one, buffers) for one in fields["tensors"])
    inputs, outputs = fields["inputs"], fields["outputs"]
    if not all(0 <= i < len(tensors) for i in inputs + outputs):
        raise ModelFileError("an input or output names a tensor that does not exist")
    limits.check(max(len(inputs), len(outputs)), limits.CONNECTIONS, "inputs or outputs")
    operators = tuple(_operator(one, codes, len(tensors), size) for one in fields["operators"])
    return Graph(tensors, inputs, outputs, operators)


def _check_references(model: Fields, graphs: list[Graph], buffers: int) -> None:
    """Refuse metadata and signatures that name what is not there; interpreters look them up."""
    for entry in model["metadata"]:
        if entry["name"] is None or entry["buffer"] >= buffers:
            raise ModelFileError("its metadata names a buffer that does not exist")
    if any(not 0 <= index < buffers for index in model["metadata_buffer"]):
        raise ModelFileError("its metadata names a buffer that does not exist")
    for signature in model["signature_defs"]:
        number = signature["subgraph_index"]
        if number >= len(graphs) or signature["signature_key"] is None:
            raise ModelFileError("a signature names a graph that does not exist")
        for entry in signature["inputs"] + signature["outputs"]:
            if entry["name"] is None or entry["tensor_index"] >= len(graphs[number].tensors):
                raise ModelFileError("a signature names a tensor that does not exist")


def _decode(data: bytes) -> Fields:
    if len(data) < 8 or data[4:8] != IDENTIFIER:
        raise ModelFileError("it does not start like a TFLite flatbuffer")
    model = _SCHEMA.decode(Reader(data).root(), "Model")
    if model["version"] != 3:
        raise ModelFileError(f"schema version {model['version']} is not 3")
    return model


def parse_graphs(data: bytes) -> list[Graph]:
    """Read all graphs of a flatbuffer, the main one first, and check its structure.

    Raises:
        ModelFileError: the structure is damaged; the message is a clause without the file's name.
    """
    model = _decode(data)
    codes = [_operator_code(one) for one in model["operator_codes"]]
    buffers = [_buffer(one, len(data)) for one in model["buffers"]]
    limits.check(len(model["subgraphs"]), limits.GRAPHS, "graphs")
    graphs = [_graph(one, codes, buffers, len(data)) for one in model["subgraphs"]]
    if not graphs:
        raise ModelFileError("it holds no graph")
    limits.check(sum(len(graph.tensors) for graph in graphs), limits.TENSORS, "tensors")
    limits.check(sum(len(graph.operators) for graph in graphs), limits.OPERATORS, "operators")
    _check_references(model, graphs, len(buffers))
    return graphs


def metadata(data: bytes, name: str) -> bytes | None:
    """The buffer that the model's metadata has under a name; None where there is none.

    Raises:
        ModelFileError: the structure is damaged; the message is a clause without the file's name.
    """
    model = _decode(data)
    for entry in model["metadata"]:
        if entry["name"] == name:
            start, length = _buffer(model["buffers"][entry["buffer"]], len(data))
            return data[start : start + length]
    return None


def parse(data: bytes) -> Graph:
    """Read and check a flatbuffer; its main graph.

    Raises:
        ModelFileError: it is damaged; the message is a clause without the file's name.
    """
    return parse_graphs(data)[0]
