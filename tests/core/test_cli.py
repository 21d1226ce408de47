import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from click.testing import CliRunner
from edgekit_device.doctor.diagnosis import Diagnosis

from demo.fixtures import Material
from edgekit import cli
from tests.conftest import ROOT, Edgekit, failure
from tests.recordings import write_video
from tests.tiny import tiny_flatbuffer, tiny_model


def test_the_reference_is_what_the_commands_say() -> None:
    # In a process of its own: click remembers how a command was called before.
    program = "from docs.generate_cli import render; print(render(), end='')"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, stdout=subprocess.PIPE, cwd=ROOT, timeout=60, check=True)
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert page == done.stdout.decode(), "run `make docs`"


def test_every_command_is_in_the_help() -> None:
    shown = CliRunner().invoke(cli.edgekit, ["--help"]).output
    for name, (_, purpose) in cli.COMMANDS.items():
        assert f"  {name} " in shown
        assert purpose in shown


def test_every_command_is_known_with_the_distribution_that_brings_it() -> None:
    brought = {point.name: point.dist.name for point in entry_points(group=cli.GROUP) if point.dist}
    assert brought == {name: owner for name, (owner, _) in cli.COMMANDS.items()}


def test_the_help_imports_no_command() -> None:
    code = (
        "import sys; from edgekit import cli; sys.argv = ['edgekit', '--help']; cli.main();"
        "print([name for name in sys.modules if name.startswith(('edgekit.commands.', 'cv2'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("[]\n")


@pytest.mark.parametrize("words", [["--version"], ["inspect", "missing.tflite"]])
def test_it_leaves_its_objects_to_the_system(words: list[str]) -> None:
    code = (
        "import atexit, gc, sys; from edgekit.cli import main;"
        "atexit.register(lambda: print(gc.get_freeze_count() > 10_000, file=sys.stderr));"
        f"sys.argv = ['edgekit', *{words}]; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.endswith("True\n")
    assert done.returncode == (0 if words == ["--version"] else 1)


def test_a_command_of_somebody_else_says_itself_what_it_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = click.Command("extra", help="Do more.", callback=lambda: None)
    point = SimpleNamespace(name="extra", load=lambda: own)
    monkeypatch.setattr(cli, "entry_points", lambda **_: [point])
    assert "extra     Do more." in CliRunner().invoke(cli.edgekit, ["--help"]).output


def test_opencv_is_silent_and_what_the_user_has_set_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OPENCV_LOG_LEVEL", raising=False)
    monkeypatch.setenv("OPENCV_FFMPEG_LOGLEVEL", "32")
    monkeypatch.setattr(sys, "argv", ["edgekit", "--version"])
    cli.main()
    assert os.environ["OPENCV_LOG_LEVEL"] == "SILENT"
    assert os.environ["OPENCV_FFMPEG_LOGLEVEL"] == "32"


def test_a_command_of_an_absent_distribution_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cli, "entry_points", lambda **_: [])
    runner = CliRunner()
    shown = " ".join(runner.invoke(cli.edgekit, ["--help"]).output.split())
    assert "pip install edgekit-device" in shown
    result = runner.invoke(cli.edgekit, ["run", "--model", "x"])
    assert "pip install edgekit-device" in result.output


def test_without_opencv_a_command_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load() -> click.Command:
        raise ModuleNotFoundError("No module named 'cv2'", name="cv2")

    monkeypatch.setattr(cli, "entry_points", lambda **_: [SimpleNamespace(name="tune", load=load)])
    result = CliRunner().invoke(cli.edgekit, ["tune", str(tmp_path)])
    expected = "edgekit: OpenCV is not installed here; pip install opencv-python-headless\n"
    assert (result.exit_code, result.output) == (1, expected)


def test_a_reader_that_has_gone_is_no_failure_to_tell_of(tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "tiny.tflite")
    # A pipe whose reading end is closed already.
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "edgekit", "inspect", str(model)]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, timeout=60, check=False)
    os.close(writing)
    assert done.stderr == b""


@pytest.mark.parametrize(
    "words",
    ["inspect MODEL", "inspect MODEL --json", "inspect --help", "--help", "--version",
     "--debug inspect MODEL", "replay VIDEO --model MODEL --json", "doctor --json"],
)  # fmt: skip
def test_a_full_disk_is_one_line(tmp_path: Path, words: str) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    files = {
        "MODEL": str(tiny_model(tmp_path / "tiny.tflite")),
        "VIDEO": str(write_video(tmp_path / "v.avi", ["red"] * 3)),
    }
    command = [sys.executable, "-m", "edgekit", *(files.get(word, word) for word in words.split())]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )
    assert done.returncode == 1
    # Above it may stand what was understood of the model and the video.
    assert "Traceback" not in done.stderr
    ours = [line for line in done.stderr.splitlines() if "XNNPACK" not in line]
    assert ours[-1] == "edgekit: cannot write to the output: No space left on device"


