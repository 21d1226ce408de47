"""The format of recorded clips."""

import io
import os
import resource
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from edgekit.errors import OutputError, SourceError
from edgekit.inference.frame import FrameRecord
from edgekit.model.geometry import Geometry
from edgekit.offline import clip, clip_output
from edgekit.offline.clip import (
    MAXIMUM_PIXELS,
    SCHEMA,
    Clip,
    ClipHeader,
    ClipWriter,
    hash_input,
    is_clip,
)
from edgekit.vision.encode import encode_png
from tests.core.vision.png import png_of_size

HEADER = ClipHeader(
    schema=SCHEMA, created="2026-01-02T03:04:05.678Z", device="door", source="v4l2:/dev/video0",
    model="m.tflite", model_sha256="00ff", runtime="litert", accelerator="cpu",
    geometry=Geometry(8, 8, 0.5), decision={"smoothing": 5}, versions={"edgekit": "0"},
)  # fmt: skip


def picture(number: int) -> NDArray[np.uint8]:
    return np.random.default_rng(number).integers(0, 256, (9, 13, 3), dtype=np.uint8)


def record(number: int) -> FrameRecord:
    return FrameRecord(
        number=2 * number, time=number / 3, stretch=number // 2,
        input_sha256=hash_input(picture(number)), label="cat", score=0.75,
        scores=[("cat", 0.5), ("dog", 0.25)],
        event=None if number else "change",
    )  # fmt: skip


def write(path: Path, frames: int = 3) -> Path:
    writer = ClipWriter(path, HEADER)
    for number in range(frames):
        writer.write(record(number), encode_png(picture(number)))
    writer.finish()
    return path


def test_what_is_written_is_read_to_the_last_bit(tmp_path: Path) -> None:
    clip = Clip(write(tmp_path / "a.clip"))
    assert clip.header == HEADER
    read = list(clip)
    assert clip.cut is None
    for number, frame in enumerate(read):
        assert np.array_equal(frame.pixels, picture(number))
        assert msgspec.structs.replace(frame.record, crc32=0) == record(number)
        assert (frame.number, frame.time, frame.stretch) == (2 * number, number / 3, number // 2)
    assert len(read) == 3


def test_it_is_an_ordinary_tar_of_ordinary_pictures(tmp_path: Path) -> None:
    with tarfile.open(write(tmp_path / "a.clip")) as tar:
        names = tar.getnames()
        png = tar.extractfile("000000001.png")
        assert png is not None
        content = np.frombuffer(png.read(), np.uint8)
    frames = [f"{n:09}.{kind}" for n in range(3) for kind in ("json", "png")]
    assert names == ["clip.json", *frames, "end.json"]
    assert np.array_equal(cv2.imdecode(content, cv2.IMREAD_COLOR_RGB), picture(1))


def _whole_frames(content: bytes) -> int:
    """Frames that an independent reader finds whole."""
    count = 0
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            for member in tar:
                file = tar.extractfile(member)
                assert file is not None
                count += member.name.endswith(".png") and len(file.read()) == member.size
    except tarfile.ReadError:
        pass
    return count


@pytest.mark.parametrize("torn", [b"", bytes(3000)], ids=["short", "zeros behind"])
def test_a_cut_off_clip_is_whole_up_to_the_cut(tmp_path: Path, torn: bytes) -> None:
    content = write(tmp_path / "a.clip", frames=4).read_bytes()
    end = content.index(b"end.json")
    cut = tmp_path / "cut.clip"
    seen = set()
    for length in range(1024, end + 240, 97):
        cut.write_bytes(content[:length] + torn)
        whole = _whole_frames(content[:length])
        clip = Clip(cut)
        if not whole:
            with pytest.raises(SourceError, match="has no frames"):
                list(clip)
            continue
        frames = list(clip)
        assert [frame.record.number for frame in frames] == [2 * n for n in range(whole)]
        assert clip.cut == f"cut off after {whole} frames, at {(whole - 1) / 3:.1f} s"
        seen.add(whole)
    assert seen == {1, 2, 3, 4}


def test_damage_ends_it_before_the_damage(tmp_path: Path) -> None:
    path = write(tmp_path / "a.clip")
    content = bytearray(path.read_bytes())
    content[content.index(b"000000001.png") + 512 + 60] ^= 1
    path.write_bytes(content)
    clip = Clip(path)
    assert len(list(clip)) == 1
    assert clip.cut == "cut off after 1 frames, at 0.0 s"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a clip"),
        (b"RIFF" + bytes(600), "not a clip"),
        (b"clip.json" + bytes(503), "not a clip"),
    ],
)
def test_what_is_no_clip_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x").write_bytes(content)
    assert not is_clip(tmp_path / "x")
    with pytest.raises(SourceError, match=message):
        Clip(tmp_path / "x")


