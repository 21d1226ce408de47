"""`edgekit convert` as a user runs it.

A conversion takes half a minute, so that a few are shared: each of the fixtures below is one, with
several options at once.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import torch
from click.testing import CliRunner
from edgekit_convert import conversion as steps
from edgekit_convert import summary
from edgekit_convert.graph.execution import tflite_answer
from edgekit_convert.graph.flatbuffer import FlatbufferEditor
from edgekit_convert.pictures import load_calibration
from edgekit_convert.progress import Reporter
from edgekit_convert.request import Request
from edgekit_convert.source_models import Checkpoint
from edgekit_convert.target.compiler import WHERE_FROM
from edgekit_convert.target.metadata import with_metadata
from edgekit_convert.verify.fidelity import Kind
from edgekit_convert.verify.ladder import SAMPLE, Ladder
from edgekit_convert.verify.structure import check_structure
from edgekit_convert.weights.torchvision_shim import import_torchvision
from edgekit_convert.weights.trained import normalize
from torch import nn

from demo.fixtures import Material
from demo.train import GEOMETRY, NORMALIZATION
from edgekit.cli import edgekit as command
from edgekit.errors import ConversionError, FidelityError
from edgekit.inference.interpreter import Interpreter
from edgekit.inference.runtimes import installed_runtimes
from edgekit.model.architectures import ARCHITECTURES
from edgekit.model.container import read_model
from edgekit.model.manifest import Manifest, StageFidelity
from edgekit.model.profile import QUANTILES
from tests.conftest import LENIENT, Conversion, Edgekit, failure
from tests.convert.target.edgetpu_compiler import write_compiler
from tests.convert.toys import noise, normal
from tests.convert.weights.test_checkpoint import network
from tests.signing import NEEDS_SSH_KEYGEN

SMALL = ("--int8", "--size", "64", "--crop", "1")
BASE = ("convert", "--arch", "18", *SMALL)
# A program that has an architecture more than edgekit, and is the command otherwise.
WITH_RESNET26 = """
from edgekit.model.architectures import ARCHITECTURES, Architecture
ARCHITECTURES["26"] = Architecture("26", (2, 2, 2, 2), bottleneck=True)
from edgekit.cli import main
main()
"""


def _state(material: Material) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(material.checkpoint, weights_only=True)
    return state


def _manifest(model: Path) -> Manifest:
    manifest = read_model(model).manifest
    assert manifest is not None
    return manifest


def _stages(model: Path) -> dict[str, StageFidelity]:
    return {stage.stage: stage for stage in _manifest(model).fidelity.stages}


INT8 = [f"tflite-int8 ({runtime})" for runtime in installed_runtimes()]


# Shared conversions ------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def from_video(
    material: Material,
    converted: Path,
    edgekit: Edgekit,
    tmp_path_factory: pytest.TempPathFactory,
) -> Conversion:
    """Calibrated by a video, measured on pictures without labels, float32, for the Edge TPU."""
    folder = tmp_path_factory.mktemp("video")
    pictures = folder / "pictures"
    pictures.mkdir()
    for file in sorted(material.evaluation.rglob("*.jpg"))[::10]:
        (pictures / f"{file.parent.name}-{file.name}").write_bytes(file.read_bytes())
    # What the compiler gives back: one custom operator between the model's own input and output.
    whole = FlatbufferEditor(read_model(converted).flatbuffer)
    operator = whole.add_operator("CUSTOM")
    whole.model.operatorCodes[-1].customCode = b"edgetpu-custom-op"
    operator.inputs, operator.outputs = whole.graph.inputs, whole.graph.outputs
    whole.graph.operators = [operator]
    program = write_compiler(folder / "bin", compiled=whole.pack())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(program.parent), prepend=os.pathsep)
        done = edgekit(
            *BASE, "--weights", material.checkpoint, "--classes", material.classes,
            "--calibration", material.clip, "--evaluate", pictures, "--io", "float32",
            # Toys half in view are held out, too; on these the answers are close calls.
            "--edgetpu", *LENIENT, "--output", folder / "it's a toy.tflite",
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return Conversion(folder / "it's a toy.tflite", done)


@pytest.fixture(scope="session")
def classifier(exported: onnx.ModelProto, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's network as an ONNX file that ends in LogSoftmax, with its weights beside it."""
    file = tmp_path_factory.mktemp("onnx") / "toys.onnx"
    model = onnx.ModelProto()
    model.CopyFrom(exported)
    output = model.graph.output[0]
    ending = onnx.helper.make_node("LogSoftmax", [output.name], ["scores"], axis=1)
    model.graph.node.append(ending)
    output.name = "scores"
    onnx.save(model, str(file), save_as_external_data=True, location="toys.onnx.data")
    return file


