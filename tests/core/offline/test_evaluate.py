"""`edgekit evaluate` on recordings and on pictures."""

import json
import re
from pathlib import Path

import pytest

from edgekit.offline.statistics import BLOCK, FrameFraction, wilson
from edgekit.offline.timeline import Run, differences, rows
from tests.recordings import Edgekit, failure, write_pictures, write_video

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


def test_a_clip_is_evaluated_as_the_video_it_was_recorded_from(
    edgekit: Edgekit, model: Path, video: Path, truth: Path, tmp_path: Path
) -> None:
    clip = tmp_path / "a.clip"
    edgekit("record", "--model", model, "--source", video, "--output", clip)
    runs = [edgekit("evaluate", model, one, "--truth", truth, "--json") for one in (video, clip)]
    one, other = (json.loads(run.stdout) for run in runs)
    del one["seconds"], other["seconds"]
    assert one == other


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
    assert edgekit("evaluate", model, video).exit_code == 2
    assert edgekit("evaluate", model, tmp_path, "--report", late).exit_code == 2


def test_pictures_are_evaluated_as_before(edgekit: Edgekit, model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    write_pictures(folder / "red", ["red", "red", "red"])
    write_pictures(folder / "green", ["green"])
    write_pictures(folder / "blue", ["blue", "red", "blue", "blue"])
    found = json.loads(edgekit("evaluate", model, folder, "--json").stdout)
    assert (found["images"], found["top1"], found["top5"]) == (8, 0.875, 1.0)
    assert "no folder of pictures" not in edgekit("evaluate", model, folder).output
    assert "is not a folder" in failure(edgekit("evaluate", model, tmp_path / "nowhere"))


def test_frames_that_are_alike_widen_the_interval() -> None:
    independent, alike = FrameFraction(), FrameFraction()
    for number in range(1000):
        independent.add(number % 10 != 0, number * BLOCK)
        alike.add(number // 100 != 3, number * BLOCK / 100)
    assert independent.value == alike.value == 0.9
    low, high = wilson(0.9, 1000)
    assert independent.interval() == pytest.approx((low, high), abs=1e-4)
    assert alike.interval()[0] < low - 0.2


def test_no_mistake_in_one_scene_proves_little() -> None:
    share = FrameFraction()
    for number in range(1000):
        share.add(True, number / 1000)
    assert share.interval() == pytest.approx(wilson(1, 1))


def test_differences_are_where_both_are_known_and_differ() -> None:
    truths = [Run("a", 0, 4), Run(None, 4, 6), Run("b", 6, 10)]
    answers = [Run("a", 0, 3), Run("b", 3, 7), Run("a", 7, 10)]
    spans = [(one.start, one.end, one.label) for one in differences(truths, answers)]
    assert spans == [(3, 4, "b, not a"), (7, 10, "a, not b")]


def test_a_long_timeline_stays_small() -> None:
    flicker = [Run("ab"[n % 2], n / 10, (n + 1) / 10) for n in range(100_000)]
    truths = [Run("a", 0, 10_000)]
    timeline = rows(truths, flicker, ["a", "b"])
    assert len(timeline) <= 8
    assert sum(len(row.lower) + len(row.different) for row in timeline) < 25_000
