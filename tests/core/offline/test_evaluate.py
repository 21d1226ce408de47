"""`edgekit evaluate` on recordings."""

import json
import re
from pathlib import Path

import pytest

from edgekit.inference.classifier import Classifier
from edgekit.model.manifest import Confidence
from edgekit.offline.drift_course import DriftCourse
from tests.core.offline.profiles import profile
from tests.recordings import Edgekit, failure, write_pictures, write_video
from tests.tiny import tiny_model

HEAD = "start,end,label\n"
STILL = ("--decision-smoothing", 1, "--decision-hold", 0)


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    """Of the video, with a mistake of half a second at its end."""
    path = tmp_path / "truth.csv"
    path.write_text(HEAD + "0,1,red\n1,2,green\n2,3,blue\n3.5,4,blue\n")
    return path


def test_frames_intervals_and_answers_are_counted(
    edgekit: Edgekit, model: Path, video: Path, truth: Path
) -> None:
    done = edgekit("evaluate", model, video, "--truth", truth, "--json", *STILL)
    found = json.loads(done.stdout)
    assert (found["frames"], found["judged"], found["span_s"]) == (40, 35, 4.0)
    assert found["decided"] == found["model"] == pytest.approx(30 / 35, abs=1e-6)
    assert (found["intervals"], found["found"], found["mistakes"]) == (4, 3, 1)
    assert (found["answers"], found["right_answers"]) == (4, 3)
    assert (found["delay_s"], found["slowest_s"]) == (0, 0)
    assert found["confusion"] == [
        {"truth": "blue", "answer": "blue", "frames": 10},
        {"truth": "blue", "answer": "red", "frames": 5},
        {"truth": "green", "answer": "green", "frames": 10},
        {"truth": "red", "answer": "red", "frames": 10},
    ]


def test_smoothing_costs_a_delay_and_not_an_interval(
    edgekit: Edgekit, model: Path, video: Path, truth: Path
) -> None:
    done = edgekit("evaluate", model, video, "--truth", truth, "--json")
    found = json.loads(done.stdout)
    assert found["found"] == 3
    assert 0 < found["delay_s"] <= 0.5
    assert found["decided"] < found["model"]


def test_truth_may_be_in_frames(edgekit: Edgekit, model: Path, video: Path, tmp_path: Path) -> None:
    path = tmp_path / "truth.json"
    rows = [{"start_frame": 10, "end_frame": 15, "label": "green"}]
    path.write_text(json.dumps(rows))
    found = json.loads(edgekit("evaluate", model, video, "--truth", path, "--json", *STILL).stdout)
    assert (found["judged"], found["decided"], found["delay_s"]) == (5, 1, 0)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (40, ""),
        (43, "t.json goes on for 3 frames behind the recording's end"),
        (38, "t.json has no label for 2 of 40 frames"),
    ],
)
def test_a_label_for_each_frame_must_be_one_for_each(
    edgekit: Edgekit, model: Path, video: Path, tmp_path: Path, labels: int, said: str
) -> None:
    path = tmp_path / "t.json"
    path.write_text(json.dumps(["red"] * labels))
    done = edgekit("evaluate", model, video, "--truth", path, *STILL)
    assert f"({min(labels, 40)} judged)" in done.stdout
    told = [line for line in done.stderr.splitlines() if "t.json" in line]
    assert bool(told) == bool(said)
    assert said in done.stderr


def test_times_behind_the_end_are_told(
    edgekit: Edgekit, model: Path, video: Path, tmp_path: Path
) -> None:
    path = tmp_path / "t.csv"
    path.write_text(HEAD + "0,4.5,red\n")
    base = ("evaluate", model, video, "--truth", path, "--json")
    assert "t.csv" not in edgekit(*base).stderr
    path.write_text(HEAD + "0,60,red\n")
    assert "t.csv goes on for 56 s behind the recording's end" in edgekit(*base).stderr


def test_a_class_called_unknown_is_no_undecided_frame(
    edgekit: Edgekit, video: Path, tmp_path: Path
) -> None:
    model = tiny_model(tmp_path / "m.tflite", labels=b"unknown\ngreen\nblue\n")
    path = tmp_path / "t.csv"
    path.write_text(HEAD + "0,1,unknown (class)\n1,2,green\n2,3,blue\n")
    done = edgekit("evaluate", model, video, "--truth", path, "--json", *STILL)
    found = json.loads(done.stdout)
    assert (found["judged"], found["decided"], found["model"]) == (30, 1, 1)
    assert (found["answers"], found["right_answers"]) == (3, 3)
    assert "the class unknown is called unknown (class)" in done.stderr


