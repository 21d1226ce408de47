import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from demo.fixtures import Material
from tests.conftest import Edgekit, failure


def _lines(done: subprocess.CompletedProcess[str]) -> list[dict[str, object]]:
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_every_frame_of_a_clip_is_answered(
    converted: Path, material: Material, edgekit: Edgekit
) -> None:
    done = edgekit("run", "--model", converted, "--source", material.clip, "--every-frame")
    answers = _lines(done)
    assert [answer["frame"] for answer in answers] == list(range(480))
    assert set(answers[0]) == {"ts", "frame", "source", "model", "labels", "latency_ms"}
    truth = json.loads(material.truth.read_text())
    best = [json.loads(line)["labels"][0]["label"] for line in done.stdout.splitlines()]
    counted = [(a, t) for a, t in zip(best, truth, strict=True) if t is not None]
    assert sum(a == t for a, t in counted) / len(counted) > 0.85
    again = edgekit("run", "--model", converted, "--source", material.clip, "--every-frame")
    assert [a["labels"] for a in _lines(again)] == [a["labels"] for a in answers]


def test_otherwise_only_changes_are_printed(
    converted: Path, material: Material, edgekit: Edgekit
) -> None:
    done = edgekit("run", "--model", converted, "--source", material.clip, "--top-k", "1")
    labels = [json.loads(line)["labels"] for line in done.stdout.splitlines()]
    assert 20 < len(labels) < 200
    for before, after in zip(labels, labels[1:], strict=False):
        assert len(after) == 1
        assert before[0]["index"] != after[0]["index"]


def test_max_frames_and_a_summary(converted: Path, material: Material, edgekit: Edgekit) -> None:
    options = ("--every-frame", "--max-frames", "7")
    done = edgekit("run", "--model", converted, "--source", material.clip, *options)
    assert len(_lines(done)) == 7
    assert "7 frames (0 dropped), 7 lines" in done.stderr


def test_a_foreign_model_runs(shared: Path, edgekit: Edgekit) -> None:
    done = edgekit(
        "run", "--model", shared / "models" / "tf2_mobilenet_v2_1.0_224_ptq.tflite",
        "--source", shared / "data" / "photos" / "n01440764_tench.jpg",
        "--labels", shared / "models" / "imagenet_labels.txt",
    )  # fmt: skip
    (answer,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert answer["labels"][0]["label"] == "tench, Tinca tinca"
    assert answer["labels"][0]["index"] == 1


def _endless(converted: Path, folder: Path) -> subprocess.Popen[str]:
    """`edgekit run` on a source of which no one waits for the end."""
    from demo.scene import write_clip

    write_clip(folder / "long.avi", folder / "truth.json", passes=60)
    command = [
        sys.executable, "-m", "edgekit", "run", "--model", str(converted),
        "--source", str(folder / "long.avi"), "--every-frame",
    ]  # fmt: skip
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_cleanly(converted: Path, tmp_path: Path, number: signal.Signals) -> None:
    with _endless(converted, tmp_path) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.send_signal(number)
        rest = process.stdout.read().splitlines()
        errors = process.stderr.read()
        assert process.wait(timeout=10) == 0
    assert all(json.loads(line) for line in rest)
    assert len(rest) < 2399
    assert "frames (0 dropped)" in errors


def test_a_reader_that_goes_away_is_no_failure(converted: Path, tmp_path: Path) -> None:
    with _endless(converted, tmp_path) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
        assert process.wait(timeout=30) == 0
    assert "Traceback" not in errors
    assert "Exception" not in errors


def test_bad_input_is_one_line(
    converted: Path, material: Material, edgekit: Edgekit, tmp_path: Path
) -> None:
    (tmp_path / "labels.txt").write_text("one\n")
    (tmp_path / "model.tflite").write_text("not a model")
    cases = [
        (("--model", tmp_path / "no", "--source", material.clip), "cannot read the model"),
        (("--model", tmp_path / "model.tflite", "--source", material.clip), "not a usable model"),
        (("--model", converted, "--source", tmp_path / "no.avi"), "no source at"),
        (("--model", converted, "--source", "v4l2:/dev/video97"), "no camera"),
        (("--model", converted, "--source", material.clip, "--labels", tmp_path / "labels.txt"),
         "1 class names, but the model has 7"),
    ]  # fmt: skip
    for options, expected in cases:
        assert expected in failure(edgekit("run", *options))