@pytest.fixture(scope="session")
def data_free(
    material: Material, classifier: Path, edgekit: Edgekit, tmp_path_factory: pytest.TempPathFactory
) -> Conversion:
    """Without calibration pictures, with class names from the evaluation folders.

    The user's own network is at hand as ONNX.
    """
    model = tmp_path_factory.mktemp("free") / "free.tflite"
    done = edgekit(
        *BASE, "--weights", material.checkpoint, "--evaluate", material.evaluation, *LENIENT,
        "--reference", classifier, "--output", model,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return Conversion(model, done)


@pytest.fixture(scope="session")
def from_onnx(
    classifier: Path, material: Material, edgekit: Edgekit, tmp_path_factory: pytest.TempPathFactory
) -> Conversion:
    """From an ONNX file, without evaluation pictures; the report is printed."""
    model = tmp_path_factory.mktemp("from-onnx") / "onnx.tflite"
    done = edgekit(
        "convert", "--onnx", classifier, *SMALL, "--classes", material.classes,
        "--calibration", material.calibration, *LENIENT, "--json", "--output", model,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return Conversion(model, done)


def _spoil(layer: torch.Tensor) -> None:
    # A logit far below all others stretches their range: 8 bits cannot tell the rest apart.
    layer[0] = -2000.0


@pytest.fixture(scope="session")
def refused(
    material: Material, edgekit: Edgekit, tmp_path_factory: pytest.TempPathFactory
) -> Conversion:
    """One that loses too much."""
    folder = tmp_path_factory.mktemp("refused")
    state = _state(material)
    _spoil(state["fc.weight"])
    torch.save(state, folder / "spoilt.pth")
    done = edgekit(
        *BASE, "--weights", folder / "spoilt.pth", "--classes", material.classes,
        "--calibration", material.calibration, "--output", folder / "out.tflite",
    )  # fmt: skip
    return Conversion(folder / "out.tflite", done)


@pytest.fixture(scope="session")
def allowed(material: Material, tmp_path_factory: pytest.TempPathFactory) -> Conversion:
    """One that loses too much and may, of an added architecture with a head of two layers.

    It is meant for a Coral, where no compiler is installed.
    """
    folder = tmp_path_factory.mktemp("allowed")
    resnet = import_torchvision().models.resnet
    torch.manual_seed(0)
    built = resnet.ResNet(resnet.Bottleneck, [2, 2, 2, 2])
    built.fc = nn.Sequential(nn.Linear(2048, 100), nn.ReLU(), nn.Dropout(0.5), nn.Linear(100, 7))
    state = built.state_dict()
    _spoil(state["fc.3.weight"])
    torch.save({"state_dict": state}, folder / "26.pth")
    arguments = (
        "convert", "--arch", "26", *SMALL, "--weights", folder / "26.pth", "--edgetpu",
        "--target", "coral-dev-board", "--classes", material.classes,
        "--calibration", material.calibration, "--output", folder / "26.tflite", "--allow-loss",
        "--allow-misfit",
    )  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", WITH_RESNET26, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": "/nowhere"},
    )
    assert done.returncode == 0, done.stderr
    return Conversion(folder / "26.tflite", done)


# What comes out ----------------------------------------------------------------------------------


