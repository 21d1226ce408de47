from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.errors import ModelFileError
from edgekit.model.container import read_model
from edgekit.model.flatbuffer import parse
from edgekit.model.schema import OPERATORS, TENSOR_TYPES

# One FULLY_CONNECTED with a 2x3 weight, built once for all examples.
_SMALL: list[bytes] = []


def _small_model() -> bytes:
    if not _SMALL:
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
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        _SMALL.append(bytes(builder.Output()))
    return _SMALL[0]


def test_names_are_those_of_the_schema() -> None:
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    for name, number in vars(schema.BuiltinOperator).items():
        if isinstance(number, int) and not name.startswith("_"):
            assert OPERATORS[number] == name
    for name, number in vars(schema.TensorType).items():
        if isinstance(number, int) and not name.startswith("_"):
            assert TENSOR_TYPES[number] == name.lower()


def test_a_small_model_is_read() -> None:
    graph = parse(_small_model())
    assert graph.operator_counts() == {"FULLY_CONNECTED": 1}
    assert graph.tensors[1].shape == (2, 3)
    assert graph.parameters() == 6


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
