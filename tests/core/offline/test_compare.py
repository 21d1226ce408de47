"""`edgekit compare`: two models on the same frames."""

import json
import zipfile
from pathlib import Path

import cv2

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
    pictures = write_pictures(tmp_path / "pictures", ["red", "blue"])
    for path, frames in ((folder, 20), (pictures, 2)):
        done = edgekit("compare", path, "--model", model, "--model", model, "--json")
        assert json.loads(done.stdout)["frames"] == frames


def test_failures_are_one_line(edgekit: Edgekit, model: Path, video: Path) -> None:
    assert edgekit("compare", video, "--model", model).exit_code == 2
    other = _swapped(model, "one\ntwo\nthree\n")
    done = edgekit("compare", video, "--model", model, "--model", other)
    assert "no class in common" in failure(done)
