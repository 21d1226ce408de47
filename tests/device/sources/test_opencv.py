"""USB cameras: how they are named, asked and read. There is none here; OpenCV is stood in for."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgekit.errors import SourceError
from tests.device.sources.opened import close, open_live


class FakeCapture:
    """Stands in for `cv2.VideoCapture`: takes settings as `given` lets it, and gives pictures."""

    opened = True
    given: dict[int, float] = {}  # noqa: RUF012 - replaced, never altered
    pictures: list[tuple[bool, Any]] = []  # noqa: RUF012

    def __init__(self, device: str, backend: int) -> None:
        self.device = device
        self.backend = backend
        self.asked: list[tuple[int, float]] = []
        self.released = False
        self._left = list(self.pictures)
        type(self).last = self

    def isOpened(self) -> bool:
        return self.opened

    def set(self, key: int, value: float) -> bool:
        self.asked.append((key, value))
        return True

    def get(self, key: int) -> float:
        return self.given.get(key, dict(self.asked).get(key, 0.0))

    def grab(self) -> bool:
        return bool(self._left)

    def retrieve(self) -> tuple[bool, Any]:
        return self._left.pop(0)

    def release(self) -> None:
        self.released = True

    last: "FakeCapture"


@pytest.fixture
def capture(monkeypatch: pytest.MonkeyPatch) -> type[FakeCapture]:
    class Capture(FakeCapture):
        pass

    monkeypatch.setattr(cv2, "VideoCapture", Capture)
    return Capture


@pytest.fixture
def device(tmp_path: Path) -> str:
    """A file in the place of /dev/video0."""
    (tmp_path / "video0").touch()
    return f"v4l2:{tmp_path}/video0"


PICTURE = (True, np.full((480, 640, 3), (1, 2, 3), np.uint8))


def test_the_camera_is_asked_for_what_is_set(capture: type[FakeCapture], device: str) -> None:
    capture.pictures = [PICTURE]
    source = open_live(device, width=1280, height=720, fps=15, pixel_format="MJPG")
    frame = source.read(timeout=30)
    assert frame is not None and frame.pixels[0, 0].tolist() == [3, 2, 1]
    camera = capture.last
    assert source.name == device == f"v4l2:{camera.device}"
    assert camera.backend == cv2.CAP_V4L2
    assert camera.asked == [
        (cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG")),
        (cv2.CAP_PROP_FRAME_WIDTH, 1280),
        (cv2.CAP_PROP_FRAME_HEIGHT, 720),
        (cv2.CAP_PROP_FPS, 15),
        (cv2.CAP_PROP_BUFFERSIZE, 2),
    ]
    assert source.message == ""
    close(source)
    assert camera.released


def test_what_it_gives_instead_is_said(capture: type[FakeCapture], device: str) -> None:
    capture.pictures = [PICTURE]
    capture.given = {
        cv2.CAP_PROP_FRAME_WIDTH: 320.0,
        cv2.CAP_PROP_FRAME_HEIGHT: 240.0,
        cv2.CAP_PROP_FPS: 10.0,
        cv2.CAP_PROP_FOURCC: float(cv2.VideoWriter.fourcc(*"YUYV")),
    }
    source = open_live(device, fps=30, pixel_format="MJPG")
    assert source.read(timeout=30) is not None
    assert source.message == "gives 320x240, not 640x480; 10 frames/s, not 30; YUYV, not MJPG"
    close(source)


def test_what_is_not_set_is_left_to_the_driver(capture: type[FakeCapture], device: str) -> None:
    capture.pictures = [PICTURE]
    source = open_live(device)
    source.read(timeout=30)
    asked = {key for key, _ in capture.last.asked}
    assert not asked & {cv2.CAP_PROP_FOURCC, cv2.CAP_PROP_FPS}
    close(source)


def test_a_picture_that_cannot_be_decoded_is_skipped(
    capture: type[FakeCapture], device: str
) -> None:
    capture.pictures = [(False, None), (True, None), PICTURE]
    source = open_live(device)
    frame = source.read(timeout=30)
    assert frame is not None and frame.number == 2
    assert source.dropped == 2
    with pytest.raises(SourceError, match=r"stopped delivering frames; check its cable"):
        source.read(timeout=30)
    close(source)


def test_a_camera_that_is_busy_is_an_error(capture: type[FakeCapture], device: str) -> None:
    capture.opened = False
    with pytest.raises(SourceError, match=r"no other program uses it.*in the group 'video'"):
        open_live(device)


def test_a_device_that_is_no_camera_is_an_error() -> None:
    with pytest.raises(SourceError, match=r"^/dev/null does not open as a camera; check that"):
        open_live("v4l2:/dev/null")


@pytest.mark.parametrize("spec", ["v4l2:/dev/video97", "/dev/video97", "v4l2:97", "97"])
def test_a_camera_has_several_spellings(spec: str) -> None:
    with pytest.raises(SourceError, match="no camera at /dev/video97; list cameras with"):
        open_live(spec)


def test_a_camera_without_a_device_is_an_error() -> None:
    with pytest.raises(SourceError, match="no camera at v4l2:"):
        open_live("v4l2:")
