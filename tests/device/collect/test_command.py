"""`edgekit collect`: varied pictures from a camera or a recording."""

import os
import signal
from pathlib import Path

import cv2
import numpy as np
import pytest
from edgekit_device.collect import command as collect_command
from edgekit_device.collect.selection import Selection
from numpy.typing import NDArray

from edgekit.errors import OutputError
from edgekit.files import write_atomically
from edgekit.vision.folders import image_files
from edgekit.vision.videos import read_video
from tests.recordings import Edgekit, failure, write_pictures, write_video


def _scene(seed: int) -> NDArray[np.uint8]:
    """A random scene with edges of its own."""
    cells = np.random.default_rng(seed).integers(30, 226, (6, 8, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(cells, (160, 120), interpolation=cv2.INTER_NEAREST), np.uint8)


def _noisy(pixels: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed).normal(0, 3, pixels.shape)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)


def test_near_duplicates_are_kept_once() -> None:
    selection = Selection(10)
    for position in range(60):
        selection.offer(position, position / 10, _noisy(_scene(position // 20), position))
    assert len(selection.kept) == 3
    assert selection.alike == 57


def test_black_blank_and_blurred_frames_are_left_out() -> None:
    selection = Selection(100)
    for position in range(10):
        assert selection.offer(position, position, _scene(position)) is not None
    assert selection.offer(10, 10, np.zeros((120, 160, 3), np.uint8)) is None
    assert selection.offer(11, 11, np.full((120, 160, 3), 90, np.uint8)) is None
    assert selection.offer(12, 12, _noisy(np.full((120, 160, 3), 4, np.uint8), 1)) is None
    blurred = np.asarray(cv2.GaussianBlur(_scene(77), (0, 0), 5), np.uint8)
    assert selection.offer(13, 13, blurred) is None
    assert (selection.dark, selection.blurred) == (3, 1)
    assert selection.offer(14, 14, _scene(77)) == []


def test_it_spreads_over_the_whole_time_and_never_holds_more() -> None:
    selection, files = Selection(12), set()
    for position in range(200):
        displaced = selection.offer(position, position * 5.0, _scene(position))
        if displaced is not None:
            files |= {position}
            files -= set(displaced)
        assert files == set(selection.kept)
        assert len(files) <= 12
    thirds = [sum(lower <= p < lower + 67 for p in selection.kept) for lower in (0, 67, 134)]
    assert min(thirds) >= 2


def test_rare_scenes_survive_common_ones() -> None:
    selection = Selection(5)
    for position in range(300):
        rare = position in (50, 150)
        pixels = _scene(1000 + position) if rare else np.roll(_scene(1), position % 7, axis=1)
        selection.offer(position, position, pixels)
    assert {50, 150} <= set(selection.kept)


def test_a_recording_becomes_a_folder_for_calibration(edgekit: Edgekit, tmp_path: Path) -> None:
    colours = ["red"] * 20 + ["black"] * 5 + ["green"] * 20 + ["blue"] * 20
    video = write_video(tmp_path / "v.avi", colours)
    folder = tmp_path / "pictures"
    done = edgekit("collect", "--source", video, "--output", folder, "--count", 10)
    assert done.exit_code == 0
    assert "kept 3 of 65 frames" in done.stderr
    assert "5 black or blank" in done.stderr
    frames = [pixels for _, pixels in read_video(video)]
    for file in image_files(folder):
        position = int(file.stem.removeprefix("frame-"))
        assert np.array_equal(cv2.imread(str(file))[..., ::-1], frames[position])


def test_a_camera_is_watched_for_a_time(edgekit: Edgekit, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    done = edgekit(
        "collect", "--source", "test:", "--output", folder, "--count", 5, "--max-seconds", 0.5
    )
    assert done.exit_code == 0
    assert 1 <= len(image_files(folder)) <= 5


def test_failures_are_one_line(edgekit: Edgekit, tmp_path: Path) -> None:
    dark = write_video(tmp_path / "dark.avi", ["black"] * 5)
    done = edgekit("collect", "--source", dark, "--output", tmp_path / "a")
    assert "none of 5 frames is of use" in failure(done)
    full = write_pictures(tmp_path / "full", ["red"])
    done = edgekit("collect", "--source", dark, "--output", full)
    assert "holds pictures already" in failure(done)
    done = edgekit("collect", "--source", tmp_path / "none.avi", "--output", tmp_path / "b")
    assert "no recording at" in failure(done)
    done = edgekit("collect", "--output", tmp_path / "b")
    assert "no source" in failure(done)
    (tmp_path / "file").touch()
    done = edgekit("collect", "--source", dark, "--output", tmp_path / "file" / "b")
    assert "cannot create the folder" in failure(done)


@pytest.mark.parametrize("place", ["a.png", "a.JPG", "mug/a.webp", "x/y/z/.a.tiff", "link/a.png"])
def test_a_folder_with_a_picture_at_any_depth_is_refused(
    edgekit: Edgekit, tmp_path: Path, place: str
) -> None:
    video = write_video(tmp_path / "v.avi", ["red"])
    folder, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    (folder / "link").symlink_to(elsewhere)
    (folder / "a loop").symlink_to(folder)
    picture = folder / place
    picture.parent.mkdir(parents=True, exist_ok=True)
    picture.touch()
    said = failure(edgekit("collect", "--source", video, "--output", folder))
    assert f"{folder} holds pictures already, {picture} for one" in said
    picture.unlink()
    (folder / "notes.txt").touch()
    assert edgekit("collect", "--source", video, "--output", folder).exit_code == 0
    assert [file.name for file in image_files(folder)] == ["frame-0000000.png"]


def test_pictures_are_not_put_among_those_they_are_chosen_from(
    edgekit: Edgekit, tmp_path: Path
) -> None:
    source = write_pictures(tmp_path / "photos", ["red", "blue"])
    done = edgekit("collect", "--source", source, "--output", source / "chosen")
    assert "lies among the pictures of --source" in failure(done)
    assert not (source / "chosen").exists()


def test_a_full_disk_is_named_with_what_was_kept(
    edgekit: Edgekit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Path] = []

    def write(path: Path, content: bytes) -> None:
        if written:
            raise OutputError(f"cannot write {path}: No space left on device")
        written.append(path)
        write_atomically(path, content)

    monkeypatch.setattr(collect_command, "write_atomically", write)
    source = write_pictures(tmp_path / "photos", ["red", "red", "blue"])
    folder = tmp_path / "pictures"
    assert failure(edgekit("collect", "--source", source, "--output", folder)) == (
        f"cannot write {folder}/frame-0000002.png: No space left on device; until then kept 1 of "
        f"3 frames in {folder}"
    )
    assert image_files(folder) == written


@pytest.mark.parametrize(("source", "aborted"), [("photos", True), ("test:", False)])
def test_ctrl_c_interrupts_a_recording_and_ends_a_camera(
    edgekit: Edgekit,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    source: str,
    aborted: bool,
) -> None:
    def write(path: Path, content: bytes) -> None:
        write_atomically(path, content)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(collect_command, "write_atomically", write)
    monkeypatch.chdir(tmp_path)
    write_pictures(tmp_path / "photos", ["red"] * 5)
    done = edgekit("collect", "--source", source, "--output", tmp_path / "out")
    assert "kept 1 of 1 frames" in done.stderr
    # The whole command makes 130 of it.
    assert ("Aborted!" in done.stderr) == aborted
    assert (done.exit_code == 0) != aborted


@pytest.mark.parametrize("count", [0, 1, 5000])
def test_the_count_is_bounded(edgekit: Edgekit, tmp_path: Path, count: int) -> None:
    done = edgekit("collect", "--source", "test:", "--output", tmp_path / "a", "--count", count)
    assert done.exit_code == 2


def test_pictures_are_whole_frames_turned_as_the_camera_is(
    edgekit: Edgekit, tmp_path: Path
) -> None:
    video, folder = write_video(tmp_path / "v.avi", ["red"]), tmp_path / "pictures"
    view = ("--view-rotate", 90, "--view-region", "0,0,0.5,1")
    done = edgekit("collect", "--source", video, "--output", folder, *view)
    assert done.exit_code == 0
    (file,) = image_files(folder)
    ((_, pixels),) = read_video(video)
    assert np.array_equal(cv2.imread(str(file))[..., ::-1], np.rot90(pixels, -1))
