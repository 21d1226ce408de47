"""Edit a TFLite flatbuffer: its operators, constants and outputs."""

import copy
import struct
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edgekit.model.flatbuffer import IDENTIFIER, parse
from edgekit.model.schema import OPERATORS

# The schema's number of the fused activation.
RELU = 1
# Places in their tables of a graph's outputs and a model's signatures, by the schema; bytes of an
# offset, a length, and an index.
_OUTPUTS, _SIGNATURES = 8, 18
_WORD = 4
# Bytes that a model has beside its constants; more are made where it has more.
_ROOM = 1 << 20
# Operators with a weight (input 1) and a bias (input 2).
WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


class FlatbufferEditor:
    """A flatbuffer taken apart, for changes to its main graph.

    Operators and tensors are those of the schema's object API.

    Attributes:
        model: the schema's ModelT.
        graph: its main SubGraphT.
    """

    def __init__(self, flatbuffer: bytes) -> None:
        self.model: Any = schema.ModelT.InitFromPackedBuf(flatbuffer, 0)
        self.graph: Any = self.model.subgraphs[0]

    def pack(self) -> bytes:
        """The flatbuffer with all changes."""
        held = sum(len(buffer.data) for buffer in self.model.buffers if buffer.data is not None)
        # Room for all at once: it would be copied each time that it is doubled.
        builder = flatbuffers.Builder(held + _ROOM)
        builder.Finish(self.model.Pack(builder), IDENTIFIER)
        return bytes(memoryview(builder.Bytes)[builder.Head() :])

    def kind(self, operator: Any) -> str:
        """Name of an operator's type, for example `CONV_2D`."""
        return self.code_name(self.model.operatorCodes[operator.opcodeIndex])

    def code_name(self, code: Any) -> str:
        """Name of an operator code of the schema."""
        return OPERATORS[max(code.builtinCode, code.deprecatedBuiltinCode)]

    def name(self, tensor: int) -> str:
        """Name of a tensor."""
        text: str = self.graph.tensors[tensor].name.decode()
        return text

    def weighted(self) -> list[Any]:
        """Operators that have a constant weight, in graph order."""
        return [
            operator
            for operator in self.graph.operators
            if self.kind(operator) in WEIGHTED and self.is_constant(operator.inputs[1])
        ]

    def bias(self, operator: Any) -> int | None:
        """Tensor index of an operator's constant bias, where it has one."""
        if len(operator.inputs) < 3 or operator.inputs[2] < 0:
            return None
        index = int(operator.inputs[2])
        return index if self.is_constant(index) else None

    def is_constant(self, tensor: int) -> bool:
        """Whether a tensor's value is in the file."""
        data = self.model.buffers[self.graph.tensors[tensor].buffer].data
        return data is not None and len(data) > 0

    def constant(self, tensor: int, dtype: type[np.generic] = np.float32) -> NDArray[Any]:
        """Value of a constant tensor; not to be changed in place."""
        described = self.graph.tensors[tensor]
        data = np.asarray(self.model.buffers[described.buffer].data, dtype=np.uint8)
        return data.view(dtype).reshape(described.shape)

    def set_constant(self, tensor: int, values: NDArray[Any]) -> None:
        """Replace the value of a constant tensor; shape and type stay."""
        raw = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
        self.model.buffers[self.graph.tensors[tensor].buffer].data = raw

    def readers(self, tensor: int) -> list[Any]:
        """Operators that take a tensor."""
        return [operator for operator in self.graph.operators if tensor in operator.inputs]

    def add_operator(self, kind: str, version: int = 1) -> Any:
        """A new operator of a type, not yet in the graph."""
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = OPERATORS.index(kind)
        code.version = version
        self.model.operatorCodes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = len(self.model.operatorCodes) - 1
        return operator

    def add_tensor(self, tensor: Any) -> int:
        """Append a tensor to the graph and return its index."""
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def add_constant(self, name: str, values: NDArray[Any]) -> int:
        """Append a constant, float32 or int32, to the graph and return its index."""
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
        self.model.buffers.append(buffer)
        tensor, kinds = schema.TensorT(), schema.TensorType
        tensor.name, tensor.shape = name.encode(), list(values.shape)
        tensor.type = kinds.INT32 if values.dtype == np.int32 else kinds.FLOAT32
        tensor.buffer = len(self.model.buffers) - 1
        return self.add_tensor(tensor)