class TestFidelity:
    def test_every_stage_is_measured_beside_pytorch(self, conversion: Conversion) -> None:
        stages = _stages(conversion.model)
        assert list(stages) == ["pytorch", "onnx", "folded", "tflite-float", *INT8]
        images = [stage.images for stage in stages.values()]
        assert images == [280, SAMPLE, SAMPLE, SAMPLE, 280, *[SAMPLE] * (len(INT8) - 1)]
        kinds = ["reference", "float", "float", "float", *["int8"] * len(INT8)]
        assert conversion.report["kinds"] == kinds

    def test_float_stages_compute_the_same_function(self, converted: Path) -> None:
        for name, stage in _stages(converted).items():
            if name in ("onnx", "folded", "tflite-float"):
                assert stage.agreement == 1
                # The border and both foldings are exact: only the order of additions differs.
                assert stage.snr_db is None or stage.snr_db > 90

    @pytest.mark.parametrize("stage", INT8)
    def test_int8_answers_as_pytorch_does_in_every_runtime(
        self, converted: Path, stage: str
    ) -> None:
        figures = _stages(converted)[stage]
        # A graph that is wrong anywhere has a few decibels and agrees on one picture of seven.
        assert figures.snr_db is not None
        assert figures.snr_db > 15
        assert figures.agreement > 0.8

    def test_accuracy_is_of_the_same_pictures_as_agreement(self, converted: Path) -> None:
        for stage in _stages(converted).values():
            assert stage.top1 is not None and stage.top1_interval is not None
            low, high = stage.top1_interval
            assert 0 <= low <= stage.top1 <= high <= 1
        reference, int8 = (_stages(converted)[name] for name in ("pytorch", INT8[0]))
        assert reference.top1 is not None and int8.top1 is not None
        # Only pictures that are answered otherwise can be won or lost.
        assert abs(int8.top1 - reference.top1) <= 1 - int8.agreement + 1e-6

    def test_the_users_own_network_is_the_first_stage(
        self, data_free: Conversion, edgekit: Edgekit
    ) -> None:
        stages = _stages(data_free.model)
        assert list(stages)[:3] == ["reference", "pytorch", "onnx"]
        assert data_free.report["kinds"][:3] == ["reference", "float", "float"]
        snr = stages["pytorch"].snr_db
        assert stages["pytorch"].images == 280
        assert snr is None or snr > 90
        said = "reference is toys.onnx, the user's own network"
        assert said in data_free.done.stdout
        assert said in edgekit("inspect", data_free.model).stdout

    def test_without_evaluation_it_is_that_of_pictures_held_out(
        self, from_onnx: Conversion
    ) -> None:
        fidelity = json.loads(from_onnx.done.stdout)["fidelity"]
        assert fidelity["pictures"] == "calibration"
        assert fidelity["stages"][0]["images"] == 42
        assert fidelity["stages"][0]["top1"] is None

    def test_pictures_without_labels_measure_agreement(self, from_video: Conversion) -> None:
        fidelity = from_video.report["fidelity"]
        assert fidelity["pictures"] == "evaluation"
        assert [stage["top1"] for stage in fidelity["stages"]] == [None] * len(fidelity["stages"])
        assert fidelity["stages"][0]["images"] == 28
        assert "top-1" not in from_video.done.stdout


