"""`edgekit convert` as a user runs it."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from edgekit_convert.pipeline import check_structure
from edgekit_convert.weights.architectures import ARCHITECTURES
from torch import nn

from demo.fixtures import Material
from edgekit.errors import ConversionError
from edgekit.inference.runtimes import installed_runtimes
from edgekit.model.container import read_model
from tests.conftest import Edgekit, failure
from tests.convert.weights.test_checkpoint import network

SMALL = ("--int8", "--size", "64", "--crop", "1")
BASE = ("convert", "--arch", "18", *SMALL)


def _state(material: Material) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(material.checkpoint, weights_only=True)
    return state


def _report(model: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(model.with_suffix(".report.json").read_text())
    return report


def test_every_stage_agrees_with_pytorch(converted: Path) -> None:
    manifest = read_model(converted).manifest
    assert manifest is not None
    stages = {stage.stage: stage for stage in manifest.fidelity.stages}
    int8 = [f"tflite-int8 ({runtime})" for runtime in installed_runtimes()]
    assert list(stages) == ["pytorch", "onnx", "folded", "tflite-float", *int8]
    for name in ("onnx", "folded", "tflite-float"):
        assert stages[name].agreement == 1
        snr = stages[name].snr_db
        # The border and both foldings are exact: only the order of additions differs.
        assert snr is None or snr > 90
    original = stages["pytorch"]
    assert original.top1 is not None
    for name in int8:
        top1 = stages[name].top1
        assert top1 is not None
        assert top1 >= 0.97 * original.top1
        assert stages[name].agreement >= 0.96
    assert stages[int8[0]].agreement >= 0.98
    assert stages[int8[0]].images == original.images == 280


def test_provenance_is_recorded(converted: Path, material: Material) -> None:
    manifest = read_model(converted).manifest
    assert manifest is not None
    assert manifest.weights == material.checkpoint.name
    assert manifest.head == "Linear(512, 7)"
    assert manifest.quantization.images == 210
    assert manifest.quantization.calibration == "pictures"
    assert manifest.tools["onnx2tf"]


def test_the_report_lies_beside_the_model(converted: Path) -> None:
    report = _report(converted)
    assert report["written"] and report["gate"]["passed"]
    assert report["architecture"][0].startswith("stem: 7x7")
    assert sum(candidate["chosen"] for candidate in report["candidates"]) == 1
    assert [layer["name"] for layer in report["layers"]][:3] == [
        "conv1",
        "maxpool",
        "layer1.0.conv1",
    ]
    assert report["memory"]["peak_bytes"] > report["memory"]["file_bytes"]
    page = converted.with_suffix(".report.html").read_text()
    assert "layer4.1.conv2" in page


def test_converting_again_gives_the_same_bytes(
    converted: Path, material: Material, edgekit: Edgekit, tmp_path: Path
) -> None:
    output = tmp_path / "again.tflite"
    done = edgekit(
        *BASE, "--weights", material.checkpoint, "--classes", material.classes,
        "--calibration", material.calibration, "--output", output, "--json",
    )  # fmt: skip
    # Measured on other pictures, without --evaluate: those held out when the recipe was chosen.
    fidelity = json.loads(done.stdout)["fidelity"]
    assert fidelity["pictures"] == "calibration"
    assert fidelity["stages"][0]["images"] == 42
    assert read_model(output).flatbuffer == read_model(converted).flatbuffer


def test_a_video_calibrates_too(material: Material, edgekit: Edgekit, tmp_path: Path) -> None:
    output = tmp_path / "video.tflite"
    done = edgekit(
        *BASE, "--weights", material.checkpoint, "--classes", material.classes,
        "--calibration", material.clip, "--output", output, "--io", "float32",
        # Toys half in view are held out, too; on these the answers are close calls.
        "--min-agreement", "0.9",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    model = read_model(output)
    assert model.manifest is not None
    assert model.manifest.quantization.images == 480
    facts = json.loads(edgekit("inspect", output, "--json").stdout)
    assert (facts["input"]["dtype"], facts["output"]["dtype"]) == ("float32", "float32")
    assert edgekit("run", "--model", output, "--source", material.clip).returncode == 0


def test_without_pictures_the_file_is_marked_data_free(
    material: Material, edgekit: Edgekit, tmp_path: Path
) -> None:
    output = tmp_path / "free.tflite"
    done = edgekit(
        *BASE, "--weights", material.checkpoint, "--classes", material.classes,
        "--evaluate", material.evaluation, "--output", output,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "data-free" in done.stdout
    assert "data-free" in edgekit("inspect", output).stdout
    assert "data-free" in output.with_suffix(".report.html").read_text()
    stages = _report(output)["fidelity"]["stages"]
    assert stages[4]["top1"] >= stages[0]["top1"] - 0.02


def test_a_custom_head_on_another_resnet_for_the_edge_tpu(
    edgekit: Edgekit, material: Material, tmp_path: Path
) -> None:
    head = nn.Sequential(nn.Linear(512, 100), nn.ReLU(), nn.Dropout(0.5), nn.Linear(100, 7))
    torch.save({"state_dict": network("34", head).state_dict()}, tmp_path / "34.pth")
    output = tmp_path / "34.tflite"
    done = edgekit(
        "convert", "--arch", "34", *SMALL, "--weights", tmp_path / "34.pth", "--target",
        "coral-dev-board", "--classes", material.classes, "--calibration", material.calibration,
        "--output", output, "--allow-loss",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    facts = json.loads(edgekit("inspect", output, "--json").stdout)
    assert facts["structure"]["name"] == "resnet34"
    parts = facts["structure"]["parts"]
    assert parts[0] == "normalization: 1x1 convolution"
    assert parts[-1] == "head: global average pooling; Linear(512, 100), Linear(100, 7); softmax"
    preflight = _report(output)["edgetpu"]
    assert preflight["refusals"] == []
    assert preflight["mapped"] == preflight["operators"]
    assert _report(output)["memory"]["target"] == "coral-dev-board"


@pytest.fixture(scope="module")
def classifier(exported: onnx.ModelProto, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's network as an ONNX file."""
    file = tmp_path_factory.mktemp("onnx") / "toys.onnx"
    onnx.save(exported, str(file))
    return file


