"""Recordings of every kind, read frame by frame."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgekit.errors import EdgekitError, ImageError, SourceError
from edgekit.offline.clip import ClipWriter
from edgekit.offline.recording import Recording, progress
from edgekit.vision.encode import encode_png
from tests.core.offline.test_clip import HEADER, picture, record, write
from tests.device.sources.clips import write_uneven_clip
from tests.recordings import write_pictures, write_video


def test_videos_folders_and_clips_read_alike(tmp_path: Path) -> None:
    colours = ["red", "green", "blue"]
    for path, step in (
        (write_video(tmp_path / "v.avi", colours), 0.1),
        (write_pictures(tmp_path / "pictures", colours), 1.0),
        (write(tmp_path / "a.clip"), 1 / 3),
    ):
        recording = Recording(path)
        frames = list(progress(recording, "reading", lambda frame: frame))
        assert [frame.position for frame in frames] == [0, 1, 2]
        assert [frame.time for frame in frames] == pytest.approx([0, step, 2 * step])
        assert [frame.progress for frame in frames] == sorted({frame.progress for frame in frames})
        assert 0 < frames[-1].progress <= recording.length
        assert not recording.notes
        assert (recording.header is None) == (path.suffix != ".clip")
        assert [frame.time for frame in recording] == [frame.time for frame in frames]


def test_a_clip_is_one_whatever_its_name(tmp_path: Path) -> None:
    frames = list(Recording(write(tmp_path / "named.mp4")))
    assert [frame.time for frame in frames] == [0, 1 / 3, 2 / 3]
    for number, frame in enumerate(frames):
        assert (frame.position, frame.number) == (number, 2 * number)
        assert np.array_equal(frame.pixels, picture(number))
        assert frame.record is not None and frame.record.label == "cat"


def test_a_picture_lasts_a_second(tmp_path: Path) -> None:
    for value in (30, 10, 20):
        cv2.imwrite(str(tmp_path / f"{value}.png"), np.full((8, 8, 3), value, np.uint8))
    frames = list(Recording(tmp_path))
    assert [(frame.time, int(frame.pixels[0, 0, 0])) for frame in frames] == [
        (0.0, 10),
        (1.0, 20),
        (2.0, 30),
    ]
    (alone,) = Recording(tmp_path / "20.png")
    assert (alone.time, int(alone.pixels[0, 0, 0])) == (0.0, 20)


def test_a_folder_is_read_in_natural_order_and_what_is_left_out_is_told(tmp_path: Path) -> None:
    for value in (10, 9, 100):
        cv2.imwrite(str(tmp_path / f"f{value}.png"), np.full((8, 8, 3), value, np.uint8))
    for name in ("notes.txt", "film.mp4", ".DS_Store", "._f9.png"):
        (tmp_path / name).touch()
    recording = Recording(tmp_path)
    assert [int(frame.pixels[0, 0, 0]) for frame in recording] == [9, 10, 100]
    assert recording.notes == ["left out 2 files: 1 .mp4, 1 .txt"]
    assert len(list(recording)) == 3
    assert recording.notes == ["left out 2 files: 1 .mp4, 1 .txt"]


def test_what_of_pictures_is_not_used_is_counted(tmp_path: Path) -> None:
    for number in range(3):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.zeros((8, 8, 3), np.uint16))
    recording = Recording(tmp_path)
    # However often it is read.
    assert len(list(recording)) == len(list(recording)) == 3
    assert recording.notes == ["3 pictures with 16 bits a channel: the upper 8 are used"]


def test_a_picture_without_a_suffix_is_one_and_no_video(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.full((8, 8, 3), 7, np.uint8))
    (tmp_path / "a.png").rename(tmp_path / "a")
    (frame,) = Recording(tmp_path / "a")
    assert int(frame.pixels[0, 0, 0]) == 7


def test_several_sizes_are_used_and_named(tmp_path: Path) -> None:
    writer = ClipWriter(tmp_path / "a.clip", HEADER)
    for number, size in enumerate(((8, 8), (8, 8), (9, 16), (8, 8))):
        pixels = np.zeros((*size, 3), np.uint8)
        writer.write(record(number), encode_png(pixels))
    writer.finish()
    recording = Recording(tmp_path / "a.clip")
    assert [frame.pixels.shape[:2] for frame in recording] == [(8, 8), (8, 8), (9, 16), (8, 8)]
    (note,) = recording.notes
    assert note.startswith("pictures of several sizes: frame 2 ")


def test_a_variable_frame_rate_is_named_and_its_times_are_kept(tmp_path: Path) -> None:
    # 10 frames a second; in the second second there are two.
    times = [n / 10 for n in range(30) if not 10 <= n < 20 or n % 5 == 0]
    recording = Recording(write_uneven_clip(tmp_path / "v.mkv", times))
    assert [frame.time for frame in recording] == pytest.approx(times, abs=0.002)
    (note,) = recording.notes
    assert "the frame rate varies: 100 to 500 ms" in note


def test_a_frame_rate_that_jitters_is_constant(tmp_path: Path) -> None:
    times = [n / 10 + 0.01 * (n % 2) for n in range(30)]
    recording = Recording(write_uneven_clip(tmp_path / "v.mkv", times))
    assert len(list(recording)) == 30
    assert not recording.notes


def test_notes_are_printed_once_at_the_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = write(tmp_path / "a.clip").read_bytes()
    (tmp_path / "a.clip").write_bytes(content[:-3000])
    for _ in progress(Recording(tmp_path / "a.clip"), "reading", lambda frame: frame):
        pass
    shown = capsys.readouterr().err
    assert shown.count("a.clip: cut off after") == 1
    assert "what lies before is used" in shown


@pytest.mark.parametrize(
    ("name", "content", "kind", "message"),
    [
        ("none", None, SourceError, "no recording at"),
        (".", None, ImageError, "no images in"),
        ("text.mp4", b"no video at all", SourceError, "does not open as a video"),
        ("empty.png", b"", ImageError, "is empty"),
    ],
)
def test_what_is_no_recording_is_named(
    tmp_path: Path, name: str, content: bytes | None, kind: type[EdgekitError], message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(kind, match=message):
        list(Recording(tmp_path / name))


def test_a_video_without_frames_is_named(tmp_path: Path) -> None:
    path = tmp_path / "v.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (32, 24))
    writer.release()
    with pytest.raises(SourceError):
        list(Recording(path))


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/null")):
        with pytest.raises(SourceError, match=f"{path} is a device or a pipe; a recording"):
            Recording(path)


def test_times_that_go_back_are_told(tmp_path: Path) -> None:
    writer = ClipWriter(tmp_path / "a.clip", HEADER)
    for number in (1, 0):
        writer.write(record(number), encode_png(picture(number)))
    writer.finish()
    read = Recording(tmp_path / "a.clip")
    assert len(list(read)) == 2
    assert read.notes == ["its times go back; do not trust what is counted in seconds"]