class TestFile:
    def test_provenance_is_recorded(self, converted: Path, material: Material) -> None:
        manifest = _manifest(converted)
        assert (manifest.arch, manifest.weights) == ("resnet18", material.checkpoint.name)
        assert manifest.head == "Linear(512, 7)"
        assert manifest.quantization.images == 210
        assert manifest.quantization.calibration == "pictures"
        assert {"edgekit", "torch", "onnx2tf"} <= set(manifest.tools)

    def test_what_pictures_and_answers_looked_like_is_recorded(
        self, converted: Path, from_onnx: Conversion, data_free: Conversion, edgekit: Edgekit
    ) -> None:
        models = (converted, from_onnx.model, data_free.model)
        assert [str(_manifest(model).profile) for model in models] == [
            "looks of 490 calibration and evaluation pictures, answers to 280 evaluation pictures",
            "looks of 210 calibration pictures, answers to 210 calibration pictures",
            "looks of 280 evaluation pictures, answers to 280 evaluation pictures",
        ]
        said = f"profile       {_manifest(converted).profile}"
        assert said in edgekit("inspect", converted).stdout.splitlines()

    def test_scores_of_calibration_pictures_are_those_that_the_file_gives(
        self, from_onnx: Conversion, material: Material
    ) -> None:
        pictures = load_calibration(material.calibration, GEOMETRY, lambda done: None).tensors
        interpreter = Interpreter(read_model(from_onnx.model).flatbuffer)
        scores = [interpreter.answer(one[None]).max() for one in pictures]
        profile = _manifest(from_onnx.model).profile
        assert profile is not None and profile.answers is not None
        # Logits behind a corrected output may be a step off.
        expected = np.quantile(scores, np.linspace(0, 1, QUANTILES))
        assert profile.answers.figures["score"] == pytest.approx(expected, abs=0.03)

    def test_how_it_was_fed_is_recorded(
        self, converted: Path, from_onnx: Conversion, data_free: Conversion, allowed: Conversion
    ) -> None:
        models = (converted, from_onnx.model, data_free.model, allowed.model)
        found = [_manifest(model).feeding for model in models]
        verdicts = [one.verdict for one in found if one is not None]
        assert verdicts == ["fits", "unknown", "unknown", "misfit"]
        assert "carries no BatchNorm statistics" in str(found[1])
        assert json.loads(from_onnx.done.stdout)["manifest"]["feeding"]["verdict"] == "unknown"
        assert "are made from the network's BatchNorm statistics" in data_free.done.stdout
        assert "feeding misfit: every BatchNorm layer has the mean 0" in allowed.done.stdout

    def test_an_onnx_classifier_has_no_architecture_by_name(self, from_onnx: Conversion) -> None:
        manifest = _manifest(from_onnx.model)
        assert (manifest.arch, manifest.head, manifest.weights) == ("onnx", "", "toys.onnx")
        assert [stage.stage for stage in manifest.fidelity.stages][:2] == ["onnx", "folded"]
        assert from_onnx.report["kinds"][:2] == ["reference", "float"]

    def test_the_same_network_by_another_way_is_the_same_file(
        self, converted: Path, from_onnx: Conversion
    ) -> None:
        # But for what it is called.
        first, second = (
            with_metadata(read_model(file).flatbuffer, name="", description="")
            for file in (converted, from_onnx.model)
        )
        assert first == second

    def test_an_added_architecture_with_a_head_of_two_layers(
        self, allowed: Conversion, edgekit: Edgekit
    ) -> None:
        manifest = _manifest(allowed.model)
        assert manifest.arch == "resnet26"
        assert manifest.head == "Linear(2048, 100) - ReLU - Dropout - Linear(100, 7)"
        parts = json.loads(edgekit("inspect", allowed.model, "--json").stdout)["structure"]["parts"]
        assert parts == allowed.report["architecture"]
        assert parts[0] == "normalization: 1x1 convolution"
        assert parts[2].startswith("stage 1: 2 bottleneck blocks, 256 channels, 16x16")
        head = "Linear(2048, 100), Linear(100, 7)"
        assert parts[-1] == f"head: global average pooling; {head}; softmax"

    def test_the_video_and_types_that_were_asked_for(
        self, from_video: Conversion, material: Material, edgekit: Edgekit
    ) -> None:
        assert _manifest(from_video.model).quantization.images == 480
        facts = json.loads(edgekit("inspect", from_video.model, "--json").stdout)
        assert (facts["input"]["dtype"], facts["output"]["dtype"]) == ("float32", "float32")
        run = edgekit("run", "--model", from_video.model, "--source", material.clip)
        assert run.returncode == 0

    def test_without_pictures_it_is_marked_data_free(
        self, data_free: Conversion, edgekit: Edgekit
    ) -> None:
        assert "data-free: calibrated on pictures made" in data_free.done.stdout
        assert "data-free" in edgekit("inspect", data_free.model).stdout
        assert "data-free" in data_free.model.with_suffix(".report.html").read_text()
        figures = _stages(data_free.model)[INT8[0]]
        assert figures.snr_db is not None
        assert figures.snr_db > 10

    def test_without_pictures_no_candidate_is_equalized(
        self, conversion: Conversion, data_free: Conversion
    ) -> None:
        assert not any(one["equalised"] for one in data_free.report["candidates"])
        assert any(one["equalised"] for one in conversion.report["candidates"])

    def test_classes_are_named_by_the_folders_of_the_evaluation(
        self, data_free: Conversion, material: Material
    ) -> None:
        assert read_model(data_free.model).labels == material.classes.read_text().splitlines()