def test_a_clip_is_evaluated_as_the_video_it_was_recorded_from(
    edgekit: Edgekit, model: Path, video: Path, truth: Path, tmp_path: Path
) -> None:
    clip = tmp_path / "a.clip"
    edgekit("record", "--model", model, "--source", video, "--output", clip)
    runs = [edgekit("evaluate", model, one, "--truth", truth, "--json") for one in (video, clip)]
    one, other = (json.loads(run.stdout) for run in runs)
    del one["seconds"], other["seconds"]
    assert (one["decision"].pop("source"), other["decision"].pop("source")) == (
        "the defaults", "the clip",
    )  # fmt: skip
    assert one == other


def test_confidence_is_held_against_the_truth(
    edgekit: Edgekit, model: Path, video: Path, tmp_path: Path
) -> None:
    path, report = tmp_path / "t.csv", tmp_path / "r.html"
    path.write_text(HEAD + "0,1,red\n1,2,unknown\n2,3,red\n3,4,red\n")
    base = ("evaluate", model, video, "--truth", path, "--report", report, *STILL)
    found = json.loads(edgekit(*base, "--json").stdout)
    curve = found["calibration"]
    # What is unknown has no class that could be right; two seconds are an observation at least.
    assert (curve["frames"], curve["observations"]) == (30, 2)
    assert curve["accuracy"] == pytest.approx(20 / 30, abs=1e-6)
    assert curve["confidence"] > 0.9
    assert [one["frames"] for one in curve["bins"]] == [30]
    assert found["told_right"] == pytest.approx(20 / 40)
    assert found["told_score"] == pytest.approx(curve["confidence"], abs=0.01)
    told = edgekit(*base).stdout
    assert "accuracy 0.667 (frames: 30, observations: 2)" in told
    assert ", too sure; chance alone makes " in told
    page = report.read_text()
    assert "30 frames with confidence" in page
    assert "are decided right" in page
    smoothed = json.loads(edgekit(*base, "--json", "--decision-smoothing", 9).stdout)
    assert smoothed["told_score"] < found["told_score"] - 0.05


