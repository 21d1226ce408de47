import struct

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from edgekit_convert.graph.flatbuffer import FlatbufferEditor
from edgekit_convert.target.metadata import ENTRY, IDENTIFIER, with_metadata

from edgekit.model.decode import Reader, Table
from edgekit.model.flatbuffer import parse


def _classifier(**others: bytes) -> bytes:
    """One SOFTMAX from x to y, with the given metadata entries."""
    model, graph, code = schema.ModelT(), schema.SubGraphT(), schema.OperatorCodeT()
    tensors = [schema.TensorT(), schema.TensorT()]
    for tensor, name in zip(tensors, (b"x", b"y"), strict=True):
        tensor.name, tensor.shape, tensor.type = name, [1, 3], schema.TensorType.FLOAT32
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.SOFTMAX
    operator = schema.OperatorT()
    operator.inputs, operator.outputs = [0], [1]
    graph.tensors, graph.operators, graph.inputs, graph.outputs = tensors, [operator], [0], [1]
    model.version, model.subgraphs, model.operatorCodes = 3, [graph], [code]
    model.buffers = [schema.BufferT()]
    for name, content in others.items():
        entry, buffer = schema.MetadataT(), schema.BufferT()
        entry.name, entry.buffer = name.encode(), len(model.buffers)
        buffer.data = np.frombuffer(content, np.uint8)
        model.metadata = [*(model.metadata or []), entry]
        model.buffers.append(buffer)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _entries(flatbuffer: bytes) -> dict[str, tuple[int, bytes]]:
    """Where the content of each metadata entry starts, and the content, by our own reader."""
    reader = Reader(flatbuffer)
    model = reader.root()
    spans = [buffer.span(0, 1) for buffer in model.children(4)]
    found = {}
    for entry in model.children(6):
        start, length = spans[entry.scalar(1, "I")]
        found[entry.text(0) or ""] = start, flatbuffer[start : start + length]
    return found


def _metadata(flatbuffer: bytes) -> Table:
    _, content = _entries(flatbuffer)[ENTRY.decode()]
    assert content[4:8] == IDENTIFIER == b"M001"
    reader = Reader(content)
    return reader.root()


def _only(table: Table, number: int) -> Table:
    (child,) = table.children(number)
    return child


def _child(table: Table, number: int) -> Table:
    child = table.child(number)
    assert child is not None
    return child


def _union(table: Table) -> tuple[int, Table]:
    return table.scalar(0, "B"), _child(table, 1)


def test_the_graph_stays_as_it_was() -> None:
    plain = _classifier()
    assert parse(with_metadata(plain, name="resnet18", description="")) == parse(plain)


def test_the_model_is_described() -> None:
    root = _metadata(with_metadata(_classifier(), name="ResNet „18“", description="sees toys"))
    assert (root.text(0), root.text(1), root.text(7)) == ("ResNet „18“", "sees toys", "1.0.0")


def test_the_input_takes_raw_pixels() -> None:
    root = _metadata(with_metadata(_classifier(), name="n", description="d"))
    tensor = _only(_only(root, 3), 2)
    assert tensor.text(0) == "image"
    kind, properties = _union(_child(tensor, 3))
    assert (kind, properties.scalar(0, "b")) == (2, 1)  # ImageProperties, RGB
    kind, normalization = _union(_only(tensor, 4))
    assert kind == 1
    assert normalization.numbers(0, "f") == (0.0,)
    assert normalization.numbers(1, "f") == (1.0,)
    stats = _child(tensor, 5)
    assert (stats.numbers(0, "f"), stats.numbers(1, "f")) == ((255.0,), (0.0,))


def test_the_output_is_labelled() -> None:
    root = _metadata(with_metadata(_classifier(), name="n", description="d"))
    tensor = _only(_only(root, 3), 3)
    assert tensor.text(0) == "probability"
    kind, _ = _union(_child(tensor, 3))
    assert kind == 1  # FeatureProperties
    stats = _child(tensor, 5)
    assert (stats.numbers(0, "f"), stats.numbers(1, "f")) == ((1.0,), (0.0,))
    labels = _only(tensor, 6)
    assert (labels.text(0), labels.scalar(2, "b")) == ("labels.txt", 2)  # TENSOR_AXIS_LABELS


@pytest.mark.parametrize("length", range(8))
def test_numbers_are_aligned_for_readers_in_place(length: int) -> None:
    model = with_metadata(_classifier(), name="n" * length, description="d")
    start, content = _entries(model)[ENTRY.decode()]
    assert start % 4 == 0
    (root,) = struct.unpack_from("<I", content)
    assert root % 4 == 0


def test_other_entries_stay() -> None:
    model = with_metadata(_classifier(min_runtime_version=b"1.5.0"), name="n", description="d")
    entries = _entries(model)
    assert list(entries) == ["min_runtime_version", "TFLITE_METADATA"]
    assert entries["min_runtime_version"][1] == b"1.5.0"


def test_an_older_description_is_replaced() -> None:
    once = with_metadata(_classifier(), name="new", description="d")
    first = with_metadata(_classifier(), name="old", description="other")
    twice = with_metadata(first, name="new", description="d")
    assert _metadata(twice).text(0) == "new"
    assert len(FlatbufferEditor(twice).model.buffers) == len(FlatbufferEditor(once).model.buffers)
    assert with_metadata(once, name="new", description="d") == once
