import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from edgekit_convert.architectures import ARCHITECTURES

from demo.fixtures import Material
from edgekit.modelfile import read_model
from tests.conftest import Edgekit, failure

BASE = ("convert", "--arch", "18", "--int8", "--size", "64", "--crop", "1")


def _state(material: Material) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(material.checkpoint, weights_only=True)
    return state


def test_every_stage_agrees_with_pytorch(converted: Path) -> None:
    manifest = read_model(converted).manifest
    assert manifest is not None
    stages = {stage.stage: stage for stage in manifest.fidelity.stages}
    assert list(stages) == ["pytorch", "folded", "onnx", "tflite-float", "tflite-int8"]
    for name in ("folded", "onnx", "tflite-float"):
        assert stages[name].agreement == 1
        snr = stages[name].snr_db
        # The border and both foldings are exact: only the order of additions differs.
        assert snr is None or snr > 90
    original, final = stages["pytorch"].top1, stages["tflite-int8"].top1
    assert original is not None
    assert final is not None
    assert final >= 0.99 * original
    assert stages["tflite-int8"].agreement >= 0.98


def test_provenance_is_recorded(converted: Path, material: Material) -> None:
    manifest = read_model(converted).manifest
    assert manifest is not None
    assert manifest.weights == material.checkpoint.name
    assert manifest.quantisation.images == 210
    assert manifest.tools["onnx2tf"]


def test_converting_again_gives_the_same_bytes(
    converted: Path, material: Material, edgekit: Edgekit, tmp_path: Path
) -> None:
    output = tmp_path / "again.tflite"
    done = edgekit(
        *BASE, "--weights", material.checkpoint, "--classes", material.classes,
        "--calibration", material.calibration, "--output", output, "--json",
    )  # fmt: skip
    assert json.loads(done.stdout)["fidelity"]["pictures"] == "calibration"
    assert read_model(output).flatbuffer == read_model(converted).flatbuffer


def test_a_video_calibrates_too(material: Material, edgekit: Edgekit, tmp_path: Path) -> None:
    output = tmp_path / "video.tflite"
    done = edgekit(
        *BASE, "--weights", material.checkpoint, "--classes", material.classes,
        "--calibration", material.clip, "--output", output,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    manifest = read_model(output).manifest
    assert manifest is not None
    assert manifest.quantisation.images == 480


def test_the_gate_refuses_a_model_that_lost_accuracy(
    material: Material, edgekit: Edgekit, tmp_path: Path
) -> None:
    # A logit far below all others stretches their range: 8 bits cannot tell the rest apart.
    state = _state(material)
    state["fc.weight"][0] = -20.0
    torch.save(state, tmp_path / "spoilt.pth")
    options = (
        *BASE, "--weights", tmp_path / "spoilt.pth", "--classes", material.classes,
        "--calibration", material.calibration, "--output", tmp_path / "out.tflite",
    )  # fmt: skip
    assert "stage tflite-int8 agrees" in failure(edgekit(*options), code=3)
    assert not (tmp_path / "out.tflite").exists()
    assert edgekit(*options, "--allow-loss").returncode == 0
    manifest = read_model(tmp_path / "out.tflite").manifest
    assert manifest is not None
    assert manifest.fidelity.loss_allowed


class TestBadInput:
    """One line that says what is wrong, and no file."""

    def _fail(self, edgekit: Edgekit, folder: Path, *options: str | Path) -> str:
        output = folder / "never.tflite"
        line = failure(edgekit(*BASE, *options, "--output", output))
        assert not list(folder.glob("*never*"))
        return line

    def test_weights_that_cannot_be_downloaded(
        self, edgekit: Edgekit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TORCH_HOME", str(tmp_path / "empty"))
        monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
        assert "--weights FILE" in self._fail(edgekit, tmp_path)

    @pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", b"no checkpoint"])
    def test_a_file_that_is_no_checkpoint(
        self, edgekit: Edgekit, tmp_path: Path, content: bytes
    ) -> None:
        (tmp_path / "x.pth").write_bytes(content)
        line = self._fail(edgekit, tmp_path, "--weights", tmp_path / "x.pth")
        assert "is not a PyTorch checkpoint" in line

    def test_a_pickle_that_runs_code(self, edgekit: Edgekit, tmp_path: Path) -> None:
        torch.save(ARCHITECTURES["18"].build(2), tmp_path / "whole.pth")
        line = self._fail(edgekit, tmp_path, "--weights", tmp_path / "whole.pth")
        assert "torch.save(model.state_dict(), FILE)" in line

    def test_another_architecture(self, edgekit: Edgekit, tmp_path: Path) -> None:
        torch.save(ARCHITECTURES["50"].build(2).state_dict(), tmp_path / "50.pth")
        line = self._fail(edgekit, tmp_path, "--weights", tmp_path / "50.pth")
        assert "layer1.0.conv3.weight" in line
        assert "it fits --arch 50" in line

    def test_values_that_are_not_finite(
        self, edgekit: Edgekit, tmp_path: Path, material: Material
    ) -> None:
        state = _state(material)
        state["layer2.0.conv1.weight"][0, 0, 0, 0] = float("nan")
        torch.save(state, tmp_path / "nan.pth")
        line = self._fail(edgekit, tmp_path, "--weights", tmp_path / "nan.pth")
        assert "layer2.0.conv1.weight" in line

    def test_classes_and_calibration(
        self, edgekit: Edgekit, tmp_path: Path, material: Material
    ) -> None:
        weights = ("--weights", material.checkpoint)
        (tmp_path / "two.txt").write_text("one\ntwo\n")
        (tmp_path / "none").mkdir()
        (tmp_path / "bad.avi").write_text("not a video")
        cases = [
            ((), "--classes FILE"),
            (("--classes", tmp_path / "two.txt"), "2 class names, but the model has 7"),
            (("--classes", tmp_path / "nowhere"), "cannot read labels"),
            (("--classes", material.classes), "--calibration"),
            (("--classes", material.classes, "--calibration", tmp_path / "none"), "no images"),
            (("--classes", material.classes, "--calibration", tmp_path / "bad.avi"), "video"),
        ]
        for options, expected in cases:
            assert expected in self._fail(edgekit, tmp_path, *weights, *options)

    def test_an_output_that_cannot_be_written(self, edgekit: Edgekit, tmp_path: Path) -> None:
        done = edgekit(*BASE, "--weights", "x", "--output", tmp_path / "no" / "x.tflite")
        assert "does not exist" in failure(done)

    @pytest.mark.parametrize(
        "options",
        [("--mean", "1,2"), ("--std", "0,1,1"), ("--crop", "0"), ("--size", "7")],
    )
    def test_wrong_usage(self, edgekit: Edgekit, options: tuple[str, str]) -> None:
        done = edgekit(*BASE, *options)
        assert done.returncode == 2
        assert options[0] in done.stderr


def test_interruption_leaves_nothing(material: Material, tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "edgekit", *BASE, "--weights", str(material.checkpoint),
        "--classes", str(material.classes), "--calibration", str(material.calibration),
        "--output", str(tmp_path / "out.tflite"),
    ]  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("exporting to ONNX"):
                process.send_signal(signal.SIGINT)
                break
        rest = process.stderr.read()
    assert process.returncode == 130
    assert "Traceback" not in rest
    assert not list(tmp_path.iterdir())