def test_what_the_file_says_of_its_confidence_is_told(
    edgekit: Edgekit,
    model: Path,
    video: Path,
    truth: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    report = tmp_path / "r.html"
    base = ("evaluate", model, video, "--truth", truth, "--report", report)
    said = Confidence(reason="only 12 labelled pictures", images=12)
    # As if the file had a manifest.
    monkeypatch.setattr(Classifier, "confidence", property(lambda _: said, lambda *_: None), False)
    assert f"the file    says of its calibration: {said}" in edgekit(*base).stdout
    assert "Calibration in the file" in report.read_text()
    found = json.loads(edgekit(*base, "--json").stdout)
    assert found["file_confidence"] == {"reason": "only 12 labelled pictures", "images": 12}


def test_a_truth_of_nothing_but_unknown_has_no_confidence(
    edgekit: Edgekit, model: Path, video: Path, tmp_path: Path
) -> None:
    path, report = tmp_path / "t.csv", tmp_path / "r.html"
    path.write_text(HEAD + "0,4,unknown\n")
    base = ("evaluate", model, video, "--truth", path, "--report", report)
    assert "confidence  not measured: no judged frame shows a class" in edgekit(*base).stdout
    assert "Not measured: no judged frame shows a class." in report.read_text()
    found = json.loads(edgekit(*base, "--json").stdout)
    assert found["calibration"] is None
    assert found["uncalibrated"] == "no judged frame shows a class"


def test_the_settings_are_told_with_where_they_are_from(
    edgekit: Edgekit, model: Path, video: Path, truth: Path, tmp_path: Path
) -> None:
    config, report = tmp_path / "edgekit.toml", tmp_path / "r.html"
    config.write_text("[decision.labels]\nblue = {ignore = true}\ngreen = {enter = 0.75}\n")
    base = ("evaluate", model, video, "--truth", truth, "--report", report)
    assert "decision: smoothing 5, enter 0.6" in edgekit(*base).stderr
    assert "settings of their own" not in report.read_text()
    done = edgekit(*base, "--config", config, "--json")
    assert "green: enter 0.75" in done.stderr and "(from the configuration)" in done.stderr
    decision = json.loads(done.stdout)["decision"]
    assert decision["source"] == "the configuration"
    assert decision["settings"]["labels"]["blue"]["ignore"]
    assert "truth.csv shows blue, which the decision ignores: always a mistake" in done.stderr
    page = report.read_text()
    assert (
        "which the decision ignores" in page
        and "ignored: never decided" in page
        and "(from the configuration)" in page
    )


def test_drift_is_told_in_text_json_and_on_the_timeline(
    edgekit: Edgekit, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_pictures(tmp_path / "pictures", ["black"] * 130)
    path, report = tmp_path / "t.csv", tmp_path / "r.html"
    path.write_text(HEAD + "0,130,red\n")
    base = ("evaluate", model, folder, "--truth", path, "--report", report)
    assert "drift       not told: the model file has no profile" in edgekit(*base).stdout
    assert "swatch drift" not in report.read_text()
    monkeypatch.setattr("edgekit.offline.player.DriftCourse", lambda _: DriftCourse(profile()))
    assert re.search("drift       .* to 2:09: .*darker than", edgekit(*base).stdout)
    page = report.read_text()
    assert page.count("swatch drift") == 1 and page.count('class="lane drift"') > 1
    assert re.search("to 2:09, told from 1:.. on: .*darker than", page)
    told = json.loads(edgekit(*base, "--json").stdout)["drift"]["told"]
    assert (told[0]["since_s"], told[-1]["end_s"]) == (0, 129)
    assert "brightness" in [sign["figure"] for sign in told[-1]["signs"]]


def test_the_report_is_one_closed_file_with_every_mistake(
    edgekit: Edgekit, model: Path, video: Path, truth: Path, tmp_path: Path
) -> None:
    report = tmp_path / "report.html"
    done = edgekit("evaluate", model, video, "--truth", truth, "--report", report, *STILL)
    assert done.exit_code == 0
    page = report.read_text(encoding="utf-8")
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    assert "<script" not in page
    assert page.count('src="data:image/jpeg') == 1
    assert page.count("<i ") == 1
    for text in ("3 of 4", "missed", "colours.avi", "colours.tflite", "red, not blue"):
        assert text in page


def test_names_are_escaped(edgekit: Edgekit, video: Path, model: Path, tmp_path: Path) -> None:
    hostile = '<script>"&'
    labels, truth, report = (tmp_path / name for name in ("labels.txt", "t.json", "r.html"))
    labels.write_text(f"red\n{hostile}\nblue\n")
    rows = [{"start": 0, "end": 2, "label": "red"}, {"start": 2, "end": 4, "label": hostile}]
    truth.write_text(json.dumps(rows))
    edgekit("evaluate", model, video, "--truth", truth, "--report", report, "--labels", labels)
    assert "<script" not in report.read_text()


def test_pictures_are_bounded(edgekit: Edgekit, model: Path, tmp_path: Path) -> None:
    video = write_video(tmp_path / "v.avi", ["red"] + ["green", "green", "red"] * 20)
    truth, report = tmp_path / "t.csv", tmp_path / "r.html"
    truth.write_text(HEAD + "0,10,red\n")
    base = ("evaluate", model, video, "--truth", truth, "--report", report, *STILL)
    assert "mistakes    20" in edgekit(*base, "--pictures", 7).stdout
    page = report.read_text()
    assert page.count("data:image/jpeg") == 7
    assert "The longest 7 of 20" in page


def test_failures_are_one_line(
    edgekit: Edgekit, model: Path, video: Path, truth: Path, tmp_path: Path
) -> None:
    late = tmp_path / "late.csv"
    late.write_text(HEAD + "100,200,red\n")
    assert "are the times seconds?" in failure(edgekit("evaluate", model, video, "--truth", late))
    late.write_text(HEAD + "0,1,red\n100,200,red\n")
    done = edgekit("evaluate", model, video, "--truth", late)
    assert "1 intervals lie behind the recording's end" in done.stderr
    none = tmp_path / "none.csv"
    assert "cannot read" in failure(edgekit("evaluate", model, video, "--truth", none))
    nowhere = ("--report", tmp_path / "no" / "r.html")
    assert "does not exist" in failure(
        edgekit("evaluate", model, video, "--truth", truth, *nowhere)
    )
    for path in (model, video, truth):
        before = path.read_bytes()
        done = edgekit("evaluate", model, video, "--truth", truth, "--report", path)
        assert f"{path} is read here, and would be lost" in failure(done)
        assert path.read_bytes() == before
    assert edgekit("evaluate", model, video).exit_code == 2
    assert edgekit("evaluate", model, tmp_path, "--config", late).exit_code == 2
    beside = edgekit("evaluate", model, video, "--truth", truth, "--compare", model)
    assert beside.exit_code == 2
    assert "edgekit compare" in beside.stderr


def test_the_daemons_configuration_says_it_too(
    edgekit: Edgekit, video: Path, truth: Path, tmp_path: Path
) -> None:
    model, config = tiny_model(tmp_path / "m.tflite"), tmp_path / "edgekit.toml"
    config.write_text('source = "test:"\nchannels = "bgr"\n')
    base = ("evaluate", model, video, "--truth", truth, "--json", *STILL)
    found = json.loads(edgekit(*base, "--config", config).stdout)
    assert found["model"] < json.loads(edgekit(*base).stdout)["model"]
    again = edgekit(*base, "--config", config, "--channels", "rgb")
    assert json.loads(again.stdout)["model"] == json.loads(edgekit(*base).stdout)["model"]


def test_every_key_is_explained(edgekit: Edgekit, model: Path, video: Path, truth: Path) -> None:
    found = json.loads(edgekit("evaluate", model, video, "--truth", truth, "--json").stdout)
    keys = [*found, *found["calibration"], *found["drift"], *found["decision"]]
    page = (Path(__file__).parents[3] / "docs" / "offline.md").read_text(encoding="utf-8")
    assert [key for key in keys if f"`{key}`" not in page] == []
