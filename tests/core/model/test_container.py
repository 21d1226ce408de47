import subprocess
import zipfile
from pathlib import Path

import pytest

from edgekit.errors import ModelFileError
from edgekit.inference.classifier import Classifier
from edgekit.inference.runtimes import choices, installed_runtimes
from edgekit.model.container import read_model


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