def test_an_onnx_classifier_in_place_of_a_checkpoint(
    classifier: Path, converted: Path, edgekit: Edgekit, material: Material, tmp_path: Path
) -> None:
    output = tmp_path / "onnx.tflite"
    done = edgekit(
        "convert", "--onnx", classifier, *SMALL, "--classes", material.classes,
        "--calibration", material.calibration, "--output", output,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    manifest = read_model(output).manifest
    assert manifest is not None
    assert (manifest.arch, manifest.weights) == ("onnx", "toys.onnx")
    assert [stage.stage for stage in manifest.fidelity.stages][:2] == ["onnx", "folded"]
    # The same network by another way is the same file.
    assert read_model(output).flatbuffer[-10_000:] == read_model(converted).flatbuffer[-10_000:]


@pytest.fixture(scope="module")
def options(
    material: Material, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, tuple[str | Path, ...]]:
    """An output, and the arguments of a conversion to it that the gate refuses."""
    # A logit far below all others stretches their range: 8 bits cannot tell the rest apart.
    folder = tmp_path_factory.mktemp("gate")
    state = _state(material)
    state["fc.weight"][0] = -2000.0
    torch.save(state, folder / "spoilt.pth")
    return folder / "out.tflite", (
        *BASE, "--weights", folder / "spoilt.pth", "--classes", material.classes,
        "--calibration", material.calibration, "--output", folder / "out.tflite",
    )  # fmt: skip


class TestGate:
    def test_it_refuses_a_model_that_lost_accuracy_and_keeps_the_report(
        self, options: tuple[Path, tuple[str | Path, ...]], edgekit: Edgekit
    ) -> None:
        output, arguments = options
        line = failure(edgekit(*arguments), code=3)
        assert "stage tflite-int8 (litert) agrees" in line
        assert "out.report.html" in line
        assert not output.exists()
        report = _report(output)
        assert not report["written"] and not report["gate"]["passed"]
        assert report["disagreement_count"] > 0

    def test_a_loss_that_is_allowed_is_recorded(
        self, options: tuple[Path, tuple[str | Path, ...]], edgekit: Edgekit
    ) -> None:
        output, arguments = options
        assert edgekit(*arguments, "--allow-loss").returncode == 0
        manifest = read_model(output).manifest
        assert manifest is not None
        assert manifest.fidelity.loss_allowed
        assert "loss allowed" in edgekit("inspect", output).stdout


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

    @pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", b"no checkpoint", b"a\nb\n"])
    def test_a_file_that_is_no_checkpoint(
        self, edgekit: Edgekit, tmp_path: Path, content: bytes
    ) -> None:
        (tmp_path / "x.pth").write_bytes(content)
        line = self._fail(edgekit, tmp_path, "--weights", tmp_path / "x.pth")
        assert "is not a PyTorch checkpoint" in line

    def test_a_pickle_that_runs_code(self, edgekit: Edgekit, tmp_path: Path) -> None:
        torch.save(network("18"), tmp_path / "whole.pth")
        line = self._fail(edgekit, tmp_path, "--weights", tmp_path / "whole.pth")
        assert "torch.save(model.state_dict(), FILE)" in line

    def test_another_architecture(self, edgekit: Edgekit, tmp_path: Path) -> None:
        torch.save(network("50").state_dict(), tmp_path / "50.pth")
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

    def test_variances_that_no_network_has(
        self, edgekit: Edgekit, tmp_path: Path, material: Material
    ) -> None:
        state = _state(material)
        state["bn1.running_var"][:] = -1
        torch.save(state, tmp_path / "negative.pth")
        line = self._fail(
            edgekit, tmp_path, "--weights", tmp_path / "negative.pth",
            "--classes", material.classes, "--calibration", material.calibration,
        )  # fmt: skip
        assert "stage pytorch gives answers that are not finite" in line

    def test_classes_and_calibration(
        self, edgekit: Edgekit, tmp_path: Path, material: Material
    ) -> None:
        weights = ("--weights", material.checkpoint)
        named = (*weights, "--classes", material.classes)
        (tmp_path / "two.txt").write_text("one\ntwo\n")
        (tmp_path / "none").mkdir()
        (tmp_path / "bad.avi").write_text("not a video")
        cases = [
            (weights, "--classes FILE"),
            ((*weights, "--classes", tmp_path / "two.txt"), "2 class names, but the model has 7"),
            ((*weights, "--classes", tmp_path / "nowhere"), "cannot read labels"),
            ((*named, "--calibration", tmp_path / "none"), "no images"),
            ((*named, "--calibration", tmp_path / "bad.avi"), "video"),
        ]
        for options, expected in cases:
            assert expected in self._fail(edgekit, tmp_path, *options)

    def test_pictures_that_calibrate_and_evaluate(
        self, edgekit: Edgekit, tmp_path: Path, material: Material
    ) -> None:
        line = self._fail(
            edgekit, tmp_path, "--weights", material.checkpoint,
            "--classes", material.classes, "--calibration", material.calibration,
            "--evaluate", material.calibration,
        )  # fmt: skip
        assert "210 evaluation pictures are calibration pictures too" in line

    def test_a_model_too_large_for_its_device(
        self, edgekit: Edgekit, tmp_path: Path, material: Material
    ) -> None:
        line = self._fail(
            edgekit, tmp_path, "--weights", material.checkpoint, "--size", "1024",
            "--classes", material.classes, "--target", "pi-zero-2w",
        )  # fmt: skip
        assert "--size" in line and "pi-zero-2w" in line

    def test_onnx_files(
        self, edgekit: Edgekit, tmp_path: Path, material: Material, classifier: Path
    ) -> None:
        (tmp_path / "bad.onnx").write_bytes(b"not ONNX")
        named = ("--classes", material.classes, "--output", tmp_path / "never.tflite")
        cases = [
            (tmp_path / "nowhere.onnx", (), "cannot read the ONNX model"),
            (tmp_path / "bad.onnx", (), "not a usable ONNX model"),
            (classifier, (), "pass --calibration"),
            (classifier, ("--size", "96"), "pass --size 64"),
        ]
        for file, options, expected in cases:
            done = edgekit("convert", "--onnx", file, *SMALL, *named, *options)
            assert expected in failure(done)
        assert not list(tmp_path.glob("*never*"))

    def test_an_output_that_cannot_be_written(self, edgekit: Edgekit, tmp_path: Path) -> None:
        done = edgekit(*BASE, "--weights", "x", "--output", tmp_path / "no" / "x.tflite")
        assert "does not exist" in failure(done)

    @pytest.mark.parametrize(
        ("options", "named"),
        [
            (("--mean", "1,2"), "--mean"),
            (("--std", "0,1,1"), "--std"),
            (("--crop", "0"), "--crop"),
            (("--size", "7"), "--size"),
            (("--weights", "imagenet-v2"), "imagenet-v1"),
            (("--onnx", "x.onnx"), "either --arch"),
            (("--device-memory", "12"), "512M"),
            (("--min-kept", "99"), "--min-kept"),
        ],
    )
    def test_wrong_usage(self, edgekit: Edgekit, options: tuple[str, str], named: str) -> None:
        done = edgekit(*BASE, *options)
        assert done.returncode == 2
        assert named in done.stderr


@pytest.mark.parametrize("way", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("step", ["exporting to ONNX", "lowering to TFLite", "searching"])
def test_interruption_leaves_nothing(
    material: Material, tmp_path: Path, step: str, way: signal.Signals
) -> None:
    (tmp_path / "scratch").mkdir()
    command = [
        sys.executable, "-m", "edgekit", *BASE, "--weights", str(material.checkpoint),
        "--classes", str(material.classes), "--calibration", str(material.calibration),
        "--output", str(tmp_path / "out.tflite"),
    ]  # fmt: skip
    environment = {"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path / "scratch")}
    with subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        # A shell that runs the tests in the background has them ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith(step):
                process.send_signal(way)
                break
        rest = process.stderr.read()
    assert process.returncode == 130
    assert "Traceback" not in rest
    assert [path.name for path in tmp_path.iterdir()] == ["scratch"]
    assert not list((tmp_path / "scratch").glob("edgekit-*"))


def test_the_pictures_of_a_folder_without_labels_measure_agreement(
    material: Material, edgekit: Edgekit, tmp_path: Path
) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for file in sorted(material.evaluation.rglob("*.jpg"))[::10]:
        (pictures / f"{file.parent.name}-{file.name}").write_bytes(file.read_bytes())
    done = edgekit(
        *BASE, "--weights", material.checkpoint, "--classes", material.classes,
        "--calibration", material.calibration, "--evaluate", pictures,
        "--output", tmp_path / "x.tflite", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    stages = json.loads(done.stdout)["fidelity"]["stages"]
    assert stages[0]["top1"] is None
    assert np.isclose(stages[0]["agreement"], 1)


def test_a_flatbuffer_of_another_architecture_is_refused(converted: Path) -> None:
    flatbuffer = read_model(converted).flatbuffer
    check_structure(ARCHITECTURES["18"], flatbuffer)
    with pytest.raises(ConversionError, match="the converted graph is resnet18, not resnet34"):
        check_structure(ARCHITECTURES["34"], flatbuffer)