def separate_constants(flatbuffer: bytes) -> bytes:
    """Give every weight and bias a tensor of its own.

    TFLite's converter stores equal constants once, such as the zero biases of two layers. Layers
    that are quantized apart need constants apart.
    """
    model = FlatbufferEditor(flatbuffer)
    taken: set[int] = set()
    for operator in model.weighted():
        for position in (1, 2):
            if position == 2 and model.bias(operator) is None:
                continue
            index = int(operator.inputs[position])
            tensor = model.graph.tensors[index]
            if tensor.buffer in taken:
                twin = copy.deepcopy(tensor)
                twin.name = tensor.name + f"_{len(model.graph.tensors)}".encode()
                model.model.buffers.append(copy.deepcopy(model.model.buffers[tensor.buffer]))
                twin.buffer = len(model.model.buffers) - 1
                inputs = list(operator.inputs)
                inputs[position] = model.add_tensor(twin)
                operator.inputs = inputs
                tensor = twin
            taken.add(tensor.buffer)
    return model.pack()


def without_unread(flatbuffer: bytes) -> bytes:
    """The same model without tensors that no operator has, and without their values."""
    model = FlatbufferEditor(flatbuffer)
    graph = model.graph
    holders = [(graph, "inputs"), (graph, "outputs")]
    holders += [(operator, side) for operator in graph.operators for side in ("inputs", "outputs")]
    kept = sorted({int(i) for holder, side in holders for i in getattr(holder, side) if i >= 0})
    number = {-1: -1} | {old: new for new, old in enumerate(kept)}
    for holder, side in holders:
        setattr(holder, side, [number[int(i)] for i in getattr(holder, side)])
    for signature in model.model.signatureDefs or []:
        for named in (*signature.inputs, *signature.outputs):
            named.tensorIndex = number[named.tensorIndex]
    graph.tensors = [graph.tensors[i] for i in kept]
    read = {tensor.buffer for tensor in graph.tensors}
    read |= {entry.buffer for entry in model.model.metadata or []}
    for index, buffer in enumerate(model.model.buffers):
        if index not in read:
            buffer.data = None
    return model.pack()


def expose_activations(flatbuffer: bytes) -> bytes:
    """A copy whose outputs are all its activations, in graph order, behind the first.

    The interpreter then keeps them, at full speed: its own switch for that turns XNNPACK off.
    """
    graph = parse(flatbuffer)
    outputs = list(graph.outputs)
    outputs += [i for op in graph.operators for i in op.outputs if i not in outputs]
    return _with_outputs(flatbuffer, outputs)


def expose_logits(flatbuffer: bytes) -> bytes:
    """A copy with two outputs: the probabilities and what the last SOFTMAX makes them of."""
    graph = parse(flatbuffer)
    last = [op for op in graph.operators if op.name == "SOFTMAX"][-1]
    return _with_outputs(flatbuffer, [graph.outputs[0], last.inputs[0]])


def _with_outputs(flatbuffer: bytes, outputs: list[int]) -> bytes:
    """A copy with other outputs, at the price of a copy: a search does it for every candidate.

    Offsets point forward, so the new outputs are appended, and the graph's offset points there.
    Signatures, which name the old ones, are none.
    """
    changed = bytearray(flatbuffer)
    model = schema.Model.GetRootAs(changed, 0)
    if signatures := model._tab.Offset(_SIGNATURES):
        length = model._tab.Vector(signatures) - _WORD
        changed[length : length + _WORD] = bytes(_WORD)
    graph = model.Subgraphs(0)._tab
    place = graph.Pos + graph.Offset(_OUTPUTS)
    changed += bytes(-len(changed) % _WORD)
    changed[place : place + _WORD] = struct.pack("<I", len(changed) - place)
    changed += struct.pack(f"<{1 + len(outputs)}i", len(outputs), *outputs)
    return bytes(changed)