def test_a_clip_without_frames_or_of_the_future_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="has no frames"):
        list(Clip(write(tmp_path / "none.clip", frames=0)))
    content = write(tmp_path / "later.clip").read_bytes()
    (tmp_path / "later.clip").write_bytes(content.replace(b'"schema":1', b'"schema":9'))
    with pytest.raises(SourceError, match="later edgekit"):
        Clip(tmp_path / "later.clip")
    # Whatever else a later one has made of it.
    later = content.replace(b'"schema":1', b'"schema":9').replace(b'"geometry"', b'"geometrx"')
    (tmp_path / "later.clip").write_bytes(later)
    with pytest.raises(SourceError, match="later edgekit"):
        Clip(tmp_path / "later.clip")


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (b'"schema":1', b'"schema":x', "has a damaged header: JSON is malformed"),
        (b'"schema":1', b'"schema":0', "has a damaged header: Expected `int` >= 1"),
        (b'"door"', b'"d\xff\xfer"', "has a damaged header: it is not UTF-8"),
        (b'"smoothing":5', b'"x":' + b"[" * 9999, "has a damaged header: .*nested too deeply"),
        (b'"schema":1', b'"schema":' + b"7" * 5000, "has a damaged header: Integer value out of"),
    ],
)
def test_a_damaged_header_is_refused(
    tmp_path: Path, before: bytes, after: bytes, message: str
) -> None:
    header = msgspec.json.encode(HEADER)
    assert before in header
    (tmp_path / "bad.clip").write_bytes(clip._member("clip.json", header.replace(before, after)))
    with pytest.raises(SourceError, match=message):
        Clip(tmp_path / "bad.clip")


def test_a_long_or_a_torn_header_is_cut_off(tmp_path: Path) -> None:
    long = msgspec.json.encode(HEADER) + b" " * (1 << 20)
    for content in (clip._member("clip.json", long), clip._member("clip.json", b"{}")[:513]):
        (tmp_path / "bad.clip").write_bytes(content)
        with pytest.raises(SourceError, match="is cut off before its first frame"):
            Clip(tmp_path / "bad.clip")


def _with_frames(path: Path, *frames: tuple[bytes, bytes], end: bytes | None = None) -> Path:
    """A clip of any records and pictures, each as bytes."""
    writer = ClipWriter(path, HEADER)
    for number, (said, png) in enumerate(frames):
        for kind, content in (("json", said), ("png", png)):
            writer._output.append(clip._member(f"{number:09}.{kind}", content))
    writer.frames = len(frames)
    if end is not None:
        writer._output.append(clip._member("end.json", end))
    writer.finish()
    return path


def _said(number: int, png: bytes, /, **other: object) -> bytes:
    values = {**msgspec.to_builtins(record(number)), "crc32": zlib.crc32(png), **other}
    return msgspec.json.encode(values)


WHOLE = encode_png(picture(0))
JPEG = cv2.imencode(".jpg", picture(0))[1].tobytes()
# A Netpbm file, in whose comment are the chunks of a PNG.
FALSE = (
    b"P6\n#PNG!\0\0\0\x14IHDR" + bytes([0, 0, 1, 1] * 6) + b"\0\0\0\0IEND\n4 4\n255\n" + bytes(48)
)


