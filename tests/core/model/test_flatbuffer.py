"""The flatbuffer reader: what it finds, and that damage never reaches an interpreter."""

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.errors import ModelFileError
from edgekit.model.container import read_model
from edgekit.model.flatbuffer import parse
from edgekit.model.schema import OPERATORS, TENSOR_TYPES
from edgekit.model.tables import TABLES, UNIONS


def _model(change: Callable[[Any], None] = lambda model: None) -> bytes:
    """One FULLY_CONNECTED with a 2x3 weight, after a change to its parts."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    def tensor(name: str, shape: list[int], buffer: int) -> object:
        made = schema.TensorT()
        made.name, made.shape, made.buffer = name.encode(), shape, buffer
        made.type = schema.TensorType.FLOAT32
        return made

    model, graph, code = schema.ModelT(), schema.SubGraphT(), schema.OperatorCodeT()
    empty, weights, operator = schema.BufferT(), schema.BufferT(), schema.OperatorT()
    weights.data = list(bytes(24))
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0, 1, -1], [2]
    graph.tensors = [tensor("x", [1, 3], 0), tensor("w", [2, 3], 1), tensor("y", [1, 2], 0)]
    graph.inputs, graph.outputs, graph.operators = [0], [2], [operator]
    model.version, model.subgraphs = 3, [graph]
    model.buffers, model.operatorCodes = [empty, weights], [code]
    change(model)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@functools.cache
def _small_model() -> bytes:
    """The same, built once for all examples."""
    return _model()


def test_names_are_those_of_the_schema() -> None:
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    for name, number in vars(schema.BuiltinOperator).items():
        if isinstance(number, int) and not name.startswith("_"):
            assert OPERATORS[number] == name
    for name, number in vars(schema.TensorType).items():
        if isinstance(number, int) and not name.startswith("_"):
            assert TENSOR_TYPES[number] == name.lower()


@functools.cache
def _readers() -> dict[str, dict[str, str]]:
    """The schema's own code that reads each field of a table, by table and by name."""
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    text = Path(schema.__file__).read_text(encoding="utf-8")
    _, *rest = re.split(r"^class (\w+)\(object\):$", text, flags=re.MULTILINE)
    found: dict[str, dict[str, str]] = {}
    for name, body in zip(rest[::2], rest[1::2], strict=True):
        _, *methods = re.split(r"^    def (\w+)\(", body.partition("\ndef ")[0], flags=re.MULTILINE)
        found[name] = dict(zip(methods[::2], methods[1::2], strict=True))
    return found


def _kind(code: str) -> str:
    """What the code reads, as a kind of `edgekit.model.tables`."""
    letters = {"Bool": "?", "Int8": "b", "Uint8": "B", "Int16": "h", "Uint16": "H", "Int32": "i",
               "Uint32": "I", "Int64": "q", "Uint64": "Q", "Float32": "f"}  # fmt: skip
    if "Union" in code:
        return "union"
    if "_tab.String" in code:
        return "s"
    if found := re.search(r"number_types\.(\w+)Flags, [oa]\b", code):
        kind = letters[found[1]]
    else:
        found = re.search(r"obj = (\w+)\(\)", code)
        assert found
        kind = found[1]
    return f"[{kind}]" if code.startswith("self, j)") else kind


def test_tables_are_those_of_the_schema() -> None:
    for table, line in TABLES.items():
        for number, word in enumerate(line.split()):
            name, _, rest = word.partition(":")
            kind, _, default = rest.partition("=")
            if kind == "-":
                continue
            code = _readers()[table][name.title().replace("_", "")]
            assert f"Offset({4 + 2 * number})" in code, (table, name)
            assert _kind(code) == ("union" if kind in UNIONS else kind), (table, name)
            if default:
                assert re.search(rf"return ({default}|True)\n", code), (table, name)


def test_no_field_is_left_out() -> None:
    for name, methods in _readers().items():
        if "Init" in methods and not name.startswith(("Stable", "StableHLO")):
            slots = [
                int(n) for code in methods.values() for n in re.findall(r"Offset\((\d+)", code)
            ]
            assert max(slots, default=2) == 2 + 2 * len(TABLES.get(name, "").split()), name


def test_unions_are_those_of_the_schema() -> None:
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    for union, names in UNIONS.items():
        for number, name in enumerate(names):
            assert getattr(getattr(schema, union), name) == number


def test_a_small_model_is_read() -> None:
    graph = parse(_small_model())
    assert graph.operator_counts() == {"FULLY_CONNECTED": 1}
    assert graph.tensors[1].shape == (2, 3)
    assert graph.parameters() == 6


def _operator_reads(model: Any, tensor: int) -> None:
    model.subgraphs[0].operators[0].inputs = [0, tensor, -1]


def _graph_gives(model: Any, tensor: int) -> None:
    model.subgraphs[0].outputs = [tensor]


def _buffer_lies_at(model: Any, offset: int) -> None:
    model.buffers[1].data = None
    model.buffers[1].offset, model.buffers[1].size = offset, 24


@pytest.mark.parametrize(
    ("change", "value", "message"),
    [
        (_operator_reads, 3, "an operator names a tensor that does not exist"),
        (_operator_reads, -2, "an operator names a tensor that does not exist"),
        (_graph_gives, 3, "an input or output names a tensor that does not exist"),
        (_graph_gives, -1, "an input or output names a tensor that does not exist"),
        (_buffer_lies_at, 1 << 20, "a buffer reaches beyond the end of the file"),
    ],
)
def test_what_does_not_exist_is_refused(
    change: Callable[[Any, int], None], value: int, message: str
) -> None:
    with pytest.raises(ModelFileError, match=message):
        parse(_model(lambda model: change(model, value)))


