"""The newest frame of a camera.

A camera is opened, read and released in one thread, so that neither a slow inference nor a camera
that hangs delays anything else: a frame waits in a slot until it is fetched or a newer one takes
its place, and whatever the camera does not do in time is an error to whoever reads.
"""

import itertools
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekit.errors import SourceError
from edgekit.inference.frame import Frame
from edgekit.model.geometry import Geometry
from edgekit.vision.threads import DriverThread
from edgekit.vision.turning import View
from edgekit.vision.view import ViewSettings
from edgekit_device.config.settings import CameraSettings

_CLOSE_TIMEOUT = 0.5
# Between two tries with a camera that returns at once, and no picture.
_PAUSE = 0.01


class Camera(Protocol):
    """An open camera; all its methods are called in one thread.

    Attributes:
        bgr: whether its pictures have blue first, as OpenCV's have.
        message: what it gives instead of what it was asked for, in words; empty if it obeyed.
    """

    bgr: bool
    message: str

    def read(self) -> Any:
        """Wait for a picture: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) uint8.

        Anything else stands for a frame that was damaged.

        Raises:
            Exception: no more will come.
        """

    def release(self) -> None:
        """Let go of it."""


class _Rhythm:
    """Foretells whether a frame that has come will still be the newest when one is fetched.

    All times are in seconds, on the monotonic clock.
    """

    def __init__(self) -> None:
        self._came = self._fetched = time.monotonic()
        self._between_frames = 0.0
        self._between_fetches = 0.0

    def came(self, now: float) -> None:
        """A frame has come."""
        self._came, self._between_frames = now, now - self._came

    def fetched(self, now: float) -> None:
        """One was fetched."""
        self._fetched, self._between_fetches = now, now - self._fetched

    def is_last(self) -> bool:
        """Whether the next frame is to come after the next fetch, as far as both are regular."""
        return self._came + self._between_frames > self._fetched + self._between_fetches


class LiveSource:
    """The newest frame of a camera; opening begins at once.

    Args:
        name: in every output.
        open_camera: opens it; may take its time.
        timeout: seconds that opening may take, and then each frame.
        advice: what to do when it fails, in words.

    Attributes:
        dropped: frames that a newer one replaced, that were damaged, or that waited at the end.
        damaged: those that were.
        message: of the camera, once it is open.
    """

    live = True

    def __init__(
        self, name: str, open_camera: Callable[[], Camera], timeout: float, advice: str
    ) -> None:
        self.name = name
        self.dropped = 0
        self.damaged = 0
        self.message = ""
        self._open_camera = open_camera
        self._timeout = timeout
        self._advice = advice
        self._bgr = True
        self._view = View()
        self._newest: tuple[int, NDArray[np.uint8], float] | None = None
        # The same, converted and prepared ahead; None where that was not done.
        self._ready: Frame | None = None
        self._geometry: Geometry | None = None
        self._rhythm = _Rhythm()
        self._has_prepared = False  # a frame, since one was fetched
        self._awaited = False
        self._opened = False
        # When it last did what it should: began to open, opened, delivered.
        self._progress = time.monotonic()
        # What was wrong with the last frame, if anything.
        self._damage: str | None = None
        self._error: SourceError | None = None
        self._closing = threading.Event()
        self._changed = threading.Condition()
        self._thread = DriverThread("capture", self._capture)

    def wait_open(self, timeout: float) -> bool:
        """Whether it is open, within `timeout` seconds.

        Raises:
            SourceError: it does not open.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._opened or self._error, timeout)
            if self._error is not None and not self._opened:
                raise self._error
            return self._opened

    def read(self, timeout: float) -> Frame | None:
        """The newest frame that was not handed out yet; None when none comes in time.

        Raises:
            SourceError: the camera does not open, has stalled, or ended after its last frame.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            while self._newest is None:
                if self._error is not None:
                    raise self._error
                now = time.monotonic()
                overdue = self._progress + self._timeout
                if now >= overdue:
                    raise SourceError(f"{self.name} {self._complaint()}; {self._advice}")
                if now >= deadline:
                    return None
                self._awaited = True
                self._changed.wait(min(deadline, overdue) - now)
                self._awaited = False
            newest, ready, self._newest, self._ready = self._newest, self._ready, None, None
            self._rhythm.fetched(time.monotonic())
            self._has_prepared = False
        view = self._view
        if ready is not None and ready.view is view.settings:
            return ready
        return self._frame(newest, view)

    def look(self, view: ViewSettings) -> None:
        """Turn and mask frames so, from the next one on; the camera goes on."""
        self._view = View(view)

    def expect(self, geometry: Geometry) -> None:
        """Prepare frames for this that will probably be fetched, while none is waited for."""
        self._geometry = geometry

    def close(self) -> None:
        """End capturing; the camera is released as soon as it returns from what it is doing.

        Waits half a second for that at most. A frame that nobody fetched counts as dropped.
        """
        self._closing.set()
        self._thread.join(_CLOSE_TIMEOUT)
        with self._changed:
            self.dropped += self._newest is not None
            self._newest = self._ready = None

    def _complaint(self) -> str:
        if not self._opened:
            return f"did not open within {self._timeout:g} s"
        if self._damage is not None:
            return f"gave no picture for {self._timeout:g} s, but {self._damage}"
        return f"stalled: no frame for {self._timeout:g} s"

    def _capture(self) -> None:
        try:
            camera = self._open_camera()
            try:
                self._capture_from(camera)
            finally:
                camera.release()
        except Exception as error:
            # After the release, so that who opens the camera again finds it free.
            self._fail(error)

    def _capture_from(self, camera: Camera) -> None:
        with self._changed:
            self._bgr = camera.bgr
            self.message = camera.message
            self._opened = True
            self._progress = time.monotonic()
            self._changed.notify_all()
        for number in itertools.count():
            if self._closing.is_set():
                return
            self._offer(number, camera.read())
            self._prepare()

    def _offer(self, number: int, pixels: Any) -> None:
        damage = _damage(pixels)
        with self._changed:
            self._damage = damage
            self.damaged += damage is not None
            if damage is not None or self._newest is not None:
                self.dropped += 1
            if damage is None:
                self._progress = time.monotonic()
                self._newest, self._ready = (number, pixels, self._progress), None
                self._rhythm.came(self._progress)
                self._changed.notify_all()
        if damage is not None:
            self._closing.wait(_PAUSE)

    def _prepare(self) -> None:
        """Make of the newest frame what a model takes, if it will probably be the next one fetched.

        That goes on beside the inference of another one, on another core. Frames that are dropped
        cost it once for each that is fetched, at most; who waits for one is not kept waiting.
        """
        with self._changed:
            newest, geometry, view = self._newest, self._geometry, self._view
            wanted = not (self._awaited or self._has_prepared) and self._rhythm.is_last()
            if newest is None or geometry is None or not wanted:
                return
            self._has_prepared = True
        frame = self._frame(newest, view).prepared_for(geometry)
        with self._changed:
            # Unless it was fetched meanwhile, by who has converted it then.
            if self._newest is newest:
                self._ready = frame

    def _frame(self, newest: tuple[int, NDArray[np.uint8], float], view: View) -> Frame:
        number, pixels, captured = newest
        return Frame(
            number,
            view.turn(_to_rgb(pixels, self._bgr)),
            time=captured,
            captured=captured,
            position=number,
            region=view.region,
            view=view.settings,
        )

    def _fail(self, error: Exception) -> None:
        if not isinstance(error, SourceError):
            text = " ".join(str(error).split()) or type(error).__name__
            failed = "failed" if self._opened else "does not open"
            error = SourceError(f"{self.name} {failed}: {text}; {self._advice}")
        with self._changed:
            self._error = self._error or error
            self._changed.notify_all()


