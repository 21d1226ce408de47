"""How calibration pictures are shared out, and read again."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from edgekit_convert.pictures import (
    Pictures,
    hold_out,
    load_calibration,
    load_evaluation,
    untouched,
)

from edgekit.model.geometry import Geometry
from edgekit.offline.recording import Recording
from edgekit.vision.preprocess import cut, prepare
from edgekit.vision.view import Region, ViewSettings
from tests.core.offline.test_view import write_clip


def made_up(count: int) -> Pictures:
    """So many pictures of one black pixel."""
    tensors = np.zeros((count, 1, 1, 3), np.uint8)
    return Pictures(tensors, [f"picture {number}" for number in range(count)], "")


@pytest.mark.parametrize(
    ("count", "held"), [(2, 1), (12, 3), (40, 10), (60, 12), (100, 20), (200, 40), (2000, 100)]
)
def test_a_fifth_is_held_out_and_of_few_pictures_up_to_a_quarter(count: int, held: int) -> None:
    fitted, held_out = hold_out(made_up(count), seed=0)
    assert len(held_out.names) == held
    assert sorted(fitted.names + held_out.names) == sorted(made_up(count).names)


def test_the_seed_decides_which() -> None:
    first, again, other = (hold_out(made_up(100), seed)[1].names for seed in (1, 1, 2))
    assert first == again != other


def test_what_is_left_out_of_a_folder_is_noted(tmp_path: Path) -> None:
    for number in range(12):
        cv2.imwrite(str(tmp_path / f"f{number}.png"), np.full((8, 8, 3), number, np.uint8))
    for name in ("notes.txt", "film.mp4", "._f1.png"):
        (tmp_path / name).touch()
    geometry = Geometry(8, 8)
    for pictures in (
        load_calibration(tmp_path, geometry, lambda _: None),
        load_evaluation(tmp_path, ["a"], geometry, lambda _: None),
    ):
        assert pictures.tensors[:, 0, 0, 0].tolist() == list(range(12))
        assert pictures.notes == ("left out 2 files: 1 .mp4, 1 .txt",)


def test_of_whole_frames_the_region_is_used_that_the_device_looks_at(tmp_path: Path) -> None:
    pixels = np.zeros((16, 32, 3), np.uint8)
    pixels[:, 16:] = 200
    cv2.imwrite(str(tmp_path / "a.png"), pixels)
    right, none = Region(0.5, 0, 0.5, 1), lambda _: None
    for pictures in (
        load_calibration(tmp_path, Geometry(8, 8), none, right),
        load_evaluation(tmp_path, ["a"], Geometry(8, 8), none, region=right),
    ):
        assert (pictures.tensors == 200).all()
        assert pictures.notes == ("of each picture the region 0.5, 0, 0.5, 1 is used",)
    (whole,) = untouched(tmp_path, ["a.png"], right)
    assert whole.shape == (16, 16, 3) and (whole == 200).all()


def test_of_a_clip_what_its_model_looked_at_is_used(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.clip", ViewSettings(region=(0, 0, 0.5, 0.5)))
    none, frames = lambda _: None, list(Recording(clip))
    for region, given in ((frames[0].region, None), (Region(0, 0, 1, 1), Region(0, 0, 1, 1))):
        pictures = load_calibration(clip, Geometry(4, 4), none, given)
        assert region is not None
        for tensor, frame in zip(pictures.tensors, frames, strict=True):
            assert np.array_equal(tensor, prepare(frame.pixels, Geometry(4, 4), region)[0])
        again = list(untouched(clip, pictures.names, given))
        assert [one.shape for one in again] == [cut(f.pixels, region).shape for f in frames]


def test_system_folders_do_not_make_a_folder_one_of_classes(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "@eaDir" / "a.png").mkdir(parents=True)
    pictures = load_evaluation(tmp_path, ["a"], Geometry(8, 8), lambda _: None)
    assert (pictures.names, pictures.truth) == (["a.png"], None)


@pytest.mark.parametrize("kind", ["folder", "video"])
def test_pictures_can_be_read_again_at_their_own_size(tmp_path: Path, kind: str) -> None:
    source = tmp_path / "pictures"
    frames = [np.full((48, 64, 3), 40 * number, np.uint8) for number in range(6)]
    if kind == "folder":
        (source / "below").mkdir(parents=True)
        for number, frame in enumerate(frames):
            cv2.imwrite(str(source / "below" / f"{number}.png"), frame)
    else:
        source = tmp_path / "clip.avi"
        codec = cv2.VideoWriter.fourcc(*"MJPG")
        writer = cv2.VideoWriter(str(source), codec, 10, (64, 48))
        for frame in frames:
            writer.write(frame)
        writer.release()
    pictures = load_calibration(source, Geometry(8, 8), lambda done: None)
    chosen = pictures.of(np.array([1, 4]))
    again = list(untouched(source, chosen.names))
    assert [picture.shape for picture in again] == [(48, 64, 3)] * 2
    for picture, tensor in zip(again, chosen.tensors, strict=True):
        assert abs(int(picture.mean()) - int(tensor.mean())) <= 1
