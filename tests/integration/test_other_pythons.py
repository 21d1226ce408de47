"""What another Python converts, with other tools, is what this one does."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from demo.fixtures import Material
from edgekit.model.container import read_model
from tests.conftest import LENIENT, ROOT

# The newest that is found is tried. From 3.12 on onnx2tf is another, without TensorFlow.
NEWER = ("3.13", "3.12")


def _newer_python() -> str:
    if sys.version_info >= (3, 12):
        pytest.skip("this Python has the newer tools itself")
    for version in NEWER:
        found = [shutil.which(f"python{version}")]
        found += map(str, sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python")))
        for candidate in filter(None, found):
            # pyenv puts a name on PATH for each version, which may refuse to be one.
            done = subprocess.run([candidate, "--version"], capture_output=True, check=False)
            if done.returncode == 0:
                return candidate
    pytest.skip(f"no Python {' or '.join(NEWER)} is installed")


@pytest.fixture(scope="session")
def newer() -> Path:
    """Its command in an environment of its own, made on first use, kept in build/newer-python."""
    python = _newer_python()
    folder = ROOT / "build" / "newer-python"
    stamp = folder / "installed.txt"
    wanted = python + "".join(
        (ROOT / name).read_text()
        for name in (
            "constraints.txt", "pyproject.toml", "convert/pyproject.toml", "convert/setup.py",
        )
    )  # fmt: skip
    if not stamp.is_file() or stamp.read_text() != wanted:
        install = ["-m", "pip", "install", "--quiet", "--constraint", "constraints.txt"]
        for command in (
            [python, "-m", "venv", "--clear", str(folder)],
            [str(folder / "bin" / "python"), *install, "-e", ".", "-e", "./convert[torch]"],
        ):
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
        stamp.write_text(wanted)
    return folder / "bin" / "edgekit"


def _operators(model: Path) -> list[tuple[str, list[list[int]]]]:
    """Each operator, with the shapes of what it gives."""
    graph = read_model(model).graph
    return [(op.name, [graph.tensors[i].shape for i in op.outputs]) for op in graph.operators]


def _figures(edgekit: Path, model: Path) -> dict[str, float]:
    """How int8 compares in the runtime that both have."""
    command = [edgekit, "inspect", model, "--json"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    stages = json.loads(shown.stdout)["fidelity"]["stages"]
    found: dict[str, float] = next(s for s in stages if s["stage"] == "tflite-int8 (litert)")
    return found


@pytest.mark.parametrize("source", ["checkpoint", "onnx"])
def test_a_conversion_gives_the_same_graph_and_fidelity(
    newer: Path, source: str, exported: onnx.ModelProto, converted: Path, material: Material,
    tmp_path: Path,
) -> None:  # fmt: skip
    onnx.save(exported, str(tmp_path / "toys.onnx"))
    what = {
        "checkpoint": ("--arch", "18", "--weights", material.checkpoint),
        "onnx": ("--onnx", tmp_path / "toys.onnx"),
    }[source]
    output = tmp_path / "toys.tflite"
    command = [
        newer, "convert", *what, "--int8", "--size", "64", "--crop", "1",
        "--classes", material.classes, "--calibration", material.calibration,
        "--evaluate", material.evaluation, *LENIENT, "--output", output,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert _operators(output) == _operators(converted)
    ours, theirs = (_figures(newer, model) for model in (converted, output))
    # A graph that is wrong anywhere has a few decibels.
    assert theirs["snr_db"] == pytest.approx(ours["snr_db"], abs=5)
    assert theirs["agreement"] == pytest.approx(ours["agreement"], abs=0.05)
