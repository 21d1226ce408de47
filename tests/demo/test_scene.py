import json
from pathlib import Path

import numpy as np

from demo.scene import CLASSES, FRAMES_PER_PASS, random_picture, write_clip
from demo.sheet import contact_sheet
from edgekit.vision.videos import read_video


def test_pictures_are_the_same_for_a_seed() -> None:
    for label in CLASSES:
        first, second = (random_picture(label, np.random.default_rng(3)) for _ in range(2))
        assert first.shape == (240, 320, 3)
        assert np.array_equal(first, second)


def test_the_truth_has_an_entry_for_each_frame(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.avi", tmp_path / "truth.json", passes=6)
    truth = json.loads((tmp_path / "truth.json").read_text())
    frames = [frame for _, frame in read_video(tmp_path / "clip.avi")]
    assert len(frames) == len(truth) == 6 * FRAMES_PER_PASS
    assert set(truth) == {*CLASSES, None}
    sheet = contact_sheet(tmp_path / "clip.avi", [("mug", 0.5)] * len(truth), truth, "title")
    assert sheet.shape[2] == 3
    assert sheet.shape[1] > 1200
