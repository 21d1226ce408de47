import io
import os
import resource
import subprocess
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.errors import ModelFileError
from edgekit.inference.classifier import Classifier
from edgekit.inference.runtimes import choices, installed_runtimes
from edgekit.model import limits
from edgekit.model.container import parse_model, read_model
from tests.tiny import LABELS, tiny_flatbuffer, tiny_model


def test_a_converted_model_says_what_it_is(converted: Path) -> None:
    model = read_model(converted)
    assert model.manifest is not None
    assert model.manifest.arch == "resnet18"
    assert model.labels is not None
    assert model.labels[:2] == ["ball", "banana"]


def test_ordinary_tools_open_it(converted: Path) -> None:
    with zipfile.ZipFile(converted) as archive:
        assert archive.read("labels.txt").decode().splitlines()[0] == "ball"
        assert archive.testzip() is None


def test_every_installed_runtime_opens_it(converted: Path) -> None:
    assert installed_runtimes()
    for runtime in installed_runtimes():
        assert runtime in choices()
        assert Classifier.open(converted, runtime=runtime).runtime_name == runtime


@pytest.mark.parametrize("where", [0.001, 0.3, 0.9])
def test_a_single_changed_byte_is_noticed(converted: Path, tmp_path: Path, where: float) -> None:
    content = bytearray(converted.read_bytes())
    content[int(len(read_model(converted).flatbuffer) * where)] ^= 0x55
    damaged = tmp_path / "damaged.tflite"
    damaged.write_bytes(content)
    with pytest.raises(ModelFileError, match="is not a usable model"):
        read_model(damaged)


@pytest.mark.parametrize("part", [0.0, 0.1, 0.9, 0.99999])
def test_a_cut_off_file_is_noticed(converted: Path, tmp_path: Path, part: float) -> None:
    content = converted.read_bytes()
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(ModelFileError):
        model = read_model(cut)
        # Cut within the zip, what is left is a whole flatbuffer, but no longer one of ours.
        if model.manifest is None:
            raise ModelFileError("no manifest")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="nowhere"):
        read_model(tmp_path / "nowhere.tflite")


def test_unzip_reads_it(converted: Path) -> None:
    try:
        done = subprocess.run(
            ["unzip", "-p", str(converted), "labels.txt"], capture_output=True, check=False
        )
    except FileNotFoundError:
        pytest.skip("unzip is not installed")
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode().splitlines()[0] == "ball"


def _with(manifest: bytes, labels: bytes = LABELS) -> bytes:
    file = io.BytesIO(tiny_flatbuffer())
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("edgekit.json", manifest)
        archive.writestr("labels.txt", labels)
    return file.getvalue()


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (b"[" * 100_000, "its manifest nests deeper than 32 levels"),
        (b'{"schema":' + b"[" * 33 + b"]" * 33 + b"}", "its manifest nests deeper than 32 levels"),
        (b'{"schema": "\\\\", "x": ' + b"[" * 33, "its manifest nests deeper than 32 levels"),
        (b'{"schema": 2, "arch": "\xff"}', "its manifest is not valid JSON"),
        (b"\xff\xfe", "its manifest is not valid JSON"),
        (b"", "its manifest is not valid JSON"),
        (b"[]", "its manifest is not valid JSON"),
        (
            b'{"schema": 9}',
            "its manifest is of schema 9, this edgekit reads 2 to 3; update edgekit",
        ),
        (b'{"schema": "\\u001b[2J\\n"}', r"its manifest is of schema \[2J, this"),
        (b'{"schema": ' + b"9" * 5000 + b"}", "its manifest is"),
        (b'{"schema": 2, "arch": "\\ud800"}', "its manifest is"),
        (b'{"schema": 2}', "its manifest is damaged"),
        (b" " * (limits.MANIFEST_BYTES + 1), "bytes in 'edgekit.json'; at most 262,144 are read"),
    ],
)
def test_a_manifest_from_anywhere_is_refused_in_one_line(manifest: bytes, message: str) -> None:
    with pytest.raises(ModelFileError, match=message) as caught:
        parse_model(Path("m"), _with(manifest))
    assert str(caught.value).isprintable()


def test_brackets_in_the_texts_of_a_manifest_are_no_levels() -> None:
    with pytest.raises(ModelFileError, match="its manifest is damaged"):
        parse_model(Path("m"), _with(b'{"schema": 2, "arch": "' + b'[\\"{' * 50 + b'"}'))


def test_what_is_no_file_of_bytes_is_refused_at_once(tmp_path: Path) -> None:
    pipe, loop, large = tmp_path / "pipe", tmp_path / "loop", tmp_path / "large"
    os.mkfifo(pipe)
    loop.symlink_to(loop)
    with large.open("wb") as stream:
        stream.truncate(limits.FILE_BYTES + 1)  # No block of it is on the disk.
    for path, reason in (
        (pipe, "is not a regular file"),
        (Path("/dev/zero"), "is not a regular file"),
        (tmp_path, "is not a regular file"),
        (loop, "Too many levels of symbolic links"),
        (large, "File too large"),
        (tmp_path / "a\0b", r"(open: )?embedded null"),
    ):
        with pytest.raises(ModelFileError, match=f"cannot read the model .*: {reason}"):
            read_model(path)


def test_a_link_to_a_model_is_followed(tmp_path: Path) -> None:
    (tmp_path / "current").symlink_to(tiny_model(tmp_path / "m.tflite"))
    assert read_model(tmp_path / "current").classes == 3


@settings(max_examples=200)
@given(data=st.data())
def test_damage_anywhere_raises_nothing_else(data: st.DataObject) -> None:
    raw = bytearray(_with(b'{"schema": 2}'[: data.draw(st.integers(0, 13))]))
    for _ in range(data.draw(st.integers(1, 6))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        parse_model(Path("m"), bytes(raw[: data.draw(st.integers(0, len(raw)))]))
    except ModelFileError as error:
        assert str(error).isprintable()


def test_tensors_that_share_their_scales_cost_no_more_than_the_limits() -> None:
    """The description of a shared vector is small; what an interpreter makes of it is not."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    builder = flatbuffers.Builder(1 << 16)
    schema.QuantizationParametersStartScaleVector(builder, 5000)
    for _ in range(5000):
        builder.PrependFloat32(1.0)
    scales = builder.EndVector()
    schema.QuantizationParametersStart(builder)
    schema.QuantizationParametersAddScale(builder, scales)
    quantization = schema.QuantizationParametersEnd(builder)
    schema.TensorStart(builder)
    schema.TensorAddQuantization(builder, quantization)
    tensor = schema.TensorEnd(builder)
    schema.SubGraphStartTensorsVector(builder, 5000)
    for _ in range(5000):
        builder.PrependUOffsetTRelative(tensor)
    tensors = builder.EndVector()
    schema.SubGraphStart(builder)
    schema.SubGraphAddTensors(builder, tensors)
    graph = schema.SubGraphEnd(builder)
    schema.ModelStartSubgraphsVector(builder, 1)
    builder.PrependUOffsetTRelative(graph)
    graphs = builder.EndVector()
    schema.ModelStart(builder)
    schema.ModelAddVersion(builder, 3)
    schema.ModelAddSubgraphs(builder, graphs)
    builder.Finish(schema.ModelEnd(builder), b"TFL3")
    raw = bytes(builder.Output())
    assert len(raw) < 50_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ModelFileError, match="numbers in lists; at most 2,097,152 are read"):
        parse_model(Path("m"), raw)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150 << 10
