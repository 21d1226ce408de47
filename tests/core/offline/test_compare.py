"""`edgekit compare`: two models on the same frames."""

import json
import re
import zipfile
from pathlib import Path

import cv2
import pytest

from edgekit.offline import lettering
from edgekit.offline.drift_course import DriftCourse
from tests.core.offline.profiles import profile
from tests.recordings import Edgekit, failure, write_pictures, write_video


def _swapped(model: Path, labels: str) -> Path:
    """The same model with other names for its classes."""
    other = model.with_name("swapped.tflite")
    content = model.read_bytes()
    other.write_bytes(content[: content.index(b"PK\x03\x04")])
    with zipfile.ZipFile(other, "a") as texts:
        texts.writestr("labels.txt", labels)
    return other


def test_a_model_agrees_with_itself(edgekit: Edgekit, model: Path, video: Path) -> None:
    done = edgekit("compare", video, "--model", model, "--model", model, "--json")
    found = json.loads(done.stdout)
    assert (found["frames"], found["model"], found["decided"]) == (40, 1, 1)
    assert found["disagreements"] == 0
    assert found["classes"][0] == {"label": "red", "a": 20, "b": 20, "both": 20}


def test_disagreements_are_counted_and_drawn(
    edgekit: Edgekit, model: Path, video: Path, tmp_path: Path
) -> None:
    other = _swapped(model, "red\nblue\nlime\n")
    sheet = tmp_path / "sheet.png"
    base = ("compare", video, "--model", model, "--model", other)
    found = json.loads(edgekit(*base, "--sheet", sheet, "--json").stdout)
    assert (found["model"], found["disagreements"]) == (0.5, 2)
    classes = {one["label"]: (one["a"], one["b"], one["both"]) for one in found["classes"]}
    assert classes == {
        "red": (20, 20, 20), "green": (10, 0, 0), "blue": (10, 10, 0), "lime": (0, 10, 0),
    }  # fmt: skip
    low, high = found["model_interval"]
    assert 0 < low < 0.5 < high < 1
    drawn = cv2.imread(str(sheet))
    assert drawn is not None
    assert drawn.shape[1] > 900
    shown = edgekit(*base).stdout
    assert "model    the same for 50.0% of frames" in shown
    assert ["red", "20", "20", "20", "100.0%"] in [line.split() for line in shown.splitlines()]


def test_scores_drift_and_settings_are_those_of_each_model(
    edgekit: Edgekit, model: Path, video: Path, tmp_path: Path
) -> None:
    report = tmp_path / "report.html"
    base = ("compare", video, "--model", model, "--model", model, "--report", report)
    done = edgekit(*base)
    assert re.search(r"scores   A (0\.\d{3}) and B \1 on average.*; 0\.000 apart", done.stdout)
    assert "drift    A: not told: the model file has no profile" in done.stdout
    assert "drift    B: not told" in done.stdout
    assert done.stderr.count("decision: ") == 1
    found = json.loads(edgekit(*base, "--json").stdout)
    assert found["a"]["mean_score"] == found["b"]["mean_score"] > 0.9
    assert found["scores_apart"] == 0
    assert found["a"]["drift"][0]["recording"] == "colours.avi"
    (used,) = found["decisions"]
    assert (used["source"], used["held_for"]) == (
        "the defaults", ["A on colours.avi", "B on colours.avi"],
    )  # fmt: skip
    assert "Mean best score" in report.read_text()


