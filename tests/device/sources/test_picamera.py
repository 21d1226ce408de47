"""Raspberry Pi cameras. There is none here; the library is stood in for, call by call."""

import sys
import threading
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from edgekit_device.sources import LiveSource
from numpy.typing import NDArray

from edgekit.errors import SourceError
from tests.device.sources.opened import close, open_live


class Job:
    """As `picamera2.job.Job`: a capture that is under way."""

    def __init__(self, camera: "Picamera2") -> None:
        self._camera = camera

    def get_result(self, timeout: float | None = None) -> NDArray[np.uint8]:
        if not self._camera.frames.acquire(timeout=timeout):
            raise TimeoutError
        return self._camera.picture()


class Picamera2:
    """As `picamera2.Picamera2`, of which it checks what the real one would refuse."""

    sensor_resolution = (3280, 2464)
    cameras = 2
    last: "Picamera2"

    def __init__(self, camera_num: int = 0) -> None:
        if camera_num >= self.cameras:
            raise IndexError("list index out of range")
        type(self).last = self
        self.number = camera_num
        self.frames = threading.Semaphore(0)
        self.config: dict[str, Any] = {}
        self.calls: list[str] = []
        self._waiting = False

    def create_video_configuration(
        self,
        main: dict[str, Any],
        raw: dict[str, Any],
        controls: dict[str, Any],
        buffer_count: int,
        queue: bool,
    ) -> dict[str, Any]:
        assert set(main) == {"size", "format"} and set(raw) == {"size"}
        width, height = main["size"]
        # Aligned as the real one aligns.
        main = {**main, "size": (width - width % 2, height - height % 2)}
        return {
            "main": main,
            "raw": raw,
            "controls": controls,
            "buffer_count": buffer_count,
            "queue": queue,
        }

    def configure(self, config: dict[str, Any]) -> None:
        self.config = config

    def camera_configuration(self) -> dict[str, Any]:
        return self.config

    def start(self) -> None:
        self.calls.append("start")

    def capture_array(self, name: str = "main", wait: bool | None = None) -> Job:
        assert name == "main" and wait is False
        self._waiting = True
        return Job(self)

    def picture(self) -> NDArray[np.uint8]:
        """Red, in the order of the format: Picamera2 names formats from the last byte on."""
        self._waiting = False
        width, height = self.config["main"]["size"]
        red = {"BGR888": (255, 0, 0), "RGB888": (0, 0, 255)}[self.config["main"]["format"]]
        return np.full((height, width, 3), red, np.uint8)

    def cancel_all_and_flush(self) -> None:
        self._waiting = False

    def close(self) -> None:
        # The real one would wait for the capture that is under way.
        assert not self._waiting
        self.calls.append("close")


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> type[Picamera2]:
    class Fresh(Picamera2):
        pass

    module = ModuleType("picamera2")
    module.Picamera2 = Fresh  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "picamera2", module)
    return Fresh


def _close(source: LiveSource, camera: Picamera2) -> None:
    camera.frames.release()
    close(source)
    assert camera.calls == ["start", "close"]


def test_frames_are_rgb_of_the_size_asked_for(library: type[Picamera2]) -> None:
    source = open_live("picamera2:", width=320, height=240, fps=25)
    camera = library.last
    camera.frames.release()
    frame = source.read(timeout=30)
    assert frame is not None
    assert frame.pixels.shape == (240, 320, 3)
    assert frame.pixels[0, 0].tolist() == [255, 0, 0]
    assert source.name == "picamera2:0"
    assert source.message == ""
    assert camera.config["controls"] == {"FrameDurationLimits": (40000, 40000)}
    assert camera.config["raw"] == {"size": (1640, 1232)}
    assert camera.config["queue"] is False
    _close(source, camera)


def test_a_second_camera_has_a_number_and_the_rate_may_be_its_own(
    library: type[Picamera2],
) -> None:
    source = open_live("picamera2:1", width=321, height=241)
    camera = library.last
    assert (camera.number, source.name) == (1, "picamera2:1")
    assert camera.config["controls"] == {}
    assert source.message == "gives 320x240, not 321x241"
    _close(source, camera)


def test_a_stall_is_an_error_and_the_camera_is_let_go(library: type[Picamera2]) -> None:
    source = open_live("picamera2:", timeout=0.2)
    with pytest.raises(SourceError, match=r"^picamera2:0 stalled: no frame for 0\.2 s; check the"):
        source.read(timeout=30)
    close(source)
    assert library.last.calls == ["start", "close"]


def test_a_camera_that_cannot_be_configured_is_let_go(
    library: type[Picamera2], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Picamera2, config: dict[str, Any]) -> None:
        raise RuntimeError("Failed to allocate buffers.")

    monkeypatch.setattr(library, "configure", refuse)
    with pytest.raises(SourceError, match=r"^picamera2:0 does not open: Failed to allocate buf"):
        open_live("picamera2:")
    assert library.last.calls == ["close"]


def test_a_camera_that_is_not_there_is_an_error(library: type[Picamera2]) -> None:
    with pytest.raises(SourceError, match=r"picamera2:7 does not open: .*rpicam-hello"):
        open_live("picamera2:7")


def test_what_is_no_number_is_an_error() -> None:
    with pytest.raises(SourceError, match=r"^picamera2:front is no camera; it is picamera2: or"):
        open_live("picamera2:front")


def test_its_absence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "picamera2", None)
    with pytest.raises(
        SourceError,
        match=r"sudo apt install python3-picamera2, in an environment made with: python3 -m venv "
        "--system-site-packages",
    ) as raised:
        open_live("picamera2:")
    assert "\n" not in str(raised.value)


def test_a_library_that_does_not_load_says_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    text = "numpy.dtype size changed, may indicate binary incompatibility"
    (tmp_path / "picamera2.py").write_text(f"raise ValueError({text!r})\n")
    monkeypatch.delitem(sys.modules, "picamera2", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(SourceError, match=r"numpy.dtype size changed.*; use the system's numpy"):
        open_live("picamera2:")