@pytest.mark.parametrize(
    "frame",
    [
        (_said(1, WHOLE).replace(b"cat", b"c\xfft"), WHOLE),
        (b"[" * 5000, WHOLE),
        (_said(1, WHOLE, number="one"), WHOLE),
        (_said(1, WHOLE, number=-1), WHOLE),
        (_said(1, WHOLE).replace(b'"number":2', b'"number":' + b"2" * 40), WHOLE),
        (_said(1, WHOLE, time=1e10), WHOLE),
        (_said(1, WHOLE).replace(b'"time":0.', b'"time":1e999,"x":0.'), WHOLE),
        (_said(1, b""), b""),
        (_said(1, JPEG), JPEG),
        (_said(1, FALSE), FALSE),
        (_said(1, WHOLE[:-20]), WHOLE[:-20]),
        (_said(1, WHOLE[:8]), WHOLE[:8]),
        (_said(1, WHOLE, label="c" * (1 << 20)), WHOLE),
    ],
    ids=[
        "utf-8",
        "deep",
        "type",
        "negative",
        "huge",
        "late",
        "infinite",
        "empty",
        "jpeg",
        "false",
        "cut",
        "magic",
        "long",
    ],
)
def test_a_damaged_frame_ends_it_there(tmp_path: Path, frame: tuple[bytes, bytes]) -> None:
    read = Clip(_with_frames(tmp_path / "a.clip", (_said(0, WHOLE), WHOLE), frame))
    assert [one.record.number for one in read] == [0]
    assert read.cut == "cut off after 1 frames, at 0.0 s"


def test_a_small_file_cannot_take_all_memory(tmp_path: Path) -> None:
    side = int(MAXIMUM_PIXELS**0.5)
    large = png_of_size(side + 1, side)
    good, bad = (_said(0, WHOLE), WHOLE), (_said(1, large), large)
    read = Clip(_with_frames(tmp_path / "a.clip", good, bad))
    assert len(list(read)) == 1
    reason = f": the next has {side + 1}x{side} pixels, and {MAXIMUM_PIXELS} are the maximum"
    assert read.cut == f"cut off after 1 frames, at 0.0 s{reason}"
    with pytest.raises(SourceError, match=f"has no frames{reason}"):
        list(Clip(_with_frames(tmp_path / "b.clip", bad)))


@pytest.mark.parametrize("size", [b"-0000000777\0", b"\xff" * 12, b"\x80" + b"\xff" * 11])
def test_a_size_that_no_member_has_is_damage(tmp_path: Path, size: bytes) -> None:
    content = bytearray(write(tmp_path / "a.clip").read_bytes())
    at = content.index(b"000000001.json")
    content[at + 124 : at + 136] = size
    content[at + 148 : at + 156] = b" " * 8
    content[at + 148 : at + 156] = f"{sum(content[at : at + 512]):06o}\0 ".encode()
    (tmp_path / "a.clip").write_bytes(content)
    read = Clip(tmp_path / "a.clip")
    assert len(list(read)) == 1
    assert read.cut == "cut off after 1 frames, at 0.0 s"


@pytest.mark.parametrize(
    ("end", "told"),
    [
        (b'{"frames":3}', "its end counts 3 frames, and 1 are there"),
        (b'{"frames":"x"}', "its end is damaged, behind 1 frames"),
        (b'{"frames":1}', None),
    ],
)
def test_frames_that_are_lost_are_told(tmp_path: Path, end: bytes, told: str | None) -> None:
    read = Clip(_with_frames(tmp_path / "a.clip", (_said(0, WHOLE), WHOLE), end=end))
    assert len(list(read)) == 1
    assert read.cut == told


