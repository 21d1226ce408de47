"""`edgekit run` over recordings, with a model that names their colours."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from demo.fixtures import Material
from edgekit.model.decision import DecisionOverrides, LabelOverrides, Recommendation
from tests.conftest import Edgekit, failure
from tests.recordings import write_video
from tests.tiny import COLOURS, own_model, tiny_model

SHOWN = [colour for colour in ("red", "green", "blue", "red") for _ in range(10)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model") / "tiny.tflite")


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("video") / "colours.avi", SHOWN)


def _lines(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_every_frame_of_a_recording_is_answered(model: Path, video: Path, edgekit: Edgekit) -> None:
    done = edgekit("run", "--model", model, "--source", video, "--every-frame")
    answers = _lines(done)
    assert [answer["frame"] for answer in answers] == list(range(40))
    assert set(answers[1]) == {
        "id", "ts", "event", "label", "score", "frame", "time", "source", "model", "labels",
        "latency_ms", "state",
    }  # fmt: skip
    assert [answer["labels"][0]["label"] for answer in answers] == SHOWN
    again = edgekit("run", "--model", model, "--source", video, "--every-frame")
    assert [answer["labels"] for answer in _lines(again)] == [a["labels"] for a in answers]


def test_otherwise_only_changes_are_printed(model: Path, video: Path, edgekit: Edgekit) -> None:
    options = ("--decision-smoothing", 1, "--decision-hold", 0)
    events = _lines(edgekit("run", "--model", model, "--source", video, *options))
    assert {event["event"] for event in events} == {"change"}
    assert [(event["frame"], event["label"]) for event in events] == [
        (0, "red"), (10, "green"), (20, "blue"), (30, "red"),
    ]  # fmt: skip
    assert [event.get("previous") for event in events] == [None, "red", "green", "blue"]


def test_what_a_model_file_recommends_holds_and_is_said_at_the_start(
    video: Path, tmp_path: Path, edgekit: Edgekit
) -> None:
    said = DecisionOverrides(smoothing=1, hold=0, labels={"green": LabelOverrides(ignore=True)})
    found = Recommendation(decision=said, objective="fast", recordings=1, events=4, span=4.0)
    model = own_model(tmp_path / "m.tflite", decision=found)
    done = edgekit("run", "--model", model, "--source", video)
    assert [event["label"] for event in _lines(done)] == ["red", "unknown", "blue", "red"]
    assert (
        "edgekit: decision: smoothing 1, enter 0.6, leave 0.4, hold 0, heartbeat 60; "
        "green: ignored (from the model file)\n"
    ) in done.stderr
    config = tmp_path / "edgekit.toml"
    config.write_text("[decision.labels.green]\nignore = false\n")
    done = edgekit("run", "--model", model, "--source", video, "--config", config)
    assert [event["label"] for event in _lines(done)] == ["red", "green", "blue", "red"]


def test_a_label_that_the_model_has_not_ends_it_before_it_begins(
    model: Path, tmp_path: Path, edgekit: Edgekit
) -> None:
    config = tmp_path / "edgekit.toml"
    config.write_text(f"model = '{model}'\nsource = 'none.avi'\n[decision.labels.gren]\nhold = 2\n")
    for check in ([], ["--check"]):
        done = edgekit("run", "--config", config, *check)
        assert done.returncode == 1
        told = "decision.labels.gren: tiny.tflite has no such class; did you mean green?"
        assert told in done.stdout + done.stderr


def test_a_converted_model_answers_the_demos_clip_the_same_each_time(
    converted: Path, material: Material, edgekit: Edgekit
) -> None:
    options = ("run", "--model", converted, "--source", material.clip, "--every-frame")
    first, second = (_lines(edgekit(*options)) for _ in range(2))
    assert [answer["frame"] for answer in first] == list(range(480))
    assert [answer["labels"] for answer in first] == [answer["labels"] for answer in second]
    best = [answer["labels"][0]["label"] for answer in first]
    shown = [(b, t) for b, t in zip(best, json.loads(material.truth.read_text()), strict=True) if t]
    # However training fell out: colours or geometry that are wrong leave it little better than one
    # in seven.
    assert sum(b == t for b, t in shown) > len(shown) / 2


def test_max_frames_and_a_summary(model: Path, video: Path, edgekit: Edgekit) -> None:
    options = ("--every-frame", "--max-frames", "7")
    done = edgekit("run", "--model", model, "--source", video, *options)
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


def test_what_is_no_classifier_is_refused_before_a_camera_is_opened(
    edgekit: Edgekit, tmp_path: Path
) -> None:
    detector = tiny_model(tmp_path / "d.tflite", shape=(1, 3, 4), labels=None)
    for command in (("run",), ("record", "--output", tmp_path / "a.clip")):
        done = edgekit(*command, "--model", detector, "--source", "v4l2:/dev/video97")
        assert "d.tflite answers [1, 3, 4]: it is an object detector" in failure(done)


def test_logits_are_refused_or_get_a_softmax(edgekit: Edgekit, video: Path, tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "l.tflite", logits=True)
    base = ("run", "--model", model, "--source", video, "--every-frame")
    assert "l.tflite answers no probabilities" in failure(edgekit(*base))
    for answer in _lines(edgekit(*base, "--softmax", "--top-k", 3)):
        assert sum(one["score"] for one in answer["labels"]) == pytest.approx(1, abs=1e-4)


def test_a_foreign_model_is_fed_as_it_is_told_and_says_so(
    edgekit: Edgekit, video: Path, tmp_path: Path
) -> None:
    model = tiny_model(tmp_path / "m.tflite")
    base = ("run", "--model", model, "--source", video, "--every-frame", "--max-frames", 5)
    done = edgekit(*base, "--channels", "bgr")
    assert {answer["labels"][0]["label"] for answer in _lines(done)} == {"blue"}
    assert "model: m.tflite has no manifest; pixels normalized to 0..1 (bgr)" in done.stderr
    check = edgekit(*base, "--check")
    assert "m.tflite has no manifest; pixels normalized to 0..1 (rgb)" in check.stdout


def test_a_class_called_unknown_is_no_undecided_frame(
    edgekit: Edgekit, video: Path, tmp_path: Path
) -> None:
    model = tiny_model(tmp_path / "m.tflite", labels=b"unknown\ngreen\nblue\n")
    events = _lines(edgekit("run", "--model", model, "--source", video))
    shown = [event["label"] for event in events]
    assert "unknown (class)" in shown
    for event in events:
        assert event["label"] != event.get("previous")


def test_a_normalization_that_is_none_is_a_wrong_setting(
    edgekit: Edgekit, model: Path, video: Path
) -> None:
    done = edgekit("run", "--model", model, "--source", video, "--normalization", "foo")
    assert "normalization is 0..1, -1..1" in failure(done, 2)


def test_bad_input_is_one_line(model: Path, video: Path, edgekit: Edgekit, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("one\n")
    (tmp_path / "model.tflite").write_text("not a model")
    cases = [
        (("--model", tmp_path / "no", "--source", video), "cannot read the model"),
        (("--model", tmp_path / "model.tflite", "--source", video), "not a usable model"),
        (("--model", model, "--source", tmp_path / "no.avi"), "no source at"),
        (("--model", model, "--source", "v4l2:/dev/video97"), "no camera"),
        (("--model", model, "--source", video, "--labels", tmp_path / "labels.txt"),
         f"1 class names, but the model has {len(COLOURS)}"),
    ]  # fmt: skip
    for options, expected in cases:
        assert expected in failure(edgekit("run", *options))
