"""Frames of videos, and their times, out of files good and bad."""

from pathlib import Path

import pytest

from edgekit.errors import SourceError
from edgekit.vision.truncation import is_cut_off
from edgekit.vision.videos import read_video
from tests.device.sources.clips import write_clip, write_uneven_clip


def _times(path: Path) -> list[float]:
    return [seconds for seconds, _ in read_video(path)]


@pytest.mark.parametrize(
    ("name", "codec"), [("a.avi", "MJPG"), ("a.mp4", "mp4v"), ("a.mkv", "MJPG"), ("a.ts", "mp4v")]
)
def test_a_videos_frames_come_with_their_times(name: str, codec: str, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / name, range(0, 200, 10), fps=12.5, codec=codec)
    assert _times(clip) == pytest.approx([number / 12.5 for number in range(20)])
    values = [float(pixels.mean()) for _, pixels in read_video(clip)]
    assert values == pytest.approx(list(range(0, 200, 10)), abs=6)


def test_a_variable_frame_rate_keeps_its_own_times(tmp_path: Path) -> None:
    seconds = [0.0, 0.04, 0.1, 0.5, 0.51, 1.5, 1.6]
    assert _times(write_uneven_clip(tmp_path / "a.mkv", seconds)) == pytest.approx(seconds)


def test_times_go_on_where_the_stamps_begin_again(tmp_path: Path) -> None:
    part = write_clip(tmp_path / "part.ts", range(20), codec="mp4v").read_bytes()
    (tmp_path / "joined.ts").write_bytes(part + part)
    times = _times(tmp_path / "joined.ts")
    assert times == pytest.approx([number / 25 for number in range(40)])


@pytest.mark.parametrize("name", ["a.avi", "a.mkv"])
@pytest.mark.parametrize("part", [0.5, 0.98])
def test_a_truncated_video_is_noticed_before_its_first_frame(
    name: str, part: float, tmp_path: Path
) -> None:
    whole = write_clip(tmp_path / name, range(100)).read_bytes()
    (tmp_path / name).write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(SourceError, match=r"is truncated; copy it again$"):
        next(read_video(tmp_path / name))


def _box(kind: bytes, content: bytes = b"", size: int | None = None) -> bytes:
    return (8 + len(content) if size is None else size).to_bytes(4, "big") + kind + content


def _riff(size: int, content: bytes) -> bytes:
    """A part of an AVI file; one of odd size has a byte behind it that does not count."""
    return b"RIFF" + size.to_bytes(4, "little") + content


@pytest.mark.parametrize(
    ("content", "cut"),
    [
        (_box(b"ftyp", b"isom") + _box(b"moov") + _box(b"mdat", bytes(50)), False),
        (_box(b"ftyp", b"isom") + _box(b"moov") + _box(b"mdat", bytes(50), size=99), True),
        (_box(b"ftyp") + _box(b"mdat", (99).to_bytes(8, "big") + bytes(50), size=1), True),
        (_box(b"ftyp") + _box(b"mdat", bytes(50), size=0), False),
        (_box(b"ftyp", b"isom") + _box(b"mdat", bytes(50)) + b"what a camera added", False),
        (b"RIFF" + bytes(40), False),
        (_riff(5, bytes(6)) + _riff(40, bytes(40)), False),
        (_riff(5, bytes(6)) + _riff(99, bytes(40)), True),
        (b"\x1a\x45\xdf\xa3\x81\0" + b"\x18\x53\x80\x67\x01" + b"\xff" * 7 + bytes(9), False),
        (b"", False),
        (bytes(100), False),
    ],
)
def test_a_container_is_cut_off_when_it_states_more_than_there_is(
    content: bytes, cut: bool, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(content)
    assert is_cut_off(tmp_path / "file") is cut


def test_a_video_damaged_in_the_middle_does_not_pass_for_a_short_one(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.avi", range(100))
    content = bytearray(clip.read_bytes())
    frame = content.index(b"00dc", len(content) // 2) + 8
    content[frame : frame + 200] = bytes(200)
    clip.write_bytes(content)
    frames = read_video(clip)
    next(frames)
    with pytest.raises(SourceError, match=r"damaged after \d\.\d s"):
        list(frames)


def test_what_is_no_video_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.avi").write_text("not a video")
    with pytest.raises(SourceError, match=r"text\.avi does not open as a video"):
        next(read_video(tmp_path / "text.avi"))
    with pytest.raises(SourceError, match="no video file at"):
        next(read_video(tmp_path / "nowhere.avi"))
    with pytest.raises(SourceError, match=r"none\.avi has no frames"):
        next(read_video(write_clip(tmp_path / "none.avi", [])))