def test_what_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert not is_clip(tmp_path / "pipe")
    read = Clip(write(tmp_path / "a.clip"))

    def broken(file: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(clip, "_next", broken)
    with pytest.raises(SourceError, match=r"cannot read the clip .*a\.clip: Input/output error"):
        list(read)
    with pytest.raises(SourceError, match=r"cannot read the clip .*a\.clip: Input/output error"):
        Clip(tmp_path / "a.clip")


def test_it_has_its_name_only_when_it_is_finished(tmp_path: Path) -> None:
    path, part = tmp_path / "a.clip", tmp_path / "a.clip.part"
    writer = ClipWriter(path, HEADER)
    writer.write(record(0), encode_png(picture(0)))
    assert part.is_file()
    assert not path.exists()
    assert len(list(Clip(part))) == 1
    with pytest.raises(OutputError, match=r"left of a recording.*; what it holds replays"):
        ClipWriter(path, HEADER)
    writer.finish()
    assert path.is_file()
    assert not part.exists()
    with pytest.raises(OutputError, match="there already"):
        ClipWriter(path, HEADER)


def test_an_abandoned_recording_keeps_its_frames_and_leaves_nothing_without_any(
    tmp_path: Path,
) -> None:
    kept = ClipWriter(tmp_path / "a.clip", HEADER)
    kept.write(record(0), encode_png(picture(0)))
    kept.close()
    ClipWriter(tmp_path / "b.clip", HEADER).close()
    assert [path.name for path in tmp_path.iterdir()] == ["a.clip.part"]


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """Let no file grow beyond `size` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_costs_the_last_frame_only(tmp_path: Path) -> None:
    writer = ClipWriter(tmp_path / "a.clip", HEADER)
    writer.write(record(0), encode_png(picture(0)))
    with (
        disk_of((tmp_path / "a.clip.part").stat().st_size + 600),
        pytest.raises(OutputError, match="cannot write"),
    ):
        writer.write(record(1), encode_png(picture(1)))
    writer.finish()
    clip = Clip(tmp_path / "a.clip")
    assert [frame.record.number for frame in clip] == [0]
    assert clip.cut is None


def test_a_first_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with disk_of(100), pytest.raises(OutputError, match="cannot write the clip"):
        ClipWriter(tmp_path / "a.clip", HEADER)
    assert list(tmp_path.iterdir()) == []


def test_a_part_that_is_empty_is_not_said_to_replay(tmp_path: Path) -> None:
    (tmp_path / "a.clip.part").touch()
    with pytest.raises(OutputError, match=r"a\.clip\.part is left of .*; it is empty: remove it"):
        ClipWriter(tmp_path / "a.clip", HEADER)


def test_a_folder_that_cannot_be_synced_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(folder: Path) -> None:
        raise OSError(5, "Input/output error")

    writer = ClipWriter(tmp_path / "a.clip", HEADER)
    writer.write(record(0), encode_png(picture(0)))
    monkeypatch.setattr(clip_output, "sync_folder", refused)
    with pytest.raises(OutputError, match=r"cannot write the clip .*: Input/output error"):
        writer.finish()
    with pytest.raises(OutputError, match=r"cannot write the clip .*: Input/output error"):
        ClipWriter(tmp_path / "b.clip", HEADER)
    assert [path.name for path in tmp_path.iterdir()] == ["a.clip"]


def test_a_disk_that_takes_nothing_back_leaves_what_replays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = clip_output.ClipFile(tmp_path / "a.clip")
    writer = ClipWriter(output, HEADER)
    writer.write(record(0), encode_png(picture(0)))

    class Broken(io.FileIO):
        def write(self, data: object) -> int:
            super().write(memoryview(data)[:700])  # type: ignore[call-overload]
            raise OSError(5, "Input/output error")

        def truncate(self, size: int | None = None) -> int:
            raise OSError(30, "Read-only file system")

    output._file.close()
    output._file = Broken(output.part, "ab")
    with pytest.raises(OutputError, match="Input/output error"):
        writer.write(record(1), encode_png(picture(1)))
    writer.close()
    read = Clip(tmp_path / "a.clip.part")
    assert len(list(read)) == 1
    assert read.cut == "cut off after 1 frames, at 0.0 s"
