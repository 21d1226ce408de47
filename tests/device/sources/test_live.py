"""What a live source makes of cameras that deliver, stall, end, or give garbage."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from edgekit_device.config.settings import CameraSettings
from edgekit_device.sources.live import LiveSource, _Rhythm, differences

from edgekit.errors import SourceError
from edgekit.inference.frame import Frame
from edgekit.model.geometry import Geometry
from edgekit.vision.preprocess import prepare
from edgekit.vision.threads import is_any_left
from edgekit.vision.view import ViewSettings
from tests.device.sources.conftest import DriverThreads

BLUE = np.zeros((4, 6, 3), np.uint8)
BLUE[..., 0] = 255  # in OpenCV's order


class FakeCamera:
    """Gives one thing for each `give`, then blocks, as a camera without light does."""

    def __init__(self, bgr: bool = True) -> None:
        self.bgr = bgr
        self.message = ""
        self.reading = threading.Semaphore(0)
        self.released = threading.Event()
        self._given = threading.Semaphore(0)
        self._things: list[Any] = []

    def give(self, *things: Any) -> None:
        """Let `read` return each, or raise it."""
        for thing in things:
            self._things.append(thing)
            self._given.release()

    def wait_for_reads(self, count: int) -> None:
        """Until `read` was called `count` times more: what was given before is in the slot."""
        for _ in range(count):
            assert self.reading.acquire(timeout=30)

    def read(self) -> Any:
        self.reading.release()
        assert self._given.acquire(timeout=30)
        thing = self._things.pop(0)
        if isinstance(thing, Exception):
            raise thing
        return thing

    def release(self) -> None:
        assert not self.released.is_set()
        self.released.set()


@pytest.fixture
def camera() -> FakeCamera:
    return FakeCamera()


def _source(camera: FakeCamera, timeout: float = 30) -> LiveSource:
    return LiveSource("camera", lambda: camera, timeout, "check its cable")


def _read(source: LiveSource) -> Frame:
    frame = source.read(timeout=30)
    assert frame is not None
    return frame


def _close(source: LiveSource, camera: FakeCamera) -> None:
    camera.give(BLUE)
    source.close()
    assert camera.released.wait(timeout=30)


def test_the_newest_frame_is_kept_and_the_rest_is_counted(camera: FakeCamera) -> None:
    source = _source(camera)
    camera.give(BLUE)
    first = _read(source)
    assert (first.number, source.dropped, source.live) == (0, 0, True)
    assert first.pixels.shape == (4, 6, 3)
    assert first.pixels[0, 0].tolist() == [0, 0, 255]
    camera.give(BLUE, BLUE, BLUE)
    camera.wait_for_reads(5)
    second = _read(source)
    assert (second.number, source.dropped, source.damaged) == (3, 2, 0)
    assert first.time == first.captured < second.time
    assert source.read(timeout=0) is None
    _close(source, camera)


def test_a_frame_that_nobody_fetched_is_counted_at_the_end(camera: FakeCamera) -> None:
    source = _source(camera)
    camera.give(BLUE)
    _read(source)
    camera.give(BLUE)
    camera.wait_for_reads(3)
    camera.give(RuntimeError("gone"))
    assert camera.released.wait(timeout=30)
    source.close()
    source.close()
    assert source.dropped == 1


class TestAhead:
    """What a model takes is made while it is busy with another frame."""

    GEOMETRY = Geometry(2, 2)
    NOISE = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)

    @pytest.fixture
    def source(self, camera: FakeCamera) -> LiveSource:
        """One that has given a frame."""
        source = _source(camera)
        source.expect(self.GEOMETRY)
        camera.give(BLUE)
        assert _read(source).tensor is None
        return source

    def test_the_frame_is_the_same_as_without(
        self, source: LiveSource, camera: FakeCamera, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_Rhythm, "is_last", lambda _: True)
        camera.give(self.NOISE)
        camera.wait_for_reads(3)
        frame = _read(source)
        assert (frame.number, frame.geometry) == (1, self.GEOMETRY)
        assert frame.tensor is not None
        assert np.array_equal(frame.pixels, self.NOISE[..., ::-1])
        assert np.array_equal(frame.tensor, prepare(frame.pixels, self.GEOMETRY))
        _close(source, camera)

    def test_what_has_been_masked_since_is_masked(
        self, source: LiveSource, camera: FakeCamera, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_Rhythm, "is_last", lambda _: True)
        camera.give(self.NOISE)
        camera.wait_for_reads(3)
        source.look(ViewSettings(masks=((0.0, 0.0, 0.5, 1.0),)))
        frame = _read(source)
        assert frame.tensor is None
        assert (frame.pixels[:, :3] == 128).all()
        _close(source, camera)

    def test_a_dropped_frame_costs_it_once_at_most(
        self, source: LiveSource, camera: FakeCamera, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        prepared: list[int] = []
        real = Frame.prepared_for

        def count(frame: Frame, geometry: Geometry) -> Frame:
            prepared.append(frame.number)
            return real(frame, geometry)

        monkeypatch.setattr(Frame, "prepared_for", count)
        monkeypatch.setattr(_Rhythm, "is_last", lambda _: True)
        camera.give(BLUE, BLUE, BLUE)
        camera.wait_for_reads(5)
        frame = _read(source)
        # The newest one, all the same.
        assert (frame.number, frame.tensor, prepared) == (3, None, [1])
        camera.give(BLUE)
        camera.wait_for_reads(1)
        assert _read(source).tensor is not None
        _close(source, camera)

    def test_it_is_not_made_where_it_would_be_dropped_or_nobody_has_asked(
        self, source: LiveSource, camera: FakeCamera, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_Rhythm, "is_last", lambda _: False)
        camera.give(BLUE)
        camera.wait_for_reads(3)
        assert _read(source).tensor is None
        _close(source, camera)

    def test_which_frame_will_be_fetched_is_told_by_the_rhythm(self) -> None:
        rhythm = _Rhythm()
        # Frames a third of a second apart, of which every third is fetched.
        told = []
        for number in range(30, 39):
            if number % 3 == 1:
                rhythm.fetched(number / 3 - 0.1)
            rhythm.came(number / 3)
            told.append(rhythm.is_last())
        assert told[3:] == [True, False, False] * 2


@pytest.mark.parametrize(
    ("bgr", "pixels", "rgb"),
    [
        (True, np.full((4, 6), 7, np.uint8), [7, 7, 7]),
        (False, np.full((4, 6, 1), 7, np.uint8), [7, 7, 7]),
        (True, np.full((4, 6, 3), (1, 2, 3), np.uint8), [3, 2, 1]),
        (False, np.full((4, 6, 3), (1, 2, 3), np.uint8), [1, 2, 3]),
        (True, np.full((4, 6, 4), (1, 2, 3, 9), np.uint8), [3, 2, 1]),
        (False, np.full((4, 6, 4), (1, 2, 3, 9), np.uint8), [1, 2, 3]),
    ],
)
def test_frames_are_rgb_whatever_the_camera_gives(bgr: bool, pixels: Any, rgb: list[int]) -> None:
    camera = FakeCamera(bgr)
    source = _source(camera)
    camera.give(pixels)
    frame = _read(source)
    assert frame.pixels.shape == (4, 6, 3)
    assert frame.pixels.dtype == np.uint8
    assert frame.pixels[-1, -1].tolist() == rgb
    _close(source, camera)


def test_a_camera_that_stalls_is_an_error(camera: FakeCamera) -> None:
    source = _source(camera, timeout=0.2)
    camera.give(BLUE)
    camera.wait_for_reads(2)
    _read(source)
    with pytest.raises(SourceError, match=r"^camera stalled: no frame for 0\.2 s; check its cable"):
        source.read(timeout=30)
    _close(source, camera)


def test_a_frame_that_came_in_time_is_handed_out_however_late(camera: FakeCamera) -> None:
    # Overdue by the time that anybody reads.
    source = _source(camera, timeout=1e-6)
    camera.give(BLUE)
    camera.wait_for_reads(2)
    assert _read(source).number == 0
    with pytest.raises(SourceError, match="stalled"):
        source.read(timeout=30)
    _close(source, camera)


def test_a_camera_that_ends_is_an_error_after_its_last_frame(camera: FakeCamera) -> None:
    source = _source(camera)
    camera.give(BLUE, SourceError("it ended"))
    assert camera.released.wait(timeout=30)
    assert _read(source).number == 0
    for _ in range(2):
        with pytest.raises(SourceError, match=r"^it ended$"):
            source.read(timeout=30)
    source.close()


def test_whatever_a_camera_raises_is_told_in_one_line(camera: FakeCamera) -> None:
    source = _source(camera)
    camera.give(RuntimeError("bus error\n  at 3"))
    with pytest.raises(SourceError, match=r"^camera failed: bus error at 3; check its cable$"):
        source.read(timeout=30)
    source.close()


GARBAGE: list[tuple[Any, str]] = [
    (None, "damaged frames"),
    (np.zeros((0, 0, 3), np.uint8), "an empty array"),
    (np.zeros((4, 4, 3), np.float32), "float32 values"),
    (np.zeros((4, 4, 2), np.uint8), r"shape \(4, 4, 2\)"),
    (np.zeros(48, np.uint8), r"shape \(48,\)"),
    (b"abc", "bytes"),
]


@pytest.mark.parametrize(("thing", "named"), GARBAGE)
def test_garbage_is_skipped_and_counted(camera: FakeCamera, thing: Any, named: str) -> None:
    source = _source(camera)
    camera.give(thing, thing, BLUE)
    assert _read(source).number == 2
    assert (source.dropped, source.damaged) == (2, 2)
    _close(source, camera)


@pytest.mark.parametrize(("thing", "named"), GARBAGE)
def test_nothing_but_garbage_is_an_error(camera: FakeCamera, thing: Any, named: str) -> None:
    source = _source(camera, timeout=0.2)
    camera.give(thing)
    camera.wait_for_reads(2)
    with pytest.raises(SourceError, match=rf"gave no picture for 0\.2 s, but .*{named}; check"):
        source.read(timeout=30)
    _close(source, camera)


def test_a_short_wait_gives_none_and_no_error(camera: FakeCamera) -> None:
    source = _source(camera)
    assert source.read(timeout=0.01) is None
    _close(source, camera)


def test_closing_leaves_a_camera_that_blocks_to_itself(
    camera: FakeCamera, driver_threads: DriverThreads
) -> None:
    source = _source(camera)
    camera.wait_for_reads(1)
    source.close()
    source.close()
    assert not camera.released.is_set()
    (thread,) = driver_threads()
    assert is_any_left()
    camera.give(BLUE)
    assert camera.released.wait(timeout=30)
    thread.join(timeout=30)
    assert not driver_threads()


def test_a_frame_that_nobody_fetched_is_dropped(camera: FakeCamera) -> None:
    """What came is answered or dropped, and counted once."""
    source = _source(camera)
    camera.give(BLUE, BLUE)
    camera.wait_for_reads(3)
    camera.give(RuntimeError("the end"))
    assert camera.released.wait(30)
    for _ in range(2):
        source.close()
        assert source.dropped == 2


class Opening:
    """Opens a camera when it is let go, as one does whose network hangs."""

    def __init__(self, result: FakeCamera | Exception) -> None:
        self.let_go = threading.Event()
        self._result = result

    def __call__(self) -> FakeCamera:
        assert self.let_go.wait(timeout=30)
        if isinstance(self._result, Exception):
            raise self._result
        return self._result


def _opening(open_camera: Callable[[], FakeCamera], timeout: float = 30) -> LiveSource:
    return LiveSource("camera", open_camera, timeout, "check its cable")


def test_opening_may_take_its_time(camera: FakeCamera) -> None:
    opening = Opening(camera)
    source = _opening(opening)
    assert not source.wait_open(timeout=0.01)
    assert source.read(timeout=0.01) is None
    camera.message = "gives less"
    opening.let_go.set()
    assert source.wait_open(timeout=30)
    assert source.message == "gives less"
    camera.give(BLUE)
    _read(source)
    _close(source, camera)


def test_a_camera_that_never_opens_is_an_error(camera: FakeCamera) -> None:
    opening = Opening(camera)
    source = _opening(opening, timeout=0.1)
    with pytest.raises(SourceError, match=r"^camera did not open within 0\.1 s; check its cable$"):
        source.read(timeout=30)
    source.close()
    # It opens after all, and is released without being read.
    opening.let_go.set()
    assert camera.released.wait(timeout=30)
    assert not camera.reading.acquire(blocking=False)


def test_a_camera_that_does_not_open_is_an_error() -> None:
    opening = Opening(RuntimeError("busy"))
    opening.let_go.set()
    source = _opening(opening)
    for wait in (source.wait_open, source.read):
        with pytest.raises(SourceError, match=r"^camera does not open: busy; check its cable$"):
            wait(30)
    source.close()


def test_a_message_names_what_differs_from_what_was_asked() -> None:
    asked = CameraSettings(width=640, height=480, fps=30, pixel_format="MJPG")
    assert differences(asked, 640, 480, 30.0, "MJPG") == ""
    assert differences(asked, 640, 480) == ""
    assert differences(asked, 1280, 720, 10.0, "YUYV") == (
        "gives 1280x720, not 640x480; 10 frames/s, not 30; YUYV, not MJPG"
    )
    assert differences(CameraSettings(), 640, 480, 15.0, "YUYV") == ""