def test_drift_has_a_lane_for_each_model(
    edgekit: Edgekit, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, report = write_pictures(tmp_path / "dark", ["black"] * 125), tmp_path / "report.html"
    profiles = iter([profile(), None])
    monkeypatch.setattr("edgekit.offline.player.DriftCourse", lambda _: DriftCourse(next(profiles)))
    models = ("--model", model, "--model", model)
    done = edgekit("compare", folder, *models, "--report", report)
    assert re.search("drift    A: .* to 2:04: .*darker than", done.stdout)
    assert "drift    B: not told: the model file has no profile" in done.stdout
    page = report.read_text()
    assert "Drift of A</strong>" in page and "Drift of B" not in page
    lanes = page.count('class="lane drift"')
    assert lanes == 2 * page.count('class="lane wrong"') > 0


def test_the_report_is_one_closed_file_with_every_disagreement(
    edgekit: Edgekit, model: Path, video: Path, tmp_path: Path
) -> None:
    other = _swapped(model, "red\nblue\nli<me>\n")
    report = tmp_path / "report.html"
    base = ("compare", video, "--model", model, "--model", other, "--report", report)
    assert edgekit(*base).exit_code == 0
    page = report.read_text(encoding="utf-8")
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    assert "<script" not in page and "<me>" not in page and "li&lt;me&gt;" in page
    assert page.count('src="data:image/jpeg') == 2
    # Of smoothed labels, too, green is blue for B, and blue is li<me>.
    assert page.count("<i ") == 2
    for text in ("colours.tflite", "swapped.tflite", "50.0%", "All 2", "A green, B blue"):
        assert text in page


def test_the_report_of_a_folder_has_a_timeline_for_each_clip(
    edgekit: Edgekit, model: Path, tmp_path: Path
) -> None:
    folder, report = tmp_path / "clips", tmp_path / "report.html"
    folder.mkdir()
    for name in ("a", "b"):
        video = write_video(tmp_path / f"{name}.avi", ["red"] * 10)
        edgekit("record", "--model", model, "--source", video, "--output", folder / f"{name}.clip")
    edgekit("compare", folder, "--model", model, "--model", model, "--report", report)
    page = report.read_text(encoding="utf-8")
    assert "<h3>a.clip</h3>" in page and "<h3>b.clip</h3>" in page
    assert "in 2 recordings" in page
    assert "both models give every frame the same best class" in page


def test_names_that_no_font_here_has_are_told(
    edgekit: Edgekit, model: Path, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = _swapped(model, "red\n猫\nlime\n")
    words = ("compare", video, "--model", model, "--model", other, "--sheet", tmp_path / "a.png")
    monkeypatch.setattr(lettering, "_font_with", lambda letters: None)
    said = edgekit(*words).stderr
    assert f"{tmp_path / 'a.png'}: 猫 is written \\u732b, and so on for 1 of " in said
    monkeypatch.setattr("edgekit.commands.compare.is_written", lambda name: True)
    assert "is written" not in edgekit(*words).stderr


def test_too_little_agreement_fails(edgekit: Edgekit, model: Path, video: Path) -> None:
    other = _swapped(model, "red\nblue\ngreen\n")
    base = ("compare", video, "--model", model, "--model", other, "--min-agreement")
    assert "only, not 99.0%" in failure(edgekit(*base, 0.99))
    assert edgekit(*base, 0.3).exit_code == 0


def test_a_folder_of_clips_counts_as_one(edgekit: Edgekit, model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    for name in ("a", "b"):
        video = write_video(tmp_path / f"{name}.avi", ["red"] * 10)
        edgekit("record", "--model", model, "--source", video, "--output", folder / f"{name}.clip")
    (folder / "notes.txt").touch()
    (folder / "._a.clip").touch()
    pictures = write_pictures(tmp_path / "pictures", ["red", "blue"])
    for path, frames in ((folder, 20), (pictures, 2)):
        done = edgekit("compare", path, "--model", model, "--model", model, "--json")
        assert json.loads(done.stdout)["frames"] == frames
        told = "edgekit: clips: left out 1 file: 1 .txt" in done.stderr
        assert told == (path == folder)


def test_nothing_that_is_read_is_overwritten(
    edgekit: Edgekit, model: Path, video: Path, tmp_path: Path
) -> None:
    pictures = write_pictures(tmp_path / "pictures", ["red", "blue"])
    before = {path: path.read_bytes() for path in (model, video, *pictures.iterdir())}
    models = ("--model", model, "--model", model)
    for source, output in (
        (video, video), (video, model), (pictures, pictures / "0000.png"),
    ):  # fmt: skip
        for option in ("--sheet", "--report"):
            done = edgekit("compare", source, *models, option, output)
            assert "is read here, and would be lost" in failure(done)
    done = edgekit("compare", video, *models, "--sheet", tmp_path / "a", "--report", tmp_path / "a")
    assert "written twice" in failure(done)
    # It would be a frame of the next comparison.
    done = edgekit("compare", pictures, *models, "--sheet", pictures / "sheet.png")
    assert "would be one of the pictures in" in failure(done)
    assert {path: path.read_bytes() for path in before} == before
    assert not (pictures / "sheet.png").exists()


def test_failures_are_one_line(edgekit: Edgekit, model: Path, video: Path) -> None:
    assert edgekit("compare", video, "--model", model).exit_code == 2
    other = _swapped(model, "one\ntwo\nthree\n")
    done = edgekit("compare", video, "--model", model, "--model", other)
    assert "no class in common" in failure(done)
