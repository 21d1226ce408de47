"""What another Python converts, with other tools, is what this one does."""

import json
import subprocess
from pathlib import Path

import onnx
import pytest

from demo.fixtures import Material
from edgekit.model.container import read_model
from tests.conftest import LENIENT
from tests.integration.newer_python import command_of, newer_python


@pytest.fixture(scope="session")
def newer() -> Path:
    """The command in an environment of a newer Python."""
    python = newer_python()
    if python is None:
        pytest.skip("there is no Python that has newer tools than this one")
    return command_of(python)


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
