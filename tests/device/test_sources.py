import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from edgekit_device.sources import LiveSource, open_source

from demo.fixtures import Material
from edgekit.errors import ImageError, SourceError
from edgekit.frames import iter_video


class Camera:
    """Stands in for `cv2.VideoCapture`: gives a frame for each permit, then ends or stalls."""

    def __init__(self, stalls: bool = False) -> None:
        self.permits = threading.Semaphore(0)
        self.given = threading.Semaphore(0)
        self.ending = False
        self.stalls = stalls

    def read(self) -> tuple[bool, np.ndarray | None]:
        self.given.release()
        self.permits.acquire()
        if self.ending:
            return False, None
        frame = np.zeros((4, 4, 3), np.uint8)
        frame[..., 0] = 255  # blue, in OpenCV's order
        return True, frame

    def release(self) -> None:
        pass


def _wait_for_reads(camera: Camera, count: int) -> None:
    for _ in range(count):
        assert camera.given.acquire(timeout=5)


def test_a_live_source_keeps_the_newest_frame_and_counts_the_rest() -> None:
    camera = Camera()
    source = LiveSource("camera", camera)
    frames = iter(source)
    camera.permits.release()
    first = next(frames)
    assert first.number == 0
    assert first.pixels[0, 0].tolist() == [0, 0, 255]
    camera.permits.release(3)
    # The fifth call of `read` begins after the fourth frame was put in the slot.
    _wait_for_reads(camera, 5)
    assert next(frames).number == 3
    assert source.dropped == 2
    source.close()
    camera.permits.release()


def test_a_camera_that_stalls_is_an_error() -> None:
    camera = Camera()
    with pytest.raises(SourceError, match="stalled"):
        next(iter(LiveSource("camera", camera, timeout=0.2)))
    camera.ending = True
    camera.permits.release()


def test_a_camera_that_ends_is_an_error() -> None:
    camera = Camera()
    camera.ending = True
    camera.permits.release()
    with pytest.raises(SourceError, match="stopped delivering"):
        next(iter(LiveSource("camera", camera)))


def test_a_video_drops_nothing_and_is_the_same_each_time(material: Material) -> None:
    numbers = [frame.number for frame in open_source(str(material.clip))]
    assert numbers == list(range(480))
    first, second = (next(iter(open_source(str(material.clip)))).pixels for _ in range(2))
    assert np.array_equal(first, second)
    assert np.array_equal(first, next(iter_video(material.clip)))


def test_an_image_folder_is_read_in_order(tmp_path: Path) -> None:
    for value in (10, 20, 30):
        picture = np.full((8, 8, 3), value, np.uint8)
        cv2.imwrite(str(tmp_path / f"{value}.png"), picture)
    values = [int(frame.pixels[0, 0, 0]) for frame in open_source(str(tmp_path))]
    assert values == [10, 20, 30]
    assert len(list(open_source(str(tmp_path / "10.png")))) == 1


def test_a_truncated_picture_is_noticed(tmp_path: Path, material: Material) -> None:
    whole = next(iter(material.calibration.rglob("*.jpg"))).read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ImageError, match="truncated"):
        list(open_source(str(tmp_path)))


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no source at"):
        open_source(str(tmp_path / "nowhere.avi"))
    with pytest.raises(SourceError, match="/dev/video97"):
        open_source("v4l2:/dev/video97")
    (tmp_path / "text.avi").write_text("not a video")
    with pytest.raises(SourceError, match="does not open as a video"):
        list(open_source(str(tmp_path / "text.avi")))
