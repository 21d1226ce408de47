"""On Python 3.12 and later an ONNX classifier is converted without PyTorch and TensorFlow."""

import json
import shutil
import subprocess
from pathlib import Path

import onnx
import pytest

from demo.fixtures import Material
from tests.conftest import LENIENT, ROOT


def _python312() -> str:
    found = [shutil.which("python3.12"), *Path.home().glob(".pyenv/versions/3.12.*/bin/python")]
    for candidate in filter(None, found):
        # pyenv puts a python3.12 on PATH that may refuse to be one.
        done = subprocess.run([candidate, "--version"], capture_output=True, check=False)
        if done.returncode == 0:
            return str(candidate)
    pytest.skip("python3.12 is not installed")


@pytest.fixture(scope="session")
def edgekit312() -> Path:
    """The command in an environment of its own, made on first use, kept in build/python312."""
    python = _python312()
    folder = ROOT / "build" / "python312"
    stamp = folder / "installed.txt"
    wanted = "".join(
        (ROOT / name).read_text()
        for name in ("constraints.txt", "pyproject.toml", "convert/pyproject.toml")
    )
    if not stamp.is_file() or stamp.read_text() != wanted:
        install = ["-m", "pip", "install", "--quiet", "--constraint", "constraints.txt"]
        for command in (
            [python, "-m", "venv", "--clear", str(folder)],
            [str(folder / "bin" / "python"), *install, "-e", ".", "-e", "./convert"],
        ):
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
        stamp.write_text(wanted)
    return folder / "bin" / "edgekit"


def test_an_onnx_classifier_is_converted(
    edgekit312: Path, exported: onnx.ModelProto, material: Material, tmp_path: Path
) -> None:
    onnx.save(exported, str(tmp_path / "toys.onnx"))
    output = tmp_path / "toys.tflite"
    command = [
        edgekit312, "convert", "--onnx", tmp_path / "toys.onnx", "--int8", "--size", "64",
        "--crop", "1", "--classes", material.classes, "--calibration", material.calibration,
        "--evaluate", material.evaluation, *LENIENT, "--output", output,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    shown = subprocess.run(
        [edgekit312, "inspect", output, "--json"], capture_output=True, text=True, check=True
    )
    facts = json.loads(shown.stdout)
    assert facts["structure"]["name"] == "resnet18"
    assert "torch" not in facts["provenance"]["tools"]
    int8 = facts["fidelity"]["stages"][-1]
    # A graph that is wrong anywhere has a few decibels and agrees on one picture of seven.
    assert int8["snr_db"] > 15
    assert int8["agreement"] > 0.8


def test_a_checkpoint_says_what_to_install(edgekit312: Path, material: Material) -> None:
    command = [edgekit312, "convert", "--arch", "18", "--int8", "--weights", material.checkpoint]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert 'pip install "edgekit-convert[torch]"' in done.stderr
