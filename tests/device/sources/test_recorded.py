"""Recordings: every frame, in order, with its time."""

import threading
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from edgekit_device.config.settings import Settings
from edgekit_device.sources import EndOfSource, open_source, recorded

from edgekit.errors import EdgekitError, ImageError, SourceError
from edgekit.inference.frame import Frame
from edgekit.model.geometry import Geometry
from edgekit.offline import recording
from edgekit.offline.recording import Recording
from edgekit.vision.preprocess import prepare
from edgekit.vision.read_ahead import MAXIMUM_ITEMS
from edgekit.vision.videos import read_video
from edgekit.vision.view import ViewSettings
from tests.core.offline.test_clip import write
from tests.device.sources.clips import write_clip, write_uneven_clip


def _open(path: Path, realtime: bool = False) -> recorded.RecordedSource:
    source = open_source(Settings(source=str(path), realtime=realtime))
    assert isinstance(source, recorded.RecordedSource)
    return source


def _frames(path: Path) -> list[Frame]:
    source = _open(path)
    frames = []
    try:
        while True:
            frame = source.read(timeout=30)
            assert frame is not None
            frames.append(frame)
    except EndOfSource:
        return frames
    finally:
        source.close()


def test_a_video_drops_nothing_and_is_the_same_each_time(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.avi", range(100))
    first, second = _frames(clip), _frames(clip)
    assert [frame.number for frame in first] == list(range(100))
    assert [frame.time for frame in first] == pytest.approx([n / 25 for n in range(100)])
    for one, other, (_, pixels) in zip(first, second, read_video(clip), strict=True):
        assert one.number == other.number and one.time == other.time
        assert np.array_equal(one.pixels, other.pixels)
        assert np.array_equal(one.pixels, pixels)


def test_it_says_what_it_is(tmp_path: Path) -> None:
    source = _open(write_clip(tmp_path / "clip.avi", range(3)))
    assert (source.name, source.live, source.dropped) == ("clip.avi", False, 0)
    source.close()


def test_a_folder_and_a_picture_are_recordings(tmp_path: Path) -> None:
    for value in (10, 20, 30):
        cv2.imwrite(str(tmp_path / f"{value}.png"), np.full((8, 8, 3), value, np.uint8))
    frames = _frames(tmp_path)
    assert [int(frame.pixels[0, 0, 0]) for frame in frames] == [10, 20, 30]
    assert [frame.time for frame in frames] == [0.0, 1.0, 2.0]
    assert len(_frames(tmp_path / "10.png")) == 1


def test_what_is_to_be_known_about_it_is_its_message_at_the_end(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "1.png"), np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "notes.txt").touch()
    source = _open(tmp_path)
    with pytest.raises(EndOfSource):
        while source.read(timeout=30):
            pass
    assert source.message == "left out 1 file: 1 .txt"


def test_a_clips_frames_have_their_place_for_a_number(tmp_path: Path) -> None:
    recorded = write(tmp_path / "a.clip")
    frames = _frames(recorded)
    # In the camera they were the second, the fourth and so on.
    assert [frame.number for frame in Recording(recorded)] == [0, 2, 4]
    assert [frame.number for frame in frames] == [0, 1, 2]
    assert [frame.time for frame in frames] == [0, 1 / 3, 2 / 3]


def test_the_end_is_told_again(tmp_path: Path) -> None:
    source = _open(write_clip(tmp_path / "clip.avi", range(1)))
    assert source.read(timeout=30) is not None
    for _ in range(2):
        with pytest.raises(EndOfSource):
            source.read(timeout=30)


def test_what_comes_before_damage_is_handed_out(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "1.png"), np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "2.png").write_bytes(b"no picture")
    source = _open(tmp_path)
    assert source.read(timeout=30) is not None
    with pytest.raises(ImageError, match=r"2\.png is not an image, or is damaged$"):
        source.read(timeout=30)
    source.close()


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"not a video", "does not open as a video"),
        (b"", "does not open as a video"),
        (b"RIFF\xff\xff\0\0AVI ", "does not open as a video"),
    ],
)
def test_a_file_that_is_no_video_is_an_error_of_one_line(
    content: bytes, error: str, tmp_path: Path
) -> None:
    (tmp_path / "clip.avi").write_bytes(content)
    source = _open(tmp_path / "clip.avi")
    with pytest.raises(SourceError, match=error) as raised:
        source.read(timeout=30)
    assert "\n" not in str(raised.value)


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EdgekitError, match="no images in"):
        _open(tmp_path).read(timeout=30)


