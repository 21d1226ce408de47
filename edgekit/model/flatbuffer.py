"""Read a TFLite flatbuffer without an interpreter, checking every offset on the way.

An interpreter trusts the flatbuffer it is given and can crash the process on a damaged one, so
this reader is what a model file passes first. The layout is that of `schema.fbs` (TensorFlow Lite
schema version 3) and of FlatBuffers' internals: a table starts with the distance back to its
vtable, and each field of a vtable is the distance from the table's start, 0 when absent.
"""

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from edgekit.errors import ModelFileError
from edgekit.model.schema import OPERATORS, TENSOR_TYPES

IDENTIFIER = b"TFL3"
# Custom operators name themselves in the operator code; everything else by this number.
_CUSTOM = 32
# Types whose elements do not fill whole bytes, or vary in length, have no size to check.
_SIZES = {
    "float32": 4, "float16": 2, "int32": 4, "uint8": 1, "int64": 8, "bool": 1, "int16": 2,
    "int8": 1, "float64": 8, "uint64": 8, "uint32": 4, "uint16": 2,
}  # fmt: skip


@dataclass(frozen=True)
class Tensor:
    """A tensor of the graph; `scale` and `zero_point` hold one value per tensor or per channel.

    `buffer` is the number of bytes of constant data, 0 for an activation. A dimension of -1 in
    `shape` is unknown until run time.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    buffer: int


@dataclass(frozen=True)
class Operator:
    """An operator with the indices of its tensors; -1 stands for an absent optional input."""

    name: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


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


class Reader:
    """Bounds-checked access to a flatbuffer's bytes."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def unpack(self, layout: str, at: int) -> int:
        if at < 0 or at + struct.calcsize(layout) > len(self.data):
            raise ModelFileError("an offset points outside the file")
        value: int = struct.unpack_from(layout, self.data, at)[0]
        return value

    def table(self, at: int) -> "Table":
        return Table(self, at)


class Table:
    """One table; a field is named by its number in the schema."""

    def __init__(self, reader: Reader, at: int) -> None:
        self.reader = reader
        self.at = at
        self.vtable = at - reader.unpack("<i", at)
        self.vtable_size = reader.unpack("<H", self.vtable)
        if self.vtable_size < 4 or self.vtable_size % 2:
            raise ModelFileError("a table's description is damaged")
        reader.unpack("<B", self.vtable + self.vtable_size - 1)

    def _field(self, number: int) -> int | None:
        entry = 4 + 2 * number
        if entry + 2 > self.vtable_size:
            return None
        offset = self.reader.unpack("<H", self.vtable + entry)
        return self.at + offset if offset else None

    def scalar(self, number: int, layout: str, default: int = 0) -> int:
        at = self._field(number)
        return default if at is None else self.reader.unpack(layout, at)

    def _follow(self, number: int) -> int | None:
        at = self._field(number)
        return None if at is None else at + self.reader.unpack("<I", at)

    def child(self, number: int) -> "Table | None":
        at = self._follow(number)
        return None if at is None else self.reader.table(at)

    def span(self, number: int, width: int) -> tuple[int, int]:
        """Start and length (in elements of `width` bytes) of a vector; (0, 0) when absent."""
        at = self._follow(number)
        if at is None:
            return 0, 0
        length = self.reader.unpack("<I", at)
        if at + 4 + length * width > len(self.reader.data):
            raise ModelFileError("a vector reaches beyond the end of the file")
        return at + 4, length

    def numbers(self, number: int, code: str) -> tuple[int, ...]:
        start, length = self.span(number, struct.calcsize(f"<{code}"))
        return struct.unpack_from(f"<{length}{code}", self.reader.data, start)

    def text(self, number: int) -> str:
        start, length = self.span(number, 1)
        return self.reader.data[start : start + length].decode("utf-8", "replace")

    def children(self, number: int) -> Iterator["Table"]:
        start, length = self.span(number, 4)
        for at in range(start, start + 4 * length, 4):
            yield self.reader.table(at + self.reader.unpack("<I", at))


def _buffer_bytes(table: Table) -> int:
    """Size of a buffer's data, in the table or (for large models) elsewhere in the file."""
    _, length = table.span(0, 1)
    offset, size = table.scalar(1, "<Q"), table.scalar(2, "<Q")
    # An offset of 1 marks a buffer whose data is not in the file.
    if offset > 1:
        if offset + size > len(table.reader.data):
            raise ModelFileError("a buffer reaches beyond the end of the file")
        return size
    return length