def test_an_output_that_is_closed_is_refused_before_any_work(tmp_path: Path) -> None:
    command = f"{sys.executable} -m edgekit inspect {tmp_path / 'none'} >&-"
    done = subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert done.stderr == "edgekit: standard output is closed; redirect it, to /dev/null say\n"


def test_letters_that_the_terminal_lacks_are_shown_as_numbers(tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "tiny.tflite")
    labels = tmp_path / "labels.txt"
    labels.write_text("rot\nгрün\nblau\n", encoding="utf-8")
    video = write_video(tmp_path / "v.avi", ["green"] * 3)
    words = ("replay", video, "--model", model, "--labels", labels)
    done = subprocess.run(
        [sys.executable, "-m", "edgekit", *words], capture_output=True, timeout=60, check=False,
        env=os.environ | {"PYTHONIOENCODING": "latin-1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert b"\\u0433\\u0440\xfcn" in done.stdout


def test_names_in_a_file_steer_no_terminal(tmp_path: Path) -> None:
    model, name = tmp_path / "m.tflite", "\x1b]0;\x07\u202e operator"
    raw = tiny_flatbuffer(compiled=True)
    model.write_bytes(raw.replace(b"edgetpu-custom-op", name.encode()))
    for more in ([], ["--json"]):
        command = [sys.executable, "-m", "edgekit", "inspect", str(model), *more]
        done = subprocess.run(command, capture_output=True, timeout=60, check=True)
        assert rb"\u001b]0;\u0007\u202e operator" in done.stdout
    assert name in json.loads(done.stdout)["operators"]


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_colours_are_left_out_where_the_environment_says_so(
    monkeypatch: pytest.MonkeyPatch, no_color: str, coloured: bool
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setattr(
        "edgekit_device.doctor.examination.examine",
        lambda device: [Diagnosis("disk", "ok", "fine")],
    )
    # As on a terminal.
    shown = CliRunner().invoke(cli.edgekit, ["doctor"], color=True).output
    assert "fine" in shown
    assert ("\x1b[" in shown) == coloured


def test_inspect_has_the_promised_keys(converted: Path, edgekit: Edgekit) -> None:
    facts = json.loads(edgekit("inspect", converted, "--json").stdout)
    promised = "arch classes input output operators parameters flatbuffer_bytes sha256 fidelity"
    assert set(promised.split()) <= set(facts)
    assert facts["input"]["dtype"] == facts["output"]["dtype"] == "uint8"
    assert facts["input"]["shape"] == [1, 64, 64, 3]
    assert (facts["input"]["scale"], facts["input"]["zero_point"]) == (1.0, 0)
    assert facts["parameters"] > 11_000_000
    assert facts["structure"]["name"] == "resnet18"
    assert facts["structure"]["parts"][1].startswith("stage 1: 2 basic blocks, 64 channels")


def test_inspect_says_how_a_foreign_model_is_understood(tmp_path: Path, edgekit: Edgekit) -> None:
    model = tiny_model(tmp_path / "m.tflite", labels=b"cat\ncat\nunknown\n")
    facts = json.loads(edgekit("inspect", model, "--json").stdout)
    assert facts["labels"] == ["cat (0)", "cat (1)", "unknown (class)"]
    assert facts["understood"] == {
        "input": "pixels normalized to 0..1 (rgb), as its values from 0 to 1 say",
        "scores": "probabilities (softmax)",
    }
    logits = tiny_model(tmp_path / "l.tflite", logits=True, scale=1 / 32, labels=b"a\n\x1b[2J\nc\n")
    shown = edgekit("inspect", logits).stdout
    assert "\x1b" not in shown
    for text in ("has control characters", "pass --normalization", "(it ends in MEAN)"):
        assert text in shown


def test_the_graph_is_as_small_as_the_architecture_allows(
    converted: Path, edgekit: Edgekit
) -> None:
    operators = json.loads(edgekit("inspect", converted, "--json").stdout)["operators"]
    assert operators == {
        "CONV_2D": 20,
        "ADD": 8,
        "PAD": 4,
        "CONCATENATION": 2,
        "QUANTIZE": 2,
        "FULLY_CONNECTED": 1,
        "MAX_POOL_2D": 1,
        "MEAN": 1,
        "SOFTMAX": 1,
    }


def test_evaluate_measures_what_the_conversion_measured(
    converted: Path, material: Material, edgekit: Edgekit
) -> None:
    result = json.loads(edgekit("evaluate", converted, material.evaluation, "--json").stdout)
    facts = json.loads(edgekit("inspect", converted, "--json").stdout)
    (final,) = (s for s in facts["fidelity"]["stages"] if s["stage"] == "tflite-int8 (litert)")
    assert result["images"] == final["images"] == 280
    # The conversion runs on all cores, evaluate on one; kernels may differ by a step.
    assert result["top1"] == pytest.approx(final["top1"], abs=0.01)
    assert result["top5"] >= result["top1"]
    assert result["latency_ms"] > 0


def test_foreign_models_are_evaluated(shared: Path, edgekit: Edgekit) -> None:
    labels = shared / "models" / "imagenet_labels.txt"
    for name in ("mobilenet_v2_1.0_224_quant.tflite", "tf2_mobilenet_v2_1.0_224_ptq.tflite"):
        done = edgekit(
            "evaluate", shared / "models" / name, shared / "data" / "photos", "--json",
            "--labels", labels, "--class-offset", "1",
        )  # fmt: skip
        result = json.loads(done.stdout)
        assert result["images"] == 200
        assert result["top1"] >= 0.85


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("a.jpg\t0\n", "no file a.jpg"),
        ("a.jpg 0\n", "line 1 is not"),
        ("a.jpg\t9999\n", "class 9999"),
        ("", "lists no pictures"),
    ],
)
def test_a_bad_table_names_its_line(
    converted: Path, edgekit: Edgekit, tmp_path: Path, lines: str, message: str
) -> None:
    (tmp_path / "labels.tsv").write_text(lines)
    assert message in failure(edgekit("evaluate", converted, tmp_path))


def test_bad_datasets_are_named(converted: Path, edgekit: Edgekit, tmp_path: Path) -> None:
    assert "neither" in failure(edgekit("evaluate", converted, tmp_path))
    (tmp_path / "elephant").mkdir()
    assert "elephant" in failure(edgekit("evaluate", converted, tmp_path))
    (tmp_path / "elephant").rename(tmp_path / "ball")
    assert "no images" in failure(edgekit("evaluate", converted, tmp_path))
    (tmp_path / "ball" / "x.jpg").write_bytes(b"")
    assert "is empty" in failure(edgekit("evaluate", converted, tmp_path))
    (tmp_path / "ball" / "x.jpg").write_text("not a picture")
    assert "not an image" in failure(edgekit("evaluate", converted, tmp_path))
    assert "not a folder" in failure(edgekit("evaluate", converted, tmp_path / "nowhere"))


def test_no_error_shows_a_password(edgekit: Edgekit) -> None:
    secret = "rtsp://admin:hunter2@camera/live"
    for arguments in (
        ("replay", secret, "--model", "m.tflite"),
        (secret,),
        ("run", "--source", f"v4l2:{secret}", "--threads", secret),
        ("--debug", "replay", secret, "--model", "m.tflite"),
    ):
        done = edgekit(*arguments)
        assert done.returncode != 0
        assert "***@camera" in done.stderr
        assert "hunter2" not in done.stdout + done.stderr, arguments


def _options(command: click.Command, words: str) -> Iterator[tuple[str, click.Parameter]]:
    """All options of a command and of those below it, each with the words that lead to it."""
    for parameter in command.params:
        yield f"{words} {parameter.opts[0]}", parameter
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from _options(inner, f"{words} {name}")


@pytest.mark.parametrize("name", ["collect", "compare", "fleet", "push", "record", "replay", "run"])
def test_no_limit_lets_what_is_no_number_pass(name: str) -> None:
    """`nan` is neither below a limit nor above it: a timeout that never comes, say."""
    command = cli.edgekit.get_command(click.Context(cli.edgekit), name)
    assert command is not None
    limited = {
        words: parameter
        for words, parameter in _options(command, name)
        if isinstance(parameter.type, click.FloatRange)
    }
    assert limited
    for parameter in limited.values():
        with pytest.raises(click.BadParameter, match="is not a number"):
            parameter.type.convert("nan", parameter, click.Context(command))