PIXELS = np.zeros((4, 4, 3), np.uint8)


class Decoder:
    """Stands in for the decoding of a file: counts what was asked of it."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.go_on = threading.Event()
        self.closed = threading.Event()

    def __call__(self, path: Path, view: ViewSettings) -> "Decoder":
        return self

    def look(self, view: ViewSettings) -> None:
        pass

    def __iter__(self) -> Iterator[Frame]:
        try:
            for number in range(1000):
                self.begun.release()
                self.go_on.wait(timeout=30)
                yield Frame(number, PIXELS, number / 25, 0.0, position=number)
        finally:
            self.closed.set()


@pytest.fixture
def decoder(monkeypatch: pytest.MonkeyPatch) -> Decoder:
    decoder = Decoder()
    monkeypatch.setattr(recording, "Recording", decoder)
    return decoder


def test_it_decodes_ahead_and_no_further_than_a_few_frames(
    decoder: Decoder, tmp_path: Path
) -> None:
    decoder.go_on.set()
    source = _open(tmp_path)
    for number in range(100):
        frame = source.read(timeout=30)
        assert frame is not None and frame.number == number
    # Those handed out, and those that wait.
    for _ in range(100 + MAXIMUM_ITEMS):
        assert decoder.begun.acquire(timeout=30)
    assert not decoder.begun.acquire(timeout=0.1)
    source.close()
    assert decoder.closed.wait(timeout=30)


def test_a_slow_disk_is_no_end(decoder: Decoder, tmp_path: Path) -> None:
    source = _open(tmp_path)
    assert source.read(timeout=0.01) is None
    decoder.go_on.set()
    assert source.read(timeout=30) is not None
    source.close()


def test_closing_does_not_wait_for_a_disk_that_hangs(decoder: Decoder, tmp_path: Path) -> None:
    source = _open(tmp_path)
    assert decoder.begun.acquire(timeout=30)
    source.close()
    source.close()
    assert not decoder.closed.is_set()
    with pytest.raises(EndOfSource):
        source.read(timeout=30)
    decoder.go_on.set()
    assert decoder.closed.wait(timeout=30)


def test_realtime_hands_frames_out_at_their_times(tmp_path: Path) -> None:
    seconds = [0.0, 0.05, 0.1, 0.4]
    source = _open(write_uneven_clip(tmp_path / "clip.mkv", seconds), realtime=True)
    frames: list[Frame] = []
    while len(frames) < len(seconds):
        # A short time-out gives None until the frame is due, and loses nothing.
        frame = source.read(timeout=0.02)
        if frame is not None:
            frames.append(frame)
    assert [frame.number for frame in frames] == [0, 1, 2, 3]
    for frame in frames:
        assert frame.captured - frames[0].captured >= frame.time - 0.02
    source.close()


def test_a_frame_that_is_not_due_does_not_outlive_its_source(tmp_path: Path) -> None:
    source = _open(write_uneven_clip(tmp_path / "clip.mkv", [0.0, 300.0]), realtime=True)
    assert source.read(timeout=30) is not None
    assert source._ahead.wait(timeout=30)
    assert source.read(timeout=0) is None
    source.close()
    # Now it would be due.
    source._started = -1e9
    with pytest.raises(EndOfSource):
        source.read(timeout=30)


def test_realtime_hands_out_late_what_was_fetched_late(tmp_path: Path) -> None:
    source = _open(write_clip(tmp_path / "clip.avi", range(5), fps=1000), realtime=True)
    numbers = []
    with pytest.raises(EndOfSource):
        while frame := source.read(timeout=30):
            numbers.append(frame.number)
    assert numbers == [0, 1, 2, 3, 4]
    source.close()


def test_frames_are_prepared_ahead_for_a_model(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.avi", range(20))
    geometry = Geometry(height=16, width=16)
    source = _open(clip)
    source.expect(geometry)
    frames = []
    with pytest.raises(EndOfSource):
        while True:
            frames.append(source.read(timeout=30))
    source.close()
    ahead = [frame for frame in frames if frame is not None and frame.tensor is not None]
    # Those that were decoded before the model was known were not.
    assert len(frames) == 20
    assert len(ahead) >= 20 - MAXIMUM_ITEMS
    for frame in ahead:
        assert frame.geometry == geometry
        assert np.array_equal(frame.tensor, prepare(frame.pixels, geometry))
