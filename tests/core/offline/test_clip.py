"""The format of recorded clips."""

import io
import resource
import tarfile
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
from edgekit.offline.clip import (
    SCHEMA,
    Clip,
    ClipHeader,
    ClipWriter,
    hash_input,
    is_clip,
)
from edgekit.vision.encode import encode_png

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
    (tmp_path / "bad.clip").write_bytes(content.replace(b'"schema":1', b'"schema":x'))
    with pytest.raises(SourceError, match="damaged header"):
        Clip(tmp_path / "bad.clip")


def test_it_has_its_name_only_when_it_is_finished(tmp_path: Path) -> None:
    path, part = tmp_path / "a.clip", tmp_path / "a.clip.part"
    writer = ClipWriter(path, HEADER)
    writer.write(record(0), encode_png(picture(0)))
    assert part.is_file()
    assert not path.exists()
    assert len(list(Clip(part))) == 1
    with pytest.raises(OutputError, match="left of a recording"):
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
        disk_of(writer.part.stat().st_size + 600),
        pytest.raises(OutputError, match="cannot write"),
    ):
        writer.write(record(1), encode_png(picture(1)))
    writer.finish()
    clip = Clip(tmp_path / "a.clip")
    assert [frame.record.number for frame in clip] == [0]
    assert clip.cut is None