class TestReport:
    def test_it_lies_beside_the_model(self, conversion: Conversion) -> None:
        report = conversion.report
        assert report["written"] and report["gate"]["passed"]
        assert (report["gate"]["min_kept"], report["gate"]["min_agreement"]) == (0.8, 0.8)
        assert report["architecture"][0].startswith("stem: 7x7")
        assert sum(candidate["chosen"] for candidate in report["candidates"]) == 1
        names = [layer["name"] for layer in report["layers"]]
        assert names[:3] == ["conv1", "maxpool", "layer1.0.conv1"]
        assert report["memory"]["peak_bytes"] > report["memory"]["file_bytes"]
        assert report["memory"]["target"] == "pi-zero-2w"
        assert report["memory"]["budget_bytes"] == 256 << 20
        assert "layer4.1.conv2" in conversion.model.with_suffix(".report.html").read_text()

    def test_the_json_is_what_is_printed(self, from_onnx: Conversion) -> None:
        assert json.loads(from_onnx.done.stdout) == from_onnx.report

    def test_the_text_has_the_figures(self, conversion: Conversion) -> None:
        lines = conversion.done.stdout.splitlines()
        assert lines[0].startswith(f"wrote {conversion.model} (")
        assert lines[1] == "head: Linear(512, 7)"
        assert lines[2].startswith("classes: 7, called as in ")
        assert lines[3].startswith("top-1 pytorch ")
        assert lines[4].endswith(" of 280 pictures")
        assert lines[5].startswith("confidence: ")
        assert lines[6].startswith("pytorch is rebuilt from the state dict, not compared")
        assert lines[7] == f"report: {conversion.model.with_suffix('.report.html')}"
        assert lines[8] == f"next: edgekit run --model {conversion.model} --source VIDEO"

    def test_the_next_command_is_one_that_is_installed(
        self, from_video: Conversion, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        quoted = "'it'\"'\"'s a toy.tflite'"
        assert quoted.removeprefix("'") in from_video.done.stdout.splitlines()[-1]
        assert summary._next(Path("it's a toy.tflite")) == (
            f"edgekit run --model {quoted} --source VIDEO"
        )
        monkeypatch.setattr(summary, "entry_points", lambda **_: [])
        assert summary._next(Path("toys.tflite")) == "edgekit replay VIDEO --model toys.tflite"


class TestEdgeTpu:
    def test_a_file_for_it_lies_beside_that_for_the_cpu(self, from_video: Conversion) -> None:
        for_cpu = read_model(from_video.model)
        for_tpu = read_model(from_video.model.with_name("it's a toy_edgetpu.tflite"))
        assert "toy_edgetpu.tflite (Edge TPU compiler 16.0" in from_video.done.stdout
        assert for_cpu.labels == for_tpu.labels
        assert for_cpu.manifest is not None and for_tpu.manifest is not None
        assert for_cpu.manifest.fidelity == for_tpu.manifest.fidelity
        assert for_tpu.graph.operator_counts() == {"edgetpu-custom-op": 1}

    def test_without_the_compiler_that_for_the_cpu_is_written_and_says_where_to_get_it(
        self, allowed: Conversion
    ) -> None:
        assert WHERE_FROM in allowed.done.stdout
        written = [path.name for path in allowed.model.parent.glob("*.tflite")]
        assert written == ["26.tflite"]

    def test_every_operator_of_a_model_for_it_should_run_on_it(self, allowed: Conversion) -> None:
        preflight = allowed.report["edgetpu"]
        assert preflight["refusals"] == []
        assert preflight["mapped"] == preflight["operators"]
        assert allowed.report["memory"]["target"] == "coral-dev-board"

    def test_a_compiler_that_fails_fails_the_conversion(
        self,
        converted: Path,
        material: Material,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Nothing is left that could be mistaken for both files."""
        model = read_model(converted).flatbuffer

        def measure(request: Request, material: object, ladder: Ladder, *_: object) -> None:
            ladder.measure(Kind.REFERENCE, "pytorch", tflite_answer(model, 1))

        # Everything before the compiler is done already.
        monkeypatch.setattr(steps, "lowering", nullcontext)
        monkeypatch.setattr(steps, "_export", lambda *_: (None, None))
        monkeypatch.setattr(steps, "_measure_exported", measure)
        monkeypatch.setattr(steps, "_lower", lambda *_: b"")
        found = SimpleNamespace(flatbuffer=model)
        monkeypatch.setattr(steps, "_quantize", lambda *_: (found, None))
        monkeypatch.setattr(steps, "_profile", lambda *_: None)
        monkeypatch.setattr(steps, "_finish", lambda *_: model)
        (tmp_path / "bin").mkdir()
        program = tmp_path / "bin" / "edgetpu_compiler"
        program.write_text("#!/bin/sh\nexit 1\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
        request = Request(
            model=Checkpoint(ARCHITECTURES["18"], material.checkpoint),
            classes=material.classes, calibration=material.calibration,
            geometry=GEOMETRY, normalization=NORMALIZATION, edgetpu=True,
        )  # fmt: skip
        with pytest.raises(ConversionError, match="the Edge TPU compiler failed"):
            steps.run(request, Reporter())


class TestGate:
    def test_it_refuses_a_model_that_lost_accuracy_and_keeps_the_report(
        self, refused: Conversion
    ) -> None:
        line = failure(refused.done, code=3)
        assert f"stage {INT8[0]} agrees" in line
        assert "out.report.html" in line
        assert not refused.model.exists()
        report = refused.report
        assert not report["written"] and not report["gate"]["passed"]
        assert report["disagreement_count"] >= len(report["disagreements"]) > 0

    def test_a_loss_that_is_allowed_is_recorded(
        self, allowed: Conversion, edgekit: Edgekit
    ) -> None:
        assert _manifest(allowed.model).fidelity.loss_allowed
        assert "loss allowed" in edgekit("inspect", allowed.model).stdout
        gate = allowed.report["gate"]
        assert gate["overridden"] and not gate["passed"]
        assert "the gate did not pass: " in allowed.done.stdout


def test_a_network_that_the_labels_contradict_ends_it_before_anything_is_quantized(
    material: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Onnx2tf:
        def start(self, *_: object) -> None:
            pass

        def result(self) -> bytes:
            pytest.fail("it goes on")

    monkeypatch.setattr(steps, "lowering", lambda: nullcontext(Onnx2tf()))
    names = material.classes.read_text().splitlines()
    (tmp_path / "names.txt").write_text("\n".join([*names[1:], names[0]]))
    request = Request(
        model=Checkpoint(ARCHITECTURES["18"], material.checkpoint),
        classes=tmp_path / "names.txt", calibration=material.calibration,
        evaluation=material.evaluation, geometry=GEOMETRY, normalization=NORMALIZATION,
    )  # fmt: skip
    with pytest.raises(FidelityError, match=r"top-1.* class names or their order, --size") as error:
        steps.run(request, Reporter())
    assert error.value.report is None


@NEEDS_SSH_KEYGEN
def test_a_key_that_does_not_sign_ends_it_before_anything_is_read(
    material: Material, tmp_path: Path, in_process: None
) -> None:
    (tmp_path / "key").write_text("no key\n")
    (tmp_path / "bad.pth").write_text("no checkpoint\n")
    output = tmp_path / "never.tflite"
    named = ("--weights", tmp_path / "bad.pth", "--output", output, "--sign", tmp_path / "key")
    assert "does not sign with" in failure(_invoke(*BASE, *named), code=1)
    assert not output.exists()


def test_a_flatbuffer_of_another_architecture_is_refused(converted: Path) -> None:
    flatbuffer = read_model(converted).flatbuffer
    check_structure(ARCHITECTURES["18"], flatbuffer)
    with pytest.raises(ConversionError, match="the converted graph is resnet18, not resnet34"):
        check_structure(ARCHITECTURES["34"], flatbuffer)


# What is refused ---------------------------------------------------------------------------------


@pytest.fixture
def in_process() -> Iterator[None]:
    """The command has its own way with SIGTERM; the tests keep theirs."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def _invoke(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The command in this process, which has PyTorch loaded."""
    words = [str(argument) for argument in arguments]
    done = CliRunner().invoke(command, words)
    return subprocess.CompletedProcess(words, done.exit_code, done.stdout, done.stderr)


@pytest.mark.usefixtures("in_process")
class TestBadInput:
    """One line that says what is wrong, and no file."""

    def _fail(self, folder: Path, *options: str | Path) -> str:
        line = failure(_invoke(*BASE, *options, "--output", folder / "never.tflite"))
        assert not list(folder.glob("*never*"))
        return line

    def test_the_installed_command_says_so_too(self, edgekit: Edgekit, tmp_path: Path) -> None:
        (tmp_path / "x.pth").write_bytes(b"no checkpoint")
        output = tmp_path / "never.tflite"
        done = edgekit(*BASE, "--weights", tmp_path / "x.pth", "--output", output)
        assert "is not a PyTorch checkpoint" in failure(done)

    def test_weights_that_cannot_be_downloaded(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TORCH_HOME", str(tmp_path / "empty"))
        monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
        assert "--weights FILE" in self._fail(tmp_path)

    @pytest.mark.parametrize("content", [b"PK\x03\x04 broken", b"no checkpoint", b"a\nb\n"])
    def test_a_file_that_is_no_checkpoint(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "x.pth").write_bytes(content)
        message = self._fail(tmp_path, "--weights", tmp_path / "x.pth")
        assert "is not a PyTorch checkpoint" in message

    def test_a_pickle_that_runs_code(self, tmp_path: Path) -> None:
        torch.save(network("18"), tmp_path / "whole.pth")
        message = self._fail(tmp_path, "--weights", tmp_path / "whole.pth")
        assert "torch.save(model.state_dict(), FILE)" in message

    def test_another_architecture(self, tmp_path: Path) -> None:
        torch.save(network("50").state_dict(), tmp_path / "50.pth")
        message = self._fail(tmp_path, "--weights", tmp_path / "50.pth")
        assert "layer1.0.conv3.weight" in message
        assert "it fits --arch 50" in message

    def test_values_that_are_not_finite(self, tmp_path: Path) -> None:
        state = network("18").state_dict()
        state["layer2.0.conv1.weight"][0, 0, 0, 0] = float("nan")
        torch.save(state, tmp_path / "nan.pth")
        assert "layer2.0.conv1.weight" in self._fail(tmp_path, "--weights", tmp_path / "nan.pth")

    def test_a_reference_of_another_network(self, tmp_path: Path, material: Material) -> None:
        inputs = normalize(noise(9, 64, 64, 3), NORMALIZATION)
        np.savez(tmp_path / "other.npz", inputs=inputs, logits=normal(9, 7).astype(np.float32))
        options = ("--weights", material.checkpoint, "--reference", tmp_path / "other.npz")
        done = _invoke(*BASE, *options, "--output", tmp_path / "never.tflite")
        assert "other.npz" in failure(done, code=3)
        assert "exporting" not in done.stderr
        assert not list(tmp_path.glob("*never*"))

    def test_variances_that_no_network_has(self, tmp_path: Path, material: Material) -> None:
        state = _state(material)
        state["bn1.running_var"][:] = -1
        torch.save(state, tmp_path / "negative.pth")
        message = self._fail(
            tmp_path, "--weights", tmp_path / "negative.pth",
            "--classes", material.classes, "--calibration", material.calibration,
        )  # fmt: skip
        assert "the BatchNorm layer bn1 are damaged: a variance is below 0" in message

    def test_a_network_that_nobody_trained(self, tmp_path: Path, material: Material) -> None:
        torch.save(network("18").state_dict(), tmp_path / "fresh.pth")
        options = ("--weights", tmp_path / "fresh.pth", "--calibration", material.calibration)
        done = _invoke(*BASE, *options, "--output", tmp_path / "never.tflite")
        assert "the network is not trained" in failure(done, code=3)
        assert not list(tmp_path.glob("*never*"))

    @pytest.mark.parametrize(
        ("mean", "std", "expected"),
        [
            ("123.675,116.28,103.53", "58.395,57.12,57.375", "of pixels from 0 to 1"),
            ("0.5,0.5,0.5", "0.5,0.5,0.5", "trained on ImageNet's mean and standard deviation"),
        ],
    )
    def test_a_normalization_that_the_network_was_not_trained_with(
        self,
        tmp_path: Path,
        material: Material,
        monkeypatch: pytest.MonkeyPatch,
        mean: str,
        std: str,
        expected: str,
    ) -> None:
        """It is refused before anything is measured."""
        monkeypatch.setattr(steps, "lowering", nullcontext)
        monkeypatch.setattr(steps, "_export", lambda *_: (None, None))
        done = _invoke(
            *BASE, "--weights", material.checkpoint, "--classes", material.classes,
            "--calibration", material.calibration, "--mean", mean, "--std", std,
            "--output", tmp_path / "never.tflite",
        )  # fmt: skip
        line = failure(done, code=3)
        assert expected in line
        assert "--mean 0.485,0.456,0.406 --std 0.229,0.224,0.225" in line
        assert "--allow-misfit" in line
        assert not list(tmp_path.glob("*never*"))

    def test_classes_and_calibration(self, tmp_path: Path, material: Material) -> None:
        weights = ("--weights", material.checkpoint)
        named = (*weights, "--classes", material.classes)
        (tmp_path / "two.txt").write_text("one\ntwo\n")
        (tmp_path / "none").mkdir()
        (tmp_path / "bad.avi").write_text("not a video")
        cases = [
            (weights, "--classes FILE"),
            ((*weights, "--classes", tmp_path / "two.txt"), "2 class names, but the model has 7"),
            ((*weights, "--classes", tmp_path / "nowhere"), "cannot read the labels"),
            ((*named, "--calibration", tmp_path / "none"), "no images"),
            ((*named, "--calibration", tmp_path / "bad.avi"), "video"),
        ]
        for options, expected in cases:
            assert expected in self._fail(tmp_path, *options)

    def test_pictures_that_calibrate_and_evaluate(self, tmp_path: Path, material: Material) -> None:
        message = self._fail(
            tmp_path, "--weights", material.checkpoint, "--classes", material.classes,
            "--calibration", material.calibration, "--evaluate", material.calibration,
        )  # fmt: skip
        assert "210 evaluation pictures are calibration pictures too" in message

    def test_a_model_too_large_for_its_device(self, tmp_path: Path, material: Material) -> None:
        message = self._fail(
            tmp_path, "--weights", material.checkpoint, "--size", "1024",
            "--classes", material.classes, "--target", "pi-zero-2w",
        )  # fmt: skip
        assert "--size" in message and "pi-zero-2w" in message

    def test_onnx_files(self, tmp_path: Path, material: Material, classifier: Path) -> None:
        (tmp_path / "bad.onnx").write_bytes(b"not ONNX")
        named = ("--classes", material.classes, "--output", tmp_path / "never.tflite")
        cases: list[tuple[Path, tuple[str, ...], str]] = [
            (tmp_path / "nowhere.onnx", (), "cannot read the ONNX model"),
            (tmp_path / "bad.onnx", (), "not a usable ONNX model"),
            (classifier, (), "pass --calibration"),
            (classifier, ("--size", "96"), "pass --size 64"),
        ]
        for file, options, expected in cases:
            done = _invoke("convert", "--onnx", file, *SMALL, *named, *options)
            assert expected in failure(done)
        assert not list(tmp_path.glob("*never*"))

    def test_an_output_that_cannot_be_written(self, tmp_path: Path) -> None:
        done = _invoke(*BASE, "--output", tmp_path / "no" / "x.tflite")
        assert "does not exist" in failure(done)

    @pytest.mark.parametrize("option", ["--weights", "--classes", "--calibration"])
    def test_an_output_in_the_place_of_what_is_read(self, tmp_path: Path, option: str) -> None:
        mine = tmp_path / "mine"
        mine.write_bytes(b"weeks of training")
        done = _invoke(*BASE, "--weights", "x", option, mine, "--output", mine)
        assert f"{mine} is read here, and would be lost" in failure(done)
        assert mine.read_bytes() == b"weeks of training"

    def test_an_output_in_the_place_of_an_onnx_model_or_its_data(self, tmp_path: Path) -> None:
        for name in ("m.onnx", "m.onnx.data"):
            (tmp_path / name).write_bytes(b"weeks of training")
            options = ("--onnx", tmp_path / "m.onnx", *SMALL, "--output", tmp_path / name)
            assert f"{name} is read here" in failure(_invoke("convert", *options))

    @pytest.mark.parametrize(
        ("options", "named"),
        [
            (("--mean", "1,2"), "--mean"),
            (("--std", "0,1,1"), "--std"),
            (("--crop", "0"), "--crop"),
            (("--size", "7"), "--size"),
            (("--weights", "imagenet-v2"), "imagenet-v1"),
            (("--onnx", "x.onnx"), "pass one of --arch or --weights"),
            (("--program", "x.pt2"), "pass one of --arch or --weights"),
            (("--head", "linear"), "--head is for a checkpoint"),
            (("--weights-key", "model_ema"), "--weights-key is for a checkpoint"),
            (("--reference", "x.npz"), "--reference is for a checkpoint"),
            (("--head", "tanh"), "'--head': a head ends in linear"),
            (("--device-memory", "12"), "512M"),
            (("--min-kept", "99"), "--min-kept"),
        ],
    )
    def test_wrong_usage(self, options: tuple[str, str], named: str) -> None:
        done = _invoke(*BASE, *options)
        assert done.returncode == 2
        assert named in done.stderr


# What is interrupted -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "way"),
    [
        ("exporting to ONNX", signal.SIGTERM),
        ("lowering to TFLite", signal.SIGINT),
        ("lowering to TFLite", signal.SIGTERM),
        ("searching", signal.SIGINT),
    ],
)
def test_interruption_leaves_nothing(
    material: Material, tmp_path: Path, step: str, way: signal.Signals
) -> None:
    (tmp_path / "scratch").mkdir()
    arguments = [
        sys.executable, "-m", "edgekit", *BASE, "--weights", str(material.checkpoint),
        "--classes", str(material.classes), "--calibration", str(material.calibration),
        "--output", str(tmp_path / "out.tflite"),
    ]  # fmt: skip
    environment = {"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path / "scratch")}
    with subprocess.Popen(
        arguments,
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
