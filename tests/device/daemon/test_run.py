import json
import subprocess
from itertools import pairwise
from pathlib import Path

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
    assert set(answers[1]) == {
        "ts", "event", "label", "score", "frame", "time", "source", "model", "labels",
        "latency_ms", "state",
    }  # fmt: skip
    truth = json.loads(material.truth.read_text())
    best = [json.loads(line)["labels"][0]["label"] for line in done.stdout.splitlines()]
    counted = [(a, t) for a, t in zip(best, truth, strict=True) if t is not None]
    assert sum(a == t for a, t in counted) / len(counted) > 0.85
    again = edgekit("run", "--model", converted, "--source", material.clip, "--every-frame")
    assert [a["labels"] for a in _lines(again)] == [a["labels"] for a in answers]


def test_otherwise_only_changes_are_printed(
    converted: Path, material: Material, edgekit: Edgekit
) -> None:
    events = _lines(edgekit("run", "--model", converted, "--source", material.clip))
    # The clip shows twelve toys or so; a few are unknown while they come and go.
    assert 10 < len(events) < 60
    for before, after in pairwise(events):
        assert after["event"] == "change"
        assert after["previous"] == before["label"] != after["label"]
    truth = {label for label in json.loads(material.truth.read_text()) if label is not None}
    assert {event["label"] for event in events} - {"unknown"} == truth


def test_max_frames_and_a_summary(converted: Path, material: Material, edgekit: Edgekit) -> None:
    options = ("--every-frame", "--max-frames", "7")
    done = edgekit("run", "--model", converted, "--source", material.clip, *options)
    assert len(_lines(done)) == 7
    assert "7 frames (0 dropped), 7 events" in done.stderr


def test_a_foreign_model_runs(shared: Path, edgekit: Edgekit) -> None:
    done = edgekit(
        "run", "--model", shared / "models" / "tf2_mobilenet_v2_1.0_224_ptq.tflite",
        "--source", shared / "data" / "photos" / "n01440764_tench.jpg",
        "--labels", shared / "models" / "imagenet_labels.txt",
    )  # fmt: skip
    (answer,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert answer["labels"][0]["label"] == "tench, Tinca tinca"
    assert answer["labels"][0]["index"] == 1


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
