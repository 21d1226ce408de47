"""`edgekit evaluate` on folders of labelled pictures."""

import json
import re
from pathlib import Path

import pytest

from edgekit.offline import folder_evaluation
from tests.recordings import SHADES, Edgekit, failure, write_pictures
from tests.tiny import tiny_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eight pictures, one of them in the wrong folder."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    write_pictures(folder / "red", ["red", "red", "red"])
    write_pictures(folder / "green", ["green"])
    write_pictures(folder / "blue", ["blue", "red", "blue", "blue"])
    return folder


def test_pictures_are_evaluated(
    edgekit: Edgekit, model: Path, folder: Path, tmp_path: Path
) -> None:
    found = json.loads(edgekit("evaluate", model, folder, "--json").stdout)
    assert (found["images"], found["top1"], found["top5"]) == (8, 0.875, 1.0)
    (folder / "red" / "notes.txt").touch()
    assert (
        f"edgekit: {folder.name}: left out 1 file: 1 .txt"
        in edgekit("evaluate", model, folder).stderr
    )
    assert "is not a folder" in failure(edgekit("evaluate", model, tmp_path / "nowhere"))
    assert "give each class a folder" in failure(edgekit("evaluate", model, folder / "red"))


def test_what_is_missing_or_left_out_of_pictures_is_told(
    edgekit: Edgekit, model: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    write_pictures(folder / "Red", ["red", "red"])
    done = edgekit("evaluate", model, folder, "--json")
    assert json.loads(done.stdout)["top1"] == 1
    assert "not spelt like their classes: Red is red" in done.stderr
    assert "2 of 3 classes have no pictures: green, blue" in done.stderr
    write_pictures(folder / "yellow", ["red"])
    assert "yellow is not named like" in failure(edgekit("evaluate", model, folder))


def test_a_model_without_a_manifest_is_fed_as_the_options_say(
    edgekit: Edgekit, tmp_path: Path
) -> None:
    model = tiny_model(tmp_path / "m.tflite", dtype="FLOAT32")
    folder = tmp_path / "pictures"
    folder.mkdir()
    write_pictures(folder / "red", ["red"])
    assert "pass --normalization" in failure(edgekit("evaluate", model, folder))
    base = ("evaluate", model, folder, "--normalization", "0..1", "--json")
    assert json.loads(edgekit(*base).stdout)["top1"] == 1
    assert json.loads(edgekit(*base, "--channels", "bgr").stdout)["top1"] == 0
    assert "m.tflite has no manifest; pixels normalized to 0..1 (bgr), as --normalization" in (
        edgekit(*base, "--channels", "bgr").stderr
    )


def test_json_has_all_figures_by_documented_names(
    edgekit: Edgekit, model: Path, folder: Path
) -> None:
    found = json.loads(edgekit("evaluate", model, folder, "--json").stdout)
    assert list(found) == [
        "model", "sha256", "runtime", "accelerator", "images", "top1", "top1_interval", "top5",
        "top5_interval", "latency_ms", "latency_spread_ms", "calibration", "uncalibrated",
        "file_confidence", "classes", "confusion", "mistakes", "surest_mistakes", "seconds",
        "notes",
    ]  # fmt: skip
    assert found["classes"][2] == {
        "label": "blue", "index": 2, "images": 4, "answers": 3, "right": 3,
        "recall": 0.75, "recall_interval": [0.300642, 0.954413],
        "precision": 1.0, "precision_interval": [0.438503, 1.0],
    }  # fmt: skip
    assert {"truth": "blue", "answer": "red", "images": 1} in found["confusion"]
    assert found["mistakes"] == 1
    mistake = found["surest_mistakes"][0]
    assert (mistake["picture"], mistake["truth"], mistake["answer"]) == (
        "blue/0001.png",
        "blue",
        "red",
    )
    low, high = found["latency_spread_ms"]
    assert low <= found["latency_ms"] <= high


def test_every_key_is_explained(edgekit: Edgekit, model: Path, folder: Path) -> None:
    done = edgekit("evaluate", model, folder, "--compare", model, "--json")
    found = json.loads(done.stdout)
    keys = [*found, *found["comparison"], *found["calibration"], *found["calibration"]["bins"][0]]
    page = (Path(__file__).parents[3] / "docs" / "offline.md").read_text(encoding="utf-8")
    assert [key for key in keys if f"`{key}`" not in page] == []


def test_a_person_reads_a_table_with_the_worst_class_first(
    edgekit: Edgekit, model: Path, folder: Path
) -> None:
    shown = edgekit("evaluate", model, folder).stdout
    assert "top-1       87.50% (95% interval 52.9 to 97.8)" in shown
    assert "top-5" not in shown  # of three classes
    rows = [line.split() for line in shown.splitlines()[-3:]]
    assert rows[0] == ["4", "75.0%", "30–95", "3", "100.0%", "44–100", "blue"]
    assert [row[-1] for row in rows] == ["blue", "red", "green"]


def test_the_report_is_one_closed_file_with_the_surest_mistakes(
    edgekit: Edgekit, model: Path, folder: Path, tmp_path: Path
) -> None:
    report = tmp_path / "report.html"
    write_pictures(folder / "blue" / "more", ["green", "green"])
    done = edgekit("evaluate", model, folder, "--report", report, "--pictures", 2)
    assert f"report      {report}" in done.stdout
    page = report.read_text(encoding="utf-8")
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    assert "<script" not in page
    assert page.count('src="data:image/jpeg') == 2
    for text in ("The surest 2 of 3", "blue/more/0000.png", "Reliability diagram", "70.0%"):
        assert text in page


def test_a_second_model_answers_the_same_pictures(
    edgekit: Edgekit, folder: Path, model: Path, tmp_path: Path
) -> None:
    # B has red and green in each other's places, and its classes in another order.
    other = tiny_model(tmp_path / "other.tflite", labels=b"green\nred\nblue\n")
    report = tmp_path / "report.html"
    base = ("evaluate", model, folder, "--compare", other)
    found = json.loads(edgekit(*base, "--json", "--report", report).stdout)["comparison"]
    assert (found["b"]["top1"], found["agreement"]) == (0.375, 0.375)
    assert [found[key] for key in ("both_right", "only_a_right", "only_b_right")] == [3, 4, 0]
    assert (found["none_right"], found["p_value"], found["differences"]) == (1, 0.125, 5)
    assert found["surest_differences"][0]["a"]["answer"] == "red"
    page = report.read_text(encoding="utf-8")
    assert "A alone 4, B alone 0" in page
    assert "p = 0.12 (McNemar's exact test)" in edgekit(*base).stdout


def test_models_of_other_classes_are_refused_before_a_picture_is_read(
    edgekit: Edgekit, folder: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tiny_model(tmp_path / "other.tflite", labels=b"red\ngreen\nviolet\n")
    monkeypatch.delattr("edgekit.offline.labelled_pictures.read_image")
    done = edgekit("evaluate", model, folder, "--compare", other)
    said = failure(done)
    assert "evaluating" not in done.stderr
    assert "different classes, 3 and 3: only colours.tflite has blue; compare models" in said


def test_no_report_takes_the_place_of_what_is_read(
    edgekit: Edgekit, folder: Path, model: Path, tmp_path: Path
) -> None:
    other = tiny_model(tmp_path / "other.tflite")
    for path in (model, other, folder / "red" / "0000.png"):
        before = path.read_bytes()
        done = edgekit("evaluate", model, folder, "--compare", other, "--report", path)
        assert f"{path} is read here, and would be lost" in failure(done)
        assert path.read_bytes() == before


def test_a_damaged_picture_stops_it_and_nothing_is_written(
    edgekit: Edgekit, folder: Path, model: Path, tmp_path: Path
) -> None:
    report = tmp_path / "report.html"
    (folder / "red" / "0001.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    said = failure(edgekit("evaluate", model, folder, "--report", report))
    assert str(folder / "red" / "0001.png") in said
    assert not report.exists()


def test_an_interrupted_run_writes_nothing(
    edgekit: Edgekit, folder: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(folder_evaluation, "top_k", interrupt)
    report = tmp_path / "report.html"
    assert edgekit("evaluate", model, folder, "--report", report).exit_code != 0
    assert list(tmp_path.iterdir()) == [folder]


def test_names_are_escaped(edgekit: Edgekit, model: Path, tmp_path: Path) -> None:
    labels, report = tmp_path / "labels.txt", tmp_path / "r.html"
    labels.write_text('red\n<script>"&\n猫\n')
    folder = tmp_path / "pictures"
    folder.mkdir()
    write_pictures(folder / '<script>"&', list(SHADES))
    edgekit("evaluate", model, folder, "--report", report, "--labels", labels)
    assert "<script" not in report.read_text(encoding="utf-8")


def test_a_name_that_is_no_unicode_is_shown_with_question_marks(
    edgekit: Edgekit, model: Path, tmp_path: Path
) -> None:
    written, folder = tmp_path / "written", tmp_path / "caf\udce9"
    written.mkdir()
    write_pictures(written / "red", ["green"])
    (written / "red" / "0000.png").rename(written / "red" / "\udcff<b>.png")
    (written / "\udce9.txt").touch()
    written.rename(folder)
    report = tmp_path / "r.html"
    found = json.loads(edgekit("evaluate", model, folder, "--json", "--report", report).stdout)
    assert found["surest_mistakes"][0]["picture"] == "red/?<b>.png"
    assert "red/?&lt;b&gt;.png" in report.read_text(encoding="utf-8")


def test_a_table_may_name_pictures_that_lie_elsewhere(
    edgekit: Edgekit, model: Path, folder: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    path = folder / "red" / "0000.png"
    (other / "labels.tsv").write_text(f"{path}\tblue\n../pictures/red/0001.png\tgreen\n")
    found = json.loads(edgekit("evaluate", model, other, "--json").stdout)
    assert [one["picture"] for one in found["surest_mistakes"]] == [
        str(path),
        "../pictures/red/0001.png",
    ]