def _described(name: bytes | None, buffer: int) -> Callable[[Any], None]:
    from ai_edge_litert import schema_py_generated as schema

    def change(model: Any) -> None:
        entry = schema.MetadataT()
        entry.name, entry.buffer = name, buffer
        model.metadata = [entry]

    return change


def _signed(
    key: bytes | None, graph: int, name: bytes | None, tensor: int
) -> Callable[[Any], None]:
    from ai_edge_litert import schema_py_generated as schema

    def change(model: Any) -> None:
        signature, entry = schema.SignatureDefT(), schema.TensorMapT()
        entry.name, entry.tensorIndex = name, tensor
        signature.signatureKey, signature.subgraphIndex = key, graph
        signature.inputs, signature.outputs = [], [entry]
        model.signatureDefs = [signature]

    return change


def test_metadata_and_signatures_name_what_is_there() -> None:
    parse(_model(_described(b"min_runtime_version", 1)))
    parse(_model(_signed(b"serving_default", 0, b"y", 2)))
    for change, message in (
        (_described(b"min_runtime_version", 2), "its metadata names a buffer"),
        (_described(None, 0), "its metadata names a buffer"),
        (_signed(b"serving_default", 1, b"y", 2), "a signature names a graph"),
        (_signed(None, 0, b"y", 2), "a signature names a graph"),
        (_signed(b"serving_default", 0, b"y", 3), "a signature names a tensor"),
        (_signed(b"serving_default", 0, None, 2), "a signature names a tensor"),
    ):
        with pytest.raises(ModelFileError, match=f"{message} that does not exist"):
            parse(_model(change))


def _outside(model: Any) -> None:
    model.subgraphs[0].tensors[1].externalBuffer = 1


def _nameless(model: Any) -> None:
    model.operatorCodes[0].builtinCode = model.operatorCodes[0].deprecatedBuiltinCode = 32


def _of_no_type(model: Any) -> None:
    model.subgraphs[0].tensors[1].type = 99


def _of_no_buffer(model: Any) -> None:
    model.subgraphs[0].tensors[1].buffer = 9


def _in_blocks(model: Any) -> None:
    from ai_edge_litert import schema_py_generated as schema

    quantization = schema.QuantizationParametersT()
    quantization.detailsType, quantization.details = 2, schema.BlockwiseQuantizationT()
    model.subgraphs[0].tensors[1].quantization = quantization


def _options_elsewhere(model: Any) -> None:
    operator = model.subgraphs[0].operators[0]
    operator.largeCustomOptionsOffset, operator.largeCustomOptionsSize = 8, 1 << 40


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_options_elsewhere, "an operator's options reach beyond the end of the file"),
        (_outside, "the data of tensor 'w' is in another file"),
        (_nameless, "a custom operator has no name"),
        (_of_no_type, r"tensor 'w' is of an unknown type \(99\)"),
        (_of_no_buffer, "tensor 'w' names a buffer that does not exist"),
        (_in_blocks, "tensor 'w' is quantized in a way that is not known here"),
    ],
)
def test_what_cannot_be_read_is_refused(change: Callable[[Any], None], message: str) -> None:
    with pytest.raises(ModelFileError, match=message):
        parse(_model(change))


def test_what_exists_is_not_refused() -> None:
    assert parse(_model(lambda model: _graph_gives(model, 0))).outputs == (0,)
    assert parse(_model(lambda model: _buffer_lies_at(model, 100))).tensors[1].buffer == 24


def test_a_vector_that_reaches_beyond_the_file_is_refused() -> None:
    raw = _small_model()
    weights = (24).to_bytes(4, "little") + bytes(24)
    assert raw.count(weights) == 1
    at = raw.index(weights)
    for length in (len(raw) - at - 3, 1 << 31):
        damaged = raw[:at] + length.to_bytes(4, "little") + raw[at + 4 :]
        with pytest.raises(ModelFileError, match="a vector reaches beyond the end of the file"):
            parse(damaged)


def test_an_offset_to_before_the_file_is_refused() -> None:
    raw = bytearray(_small_model())
    root = int.from_bytes(raw[:4], "little")
    # To its description, backwards; Python itself would count from the end of the file.
    raw[root : root + 4] = (root + 8).to_bytes(4, "little")
    with pytest.raises(ModelFileError, match="an offset points outside the file"):
        parse(bytes(raw))


@settings(max_examples=300)
@given(data=st.data())
def test_damage_is_reported_and_never_crashes(data: st.DataObject) -> None:
    raw = bytearray(_small_model())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    damaged = bytes(raw[: data.draw(st.integers(0, len(raw)))])
    try:
        parse(damaged)
    except ModelFileError as error:
        assert "\n" not in str(error)


@given(st.binary(max_size=200))
def test_noise_is_refused(noise: bytes) -> None:
    with pytest.raises(ModelFileError):
        parse(noise)


def test_real_foreign_models_are_read(shared: Path) -> None:
    for name in ("mobilenet_v2_1.0_224_quant.tflite", "tf2_mobilenet_v2_1.0_224_ptq.tflite"):
        model = read_model(shared / "models" / name)
        assert model.manifest is None
        assert model.graph.operator_counts()["CONV_2D"] == 36
        assert model.labels is not None
        assert len(model.labels) == 1001
