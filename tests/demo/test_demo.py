"""The demo's renderer, its truth and its contact sheet; nothing here trains."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from demo import fixtures
from demo.scene import CLASSES, FRAMES_PER_PASS, random_picture, write_clip, write_pictures
from demo.sheet import write_sheet
from edgekit.vision.pictures import read_image
from edgekit.vision.videos import read_video

PASSES = 6


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A clip with each toy once, and its truth."""
    folder = tmp_path_factory.mktemp("clip")
    write_clip(folder / "clip.avi", folder / "truth.json", passes=PASSES)
    return folder / "clip.avi", folder / "truth.json"


@pytest.mark.parametrize("label", CLASSES)
def test_same_seed_renders_the_same_picture_and_another_does_not(label: str) -> None:
    first, again, other = (random_picture(label, np.random.default_rng(s)) for s in (5, 5, 6))
    assert first.shape == (240, 320, 3) and first.dtype == np.uint8
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("label", [name for name in CLASSES if name != "nothing"])
def test_toy_is_there(label: str) -> None:
    # The background comes first from the generator, so both pictures have the same.
    toy, empty = (random_picture(name, np.random.default_rng(8)) for name in (label, "nothing"))
    edges = [int((cv2.Canny(picture, 60, 160) > 0).sum()) for picture in (toy, empty)]
    assert edges[0] > edges[1] + 100


def test_clip_has_a_truth_for_every_frame(clip: tuple[Path, Path]) -> None:
    truth = json.loads(clip[1].read_text())
    frames = [frame for _, frame in read_video(clip[0])]
    assert len(frames) == len(truth) == PASSES * FRAMES_PER_PASS
    assert {frame.shape for frame in frames} == {(240, 320, 3)}


def test_each_toy_is_in_view_and_counted_about_as_long(clip: tuple[Path, Path]) -> None:
    truth = json.loads(clip[1].read_text())
    assert set(truth) == {*CLASSES, None}
    in_view = [truth.count(label) for label in CLASSES if label != "nothing"]
    assert min(in_view) >= FRAMES_PER_PASS // 4
    assert max(in_view) <= 2 * min(in_view)


def test_clip_is_the_same_each_time(clip: tuple[Path, Path], tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.avi", tmp_path / "truth.json", passes=PASSES)
    assert (tmp_path / "truth.json").read_bytes() == clip[1].read_bytes()
    pairs = zip(read_video(tmp_path / "clip.avi"), read_video(clip[0]), strict=True)
    assert all(np.array_equal(a, b) for (_, a), (_, b) in pairs)


def test_pictures_are_balanced_and_differ_between_seeds(tmp_path: Path) -> None:
    for seed in (1, 2):
        write_pictures(tmp_path / str(seed), per_class=2, seed=seed)
    for label in CLASSES:
        files = sorted((tmp_path / "1" / label).iterdir())
        assert [file.name for file in files] == ["0000.jpg", "0001.jpg"]
        other = read_image(tmp_path / "2" / label / "0000.jpg")
        assert not np.array_equal(read_image(files[0]), other)


def test_sheet_is_a_png_that_shows_a_wrong_answer_in_red(
    clip: tuple[Path, Path], tmp_path: Path
) -> None:
    truth = json.loads(clip[1].read_text())
    right = [(label or "nothing", 0.9) for label in truth]
    wrong = [("nothing", 0.9)] * len(truth)
    reds = []
    for name, answers in (("right.png", right), ("wrong.png", wrong)):
        write_sheet(tmp_path / name, clip[0], answers, clip[1], "a title")
        assert (tmp_path / name).read_bytes()[:4] == b"\x89PNG"
        sheet = read_image(tmp_path / name)
        assert sheet.shape[1] == 1254 and sheet.shape[0] > 700
        reds.append(int((sheet == (205, 48, 44)).all(axis=2).sum()))
    assert reds[0] == 0 and reds[1] > 1000


def test_material_is_reused_until_the_recipe_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[Path] = []

    def train(checkpoint: Path) -> float:
        checkpoint.write_bytes(b"weights")
        trained.append(checkpoint)
        return 1.0

    monkeypatch.setattr("demo.train.train", train)
    monkeypatch.setattr(fixtures, "write_pictures", lambda folder, **_: folder.mkdir(exist_ok=True))
    monkeypatch.setattr(
        fixtures, "write_clip", lambda clip, truth: (clip.touch(), truth.write_text("[]"))
    )
    material = fixtures.make_material(tmp_path)
    assert material.classes.read_text().split() == CLASSES
    fixtures.make_material(tmp_path)
    assert len(trained) == 1
    material.clip.unlink()
    fixtures.make_material(tmp_path)
    assert len(trained) == 2 and material.clip.exists()
    (tmp_path / "recipe.sha256").write_text("another\n")
    fixtures.make_material(tmp_path)
    assert len(trained) == 3