def _damage(pixels: Any) -> str | None:
    """What is wrong with a camera's picture, in words."""
    if pixels is None:
        return "damaged frames"
    if not isinstance(pixels, np.ndarray):
        return f"{type(pixels).__name__}"
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    if pixels.ndim not in (2, 3) or channels not in _TO_RGB:
        return f"an array of shape {pixels.shape}"
    if pixels.dtype != np.uint8:
        return f"{pixels.dtype} values"
    return None if pixels.size else "an empty array"


# Number of channels: conversions from blue first, and from red first.
_TO_RGB: dict[int, tuple[int | None, int | None]] = {
    1: (cv2.COLOR_GRAY2RGB, cv2.COLOR_GRAY2RGB),
    3: (cv2.COLOR_BGR2RGB, None),
    4: (cv2.COLOR_BGRA2RGB, cv2.COLOR_RGBA2RGB),
}


def _to_rgb(pixels: NDArray[np.uint8], bgr: bool) -> NDArray[np.uint8]:
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    code = _TO_RGB[channels][0 if bgr else 1]
    return pixels if code is None else np.asarray(cv2.cvtColor(pixels, code), dtype=np.uint8)


def differences(
    asked: CameraSettings,
    width: int,
    height: int,
    fps: float | None = None,
    pixel_format: str | None = None,
) -> str:
    """What a camera gives instead of what it was asked for, in words; empty if it obeyed.

    Args:
        asked: the settings.
        width, height, fps, pixel_format: what it says it gives, as far as it says.
    """
    differences = []
    if (width, height) != (asked.width, asked.height):
        differences.append(f"{width}x{height}, not {asked.width}x{asked.height}")
    if asked.fps and fps and abs(fps - asked.fps) > 0.01 * asked.fps:
        differences.append(f"{fps:g} frames/s, not {asked.fps:g}")
    if asked.pixel_format and pixel_format and pixel_format != asked.pixel_format:
        differences.append(f"{pixel_format}, not {asked.pixel_format}")
    return f"gives {'; '.join(differences)}" if differences else ""