def _tensor(table: Table, buffers: list[int]) -> Tensor:
    name = table.text(3)
    number = table.scalar(1, "<b")
    if not 0 <= number < len(TENSOR_TYPES):
        raise ModelFileError(f"tensor {name!r} is of an unknown type ({number})")
    dtype = TENSOR_TYPES[number]
    shape = tuple(table.numbers(7, "i") or table.numbers(0, "i"))
    index = table.scalar(2, "<I")
    if index >= len(buffers):
        raise ModelFileError(f"tensor {name!r} names a buffer that does not exist")
    size = buffers[index]
    static = all(d >= 0 for d in shape)
    if size and dtype in _SIZES and static and table.child(6) is None:
        expected = math.prod(shape) * _SIZES[dtype]
        if size != expected:
            raise ModelFileError(f"tensor {name!r} holds {size} bytes instead of {expected}")
    quantization = table.child(4)
    scale: tuple[float, ...] = ()
    zero_point: tuple[int, ...] = ()
    if quantization is not None:
        scale = quantization.numbers(2, "f")
        zero_point = quantization.numbers(3, "q")
        channels = shape[quantization.scalar(6, "<i")] if len(scale) > 1 and shape else len(scale)
        if len(scale) > 1 and len(scale) != channels:
            raise ModelFileError(f"tensor {name!r} has {len(scale)} scales, {channels} channels")
    return Tensor(name, shape, dtype, scale, zero_point, size)


def _operator_code(table: Table) -> tuple[str, int]:
    # Codes beyond 127 do not fit the first, deprecated, one-byte field; the larger one holds.
    code = max(table.scalar(0, "<b"), table.scalar(3, "<i"))
    if code == _CUSTOM:
        name = table.text(1)
    else:
        name = OPERATORS[code] if 0 <= code < len(OPERATORS) else f"BUILTIN_{code}"
    return name, table.scalar(2, "<i", 1)


def _operators(graph: Table, codes: list[tuple[str, int]], tensors: int) -> Iterator[Operator]:
    for table in graph.children(3):
        index = table.scalar(0, "<I")
        if index >= len(codes):
            raise ModelFileError("an operator is of a kind that the file does not define")
        inputs, outputs = table.numbers(1, "i"), table.numbers(2, "i")
        if not all(-1 <= i < tensors for i in inputs + outputs):
            raise ModelFileError("an operator names a tensor that does not exist")
        table.child(4)
        yield Operator(*codes[index], inputs, outputs)


def _parse(data: bytes) -> Graph:
    if len(data) < 8 or data[4:8] != IDENTIFIER:
        raise ModelFileError("it does not start like a TFLite flatbuffer")
    reader = Reader(data)
    model = reader.table(reader.unpack("<I", 0))
    if (version := model.scalar(0, "<I")) != 3:
        raise ModelFileError(f"schema version {version} is not 3")
    codes = [_operator_code(table) for table in model.children(1)]
    buffers = [_buffer_bytes(table) for table in model.children(4)]
    graphs: list[Graph] = []
    for table in model.children(2):
        tensors = tuple(_tensor(child, buffers) for child in table.children(0))
        inputs, outputs = table.numbers(1, "i"), table.numbers(2, "i")
        if not all(0 <= i < len(tensors) for i in inputs + outputs):
            raise ModelFileError("an input or output names a tensor that does not exist")
        operators = tuple(_operators(table, codes, len(tensors)))
        graphs.append(Graph(tensors, inputs, outputs, operators))
    if not graphs:
        raise ModelFileError("it holds no graph")
    return graphs[0]


def metadata(data: bytes, name: str) -> bytes | None:
    """The buffer that the model's metadata has under a name; None where there is none.

    Raises:
        ModelFileError: the structure is damaged; the message is a clause without the file's name.
    """
    reader = Reader(data)
    model = reader.table(reader.unpack("<I", 0))
    for entry in model.children(6):
        if entry.text(0) == name:
            buffers = list(model.children(4))
            index = entry.scalar(1, "<I")
            if index >= len(buffers):
                raise ModelFileError(f"its metadata {name} names a buffer that does not exist")
            start, length = buffers[index].span(0, 1)
            return data[start : start + length]
    return None


def parse(data: bytes) -> Graph:
    """Read and check the structure of a flatbuffer.

    Raises:
        ModelFileError: the structure is damaged; the message is a clause without the file's name.
    """
    try:
        return _parse(data)
    except (struct.error, IndexError, OverflowError, MemoryError) as error:
        raise ModelFileError(f"its structure is damaged ({error})") from error
