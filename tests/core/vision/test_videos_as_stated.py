"""What a video says about itself is obeyed; what is guessed, left out or missing is told."""

import os
import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from edgekit.errors import SourceError
from edgekit.vision import optional
from edgekit.vision.notes import Notes
from edgekit.vision.orientation import upright
from edgekit.vision.videos import frame_count, read_video
from tests.core.vision.films import (
    HEIGHT,
    MATRICES,
    WIDTH,
    Pixels,
    display_matrix,
    noise,
    quarters,
    write_film,
)

# What compression and subsampled colours change a plain colour by.
CLOSE = 4


def _read(path: Path) -> tuple[list[Pixels], list[float], list[str]]:
    notes = Notes()
    times, frames = [], []
    for seconds, pixels in read_video(path, notes):
        times.append(seconds)
        frames.append(pixels)
    return frames, times, notes.lines


def _same(pixels: Pixels, expected: Pixels) -> bool:
    """Whether the middles of the quarters have the same colours; compression blurs the edges."""
    if pixels.shape != expected.shape:
        return False
    height, width = pixels.shape[:2]
    rows = [height // 8, height // 4, 3 * height // 4, 7 * height // 8]
    columns = [width // 8, width // 4, 3 * width // 4, 7 * width // 8]
    some = np.ix_(rows, columns)
    return int(np.abs(pixels[some].astype(int) - expected[some]).max()) <= CLOSE


@pytest.fixture
def without_pyav(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a device."""
    load = optional.load
    monkeypatch.setattr(optional, "load", lambda name: None if name == "av" else load(name))


@pytest.mark.parametrize("matrix", [1, 2, 4, 6, 7, 9], ids="H.273 matrix {}".format)
@pytest.mark.parametrize("colour_range", [1, 2], ids=["limited", "full"])
@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.webm", "libvpx-vp9")])
def test_colours_are_read_by_the_matrix_and_the_range_that_are_stated(
    name: str, codec: str, matrix: int, colour_range: int, tmp_path: Path
) -> None:
    film = write_film(
        tmp_path / name, [quarters()], codec=codec, matrix=matrix, colour_range=colour_range
    )
    (pixels,), _, notes = _read(film)
    assert _same(pixels, quarters())
    assert not notes


def test_colours_that_cannot_be_converted_are_refused(tmp_path: Path) -> None:
    film = write_film(tmp_path / "a.mp4", [quarters()], matrix=8)
    with pytest.raises(SourceError, match=r"the colours of .*a\.mp4 \(matrix 8 of H\.273\) are"):
        _read(film)


def test_a_large_video_without_a_matrix_is_told(tmp_path: Path) -> None:
    film = write_film(tmp_path / "a.mp4", [quarters(1280, 720)], matrix=2)
    _, _, notes = _read(film)
    assert notes == ["the file does not name its colour matrix: BT.601 is taken"]


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_high_dynamic_range_is_told(transfer: int, name: str, tmp_path: Path) -> None:
    film = write_film(tmp_path / "a.mp4", [quarters()], matrix=9, transfer=transfer)
    assert _read(film)[2][0].startswith(f"high dynamic range ({name}): read without tone mapping")


def test_ten_bits_are_read_as_eight(tmp_path: Path) -> None:
    film = write_film(tmp_path / "a.mkv", [quarters()], codec="ffv1", pixel_format="yuv420p10le")
    assert _same(_read(film)[0][0], quarters())


@pytest.mark.parametrize("orientation", MATRICES)
def test_a_video_is_upright_by_its_display_matrix(orientation: int, tmp_path: Path) -> None:
    film = write_film(tmp_path / "a.mp4", [quarters()])
    display_matrix(film, *MATRICES[orientation])
    assert _same(_read(film)[0][0], upright(quarters(), orientation))


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_opencv_turns_videos_too(orientation: int, tmp_path: Path, without_pyav: None) -> None:
    film = write_film(tmp_path / "a.mp4", [quarters()])
    display_matrix(film, *MATRICES[orientation])
    (pixels,), _, (note,) = _read(film)
    assert _same(pixels, upright(quarters(), orientation))
    assert note.endswith('to be sure: pip install "edgekit-core[media]"')


def test_a_video_that_lies_askew_is_refused(tmp_path: Path) -> None:
    film = write_film(tmp_path / "a.mp4", [quarters()], rotation=45)
    with pytest.raises(SourceError, match="is turned by no right angle"):
        _read(film)


@pytest.mark.parametrize(
    ("aspect", "shape"),
    [
        (Fraction(2), (HEIGHT, 2 * WIDTH)),
        (Fraction(4, 3), (HEIGHT, 85)),
        (Fraction(1, 2), (2 * HEIGHT, WIDTH)),
        (Fraction(200, 201), (HEIGHT, WIDTH)),
    ],
)
@pytest.mark.parametrize("device", [False, True], ids=["PyAV", "OpenCV"])
def test_pixels_are_square(
    aspect: Fraction,
    shape: tuple[int, int],
    device: bool,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    if device:
        request.getfixturevalue("without_pyav")
    film = write_film(tmp_path / "a.mp4", [quarters()], aspect=aspect)
    assert _same(_read(film)[0][0], quarters(shape[1], shape[0]))


def test_pixels_that_cannot_be_are_refused(tmp_path: Path) -> None:
    film = write_film(tmp_path / "a.mp4", [quarters()], aspect=Fraction(20))
    with pytest.raises(SourceError, match="states pixels 20 times as wide as high; make them"):
        _read(film)


def _write_tracks(path: Path, *sizes: tuple[int, int]) -> Path:
    with av.open(str(path), "w") as output:
        streams: list[Any] = []
        for height, width in sizes:
            stream: Any = output.add_stream("libx264", rate=25)
            stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
            streams.append(stream)
        for stream in streams:
            pixels = quarters(stream.width, stream.height)
            for _ in range(3):
                output.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
            output.mux(stream.encode(None))
    return path


def test_the_largest_of_several_tracks_is_read_and_told(tmp_path: Path) -> None:
    frames, _, notes = _read(_write_tracks(tmp_path / "a.mkv", (16, 32), (HEIGHT, WIDTH), (16, 16)))
    assert [frame.shape for frame in frames] == 3 * [(HEIGHT, WIDTH, 3)]
    assert notes == [f"3 video tracks: the largest, of {WIDTH}x{HEIGHT}, is read"]


def test_a_cover_picture_is_no_track(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as output:
        film: Any = output.add_stream("libx264", rate=25)
        cover: Any = output.add_stream("mjpeg", rate=1)
        cover.disposition = av.stream.Disposition.attached_pic
        film.height, film.width, film.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        cover.height, cover.width, cover.pix_fmt = 500, 500, "yuvj420p"
        output.mux(cover.encode(av.VideoFrame.from_ndarray(quarters(500, 500), "rgb24")))
        for _ in range(3):
            output.mux(film.encode(av.VideoFrame.from_ndarray(quarters(), "rgb24")))
        output.mux(film.encode(None))
    frames, _, notes = _read(tmp_path / "a.mp4")
    assert [frame.shape for frame in frames] == 3 * [(HEIGHT, WIDTH, 3)]
    assert not notes


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as output:
        stream: Any = output.add_stream("aac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 8000
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    with pytest.raises(SourceError, match="has no video that can be decoded, only other tracks"):
        _read(tmp_path / "a.mp4")


@pytest.mark.parametrize(("suffix", "codec"), [("mjpeg", "mjpeg"), ("h264", "libx264")])
def test_a_guessed_rate_is_told(suffix: str, codec: str, tmp_path: Path) -> None:
    film = write_film(
        tmp_path / f"a.{suffix}",
        4 * [quarters()],
        codec=codec,
        pixel_format="yuvj420p" if codec == "mjpeg" else "yuv420p",
        container=suffix,
    )
    _, times, notes = _read(film)
    assert times == pytest.approx([0, 0.04, 0.08, 0.12])
    assert notes == ["the file gives no times: 25 frames per second are taken"]


def test_times_are_the_files_own(tmp_path: Path) -> None:
    # A picture every ten seconds, the first not at 0.
    film = write_film(tmp_path / "a.mp4", 4 * [quarters()], times=[50, 300, 550, 800])
    assert _read(film)[1] == pytest.approx([0, 10, 20, 30])


def test_interlaced_frames_are_told(tmp_path: Path) -> None:
    film = write_film(tmp_path / "a.mkv", 3 * [quarters()], options={"x264-params": "interlaced=1"})
    assert "interlaced: every second line of a frame is of another moment" in _read(film)[2]


def test_a_change_of_resolution_is_followed(tmp_path: Path) -> None:
    for name, (width, height) in (("a", (64, 48)), ("b", (128, 96))):
        write_film(tmp_path / f"{name}.ts", 5 * [quarters(width, height)])
    both = tmp_path / "both.ts"
    both.write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    frames = _read(both)[0]
    assert [frame.shape[:2] for frame in frames] == 5 * [(48, 64)] + 5 * [(96, 128)]
    assert _same(frames[-1], quarters(128, 96))


@pytest.mark.parametrize(
    "name", ["a:b.mp4", "-i.mp4", "%03d.mp4", "http:x.mp4", "ü\n.mp4", "a?b#c.mp4", "'a b'.mp4"]
)
@pytest.mark.parametrize("device", [False, True], ids=["PyAV", "OpenCV"])
def test_any_name_will_do(
    name: str,
    device: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    if device:
        request.getfixturevalue("without_pyav")
    write_film(tmp_path / "plain.mp4", 2 * [quarters()]).rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert len(_read(Path(name))[0]) == 2
    assert frame_count(Path(name)) == 2


def test_a_name_that_is_no_text_is_refused_or_read(tmp_path: Path) -> None:
    film = write_film(tmp_path / "plain.mp4", [quarters()])
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.mp4"))
    film.rename(odd)
    try:
        assert len(_read(odd)[0]) == 1
    except SourceError as error:
        assert "does not open as a video" in str(error)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.avi", {"codec": "mjpeg", "pixel_format": "yuvj420p", "colour_range": 2, "matrix": 5}),
        ("a.mp4", {}),
        ("a.mkv", {"codec": "mpeg4"}),
    ],
)
def test_an_ordinary_video_has_the_same_pixels_without_pyav(
    name: str, options: dict[str, Any], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    film = write_film(tmp_path / name, noise(10), **options)
    with_it, times, notes = _read(film)
    assert notes == []
    request.getfixturevalue("without_pyav")
    without, same_times, _ = _read(film)
    assert len(with_it) == len(without) == 10
    assert all(np.array_equal(a, b) for a, b in zip(with_it, without, strict=True))
    assert times == pytest.approx(same_times)


def _zeroed(content: bytes) -> bytes:
    at, size = len(content) // 2, len(content) // 10
    return content[:at] + bytes(size) + content[at + size :]


def _spoilt(content: bytes) -> bytes:
    """With a hole in one of its JPEGs."""
    at = content.index(b"\xff\xda", len(content) // 2) + 50
    return content[:at] + bytes(300) + content[at + 300 :]


def _lost(content: bytes) -> bytes:
    """Without some packets of a transport stream."""
    at = len(content) // 2 // 188 * 188
    return content[:at] + content[at + 10 * 188 :]


def _cut(content: bytes) -> bytes:
    return content[: len(content) * 2 // 3 // 188 * 188 + 100]


MJPEG = {"codec": "mjpeg", "pixel_format": "yuvj420p", "colour_range": 2, "matrix": 5}


@pytest.mark.parametrize(
    ("name", "options", "damage"),
    [
        ("a.mkv", MJPEG, _spoilt),
        ("a.mp4", {}, _zeroed),
        ("a.avi", MJPEG, _zeroed),
        ("a.ts", {}, _zeroed),
        ("a.ts", {}, _lost),
        ("a.ts", {}, _cut),
    ],
)
def test_damage_is_an_error_behind_whole_frames(
    name: str, options: dict[str, Any], damage: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    film = write_film(tmp_path / name, noise(40), **options)
    whole = _read(film)[0]
    film.write_bytes(damage(film.read_bytes()))
    given: list[Pixels] = []
    with pytest.raises(SourceError, match=r"is (damaged after \d\.\d s; copy or|truncated; copy)"):
        given.extend(pixels for _, pixels in read_video(film))
    assert all(np.array_equal(a, b) for a, b in zip(given, whole, strict=False))


def test_a_frame_of_a_transport_stream_that_is_lost_whole_is_an_error(tmp_path: Path) -> None:
    film = write_film(tmp_path / "a.ts", noise(30), options={"g": "1"})
    with av.open(str(film)) as container:
        starts = [packet.pos for packet in container.demux(video=0) if packet.size]
    content = film.read_bytes()
    film.write_bytes(content[: starts[15]] + content[starts[16] :])
    with pytest.raises(SourceError, match=r"is damaged after 0\.[456] s"):
        _read(film)


def test_a_jpeg_that_is_cut_within_a_stream_is_an_error(tmp_path: Path) -> None:
    film = write_film(tmp_path / "a.mjpeg", noise(3), container="mjpeg", **MJPEG)
    first, second, third = film.read_bytes().split(b"\xff\xd8\xff")[1:]
    parts = (first, second[: len(second) // 2], third)
    film.write_bytes(b"".join(b"\xff\xd8\xff" + part for part in parts))
    with pytest.raises(SourceError, match=r"is damaged after 0\.0 s"):
        _read(film)


def test_frames_before_the_first_key_frame_are_counted(tmp_path: Path) -> None:
    options = {"g": "10", "sc_threshold": "0", "bf": "0"}
    film = write_film(tmp_path / "a.ts", noise(30), options=options)
    whole = _read(film)[0]
    with av.open(str(film)) as container:
        starts = [packet.pos for packet in container.demux(video=0) if packet.pos is not None]
    content = film.read_bytes()
    film.write_bytes(content[: 3 * 188] + content[starts[4] :])
    frames, _, notes = _read(film)
    assert all(np.array_equal(a, b) for a, b in zip(frames, whole[10:], strict=True))
    assert "6 frames before the first key frame need one that was cut away: left out" in notes


def test_a_cut_into_groups_that_refer_to_each_other_is_read_and_told(tmp_path: Path) -> None:
    options = {"x264-params": "open-gop=1:keyint=10:bframes=2:scenecut=0"}
    film = write_film(tmp_path / "a.ts", noise(40), options=options)
    whole, content = _read(film)[0], film.read_bytes()
    with av.open(str(film)) as container:
        keys = [packet.pos for packet in container.demux(video=0) if packet.is_keyframe]
    film.write_bytes(content[: 3 * 188] + content[keys[1] :])
    frames, _, notes = _read(film)
    assert len(frames) == 30
    assert all(np.array_equal(a, b) for a, b in zip(frames, whole[10:], strict=True))
    assert notes[0].startswith("its start refers to frames that were cut away, or is damaged")


def test_of_recordings_behind_each_other_the_later_may_be_the_first(tmp_path: Path) -> None:
    early = write_film(tmp_path / "early.ts", 15 * [quarters()], times=range(15))
    late = write_film(tmp_path / "late.ts", 15 * [quarters()], times=range(100, 115))
    both = tmp_path / "both.ts"
    both.write_bytes(late.read_bytes() + early.read_bytes())
    _, times, notes = _read(both)
    assert times == pytest.approx([number / 25 for number in range(30)])
    assert not notes


def test_frames_that_a_container_counts_and_does_not_hold_are_told(tmp_path: Path) -> None:
    film = write_film(tmp_path / "a.avi", noise(10), **MJPEG)
    content = bytearray(film.read_bytes())
    for place in (content.index(b"avih") + 8 + 16, content.index(b"strh") + 8 + 32):
        content[place : place + 4] = (12).to_bytes(4, "little")
    film.write_bytes(content)
    assert "2 of the 12 frames that it states are missing" in _read(film)[2]


@pytest.mark.parametrize("device", [False, True], ids=["PyAV", "OpenCV"])
def test_text_is_no_video(device: bool, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if device:
        request.getfixturevalue("without_pyav")
    # FFmpeg draws a terminal with it.
    (tmp_path / "a.txt").write_text("hello world\n" * 100)
    with pytest.raises(SourceError, match=r"a\.txt does not open as a video"):
        _read(tmp_path / "a.txt")


def test_a_file_that_ends_before_it_states_to_is_told(tmp_path: Path) -> None:
    film = write_film(tmp_path / "a.mkv", noise(40), options={"g": "10"})
    whole, content = _read(film)[0], film.read_bytes()
    with av.open(str(film)) as container:
        starts = [packet.pos for packet in container.demux(video=0) if packet.is_keyframe]
    # Nothing that is left looks like Matroska: FFmpeg ends there, and is content.
    film.write_bytes(content[: starts[2]] + bytes(len(content) - starts[2]))
    frames, _, notes = _read(film)
    assert all(np.array_equal(a, b) for a, b in zip(frames[:20], whole, strict=False))
    (note,) = notes
    # Whether the last block before the hole counts is for the release of FFmpeg to say.
    assert re.fullmatch(r"its last frame is at 0\.[78] s of the 1\.6 s that it states", note)
