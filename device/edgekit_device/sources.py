"""Where frames come from.

A recorded source (video file, image folder, picture) drops nothing and ends. A live one is read
in a thread of its own, so that a slow inference never works on an old frame: only the newest is
kept, and what it replaces is counted as dropped.
"""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekit.errors import SourceError
from edgekit.frames import iter_recorded

READ_TIMEOUT = 5.0
# How long `close` waits for a camera's read to return before it leaves the camera to the kernel.
RELEASE_TIMEOUT = 0.5
CAMERA_PREFIX = "v4l2:"


class Frame(NamedTuple):
    """A frame, (H, W, 3) uint8 RGB, and its number in the source.

    Numbers count from 0; those of dropped frames are skipped.
    """

    number: int
    pixels: NDArray[np.uint8]


class Source(Protocol):
    """Yields frames until it ends or is stopped.

    Attributes:
        name: shown in every output line.
        dropped: frames that came and were never yielded.
    """

    name: str
    dropped: int

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames; may be called once.

        Raises:
            SourceError, ImageError: the source cannot be read, or broke.
        """

    def stop(self) -> None:
        """End the iteration soon; takes no lock, so that a signal handler may call it."""

    def close(self) -> None:
        """Free what the source holds, once the iteration is over."""


class RecordedSource:
    """Every frame of a video file, an image folder or a picture, in order."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self.dropped = 0
        self._path = path
        self._stopped = False

    def __iter__(self) -> Iterator[Frame]:
        """See `Source`."""
        for number, pixels in enumerate(iter_recorded(self._path)):
            if self._stopped:
                return
            yield Frame(number, pixels)

    def stop(self) -> None:
        """See `Source`."""
        self._stopped = True

    def close(self) -> None:
        """See `Source`; nothing to do, the end of the iteration closes the file."""


class Capture(Protocol):
    """The part of `cv2.VideoCapture` that is used."""

    def read(self) -> tuple[bool, Any]:
        """Wait for a frame: whether there was one, and its pixels (H, W, 3) uint8, BGR."""

    def release(self) -> None:
        """Let go of the camera."""


class LiveSource:
    """The newest frame of a camera.

    Args:
        name: shown in every output line.
        capture: an open camera.
        timeout: seconds without a frame after which the camera counts as stalled.

    Raises (while iterating):
        SourceError: the camera stopped delivering, or stalled.
    """

    def __init__(self, name: str, capture: Capture, timeout: float = READ_TIMEOUT) -> None:
        self.name = name
        self.dropped = 0
        self._capture = capture
        self._timeout = timeout
        self._arrived = threading.Condition()
        self._newest: tuple[int, Any] | None = None
        self._ended = False
        self._stopped = False
        # A daemon thread, because a camera's read can block for ever and must not keep us alive.
        self._thread = threading.Thread(target=self._capture_frames, name="capture", daemon=True)

    def _capture_frames(self) -> None:
        number = 0
        try:
            while not self._stopped:
                read, bgr = self._capture.read()
                if not read:
                    break
                with self._arrived:
                    if self._newest is not None:
                        self.dropped += 1
                    self._newest = (number, bgr)
                    self._arrived.notify()
                number += 1
        finally:
            with self._arrived:
                self._ended = True
                self._arrived.notify()
            self._capture.release()

    def _take(self) -> tuple[int, Any] | None:
        """The newest frame as soon as there is one; None when the source was stopped."""
        deadline = time.monotonic() + self._timeout
        with self._arrived:
            while not self._stopped:
                if self._newest is not None:
                    taken, self._newest = self._newest, None
                    return taken
                if self._ended:
                    raise SourceError(
                        f"{self.name} stopped delivering frames; check that it is connected"
                    )
                if time.monotonic() > deadline:
                    raise SourceError(
                        f"{self.name} stalled: no frame for {self._timeout:g} s; reconnect it"
                    )
                # A short wait, because `stop` comes from a signal handler, which may not take
                # the lock that the interrupted code may hold, and so cannot notify.
                self._arrived.wait(0.1)
        return None

    def __iter__(self) -> Iterator[Frame]:
        """See `Source`."""
        self._thread.start()
        while (taken := self._take()) is not None:
            number, bgr = taken
            # Here and not in the capture thread: a dropped frame costs no conversion.
            rgb = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
            yield Frame(number, np.asarray(rgb, dtype=np.uint8))

    def stop(self) -> None:
        """See `Source`."""
        self._stopped = True

    def close(self) -> None:
        """See `Source`."""
        self._stopped = True
        if self._thread.ident is None:
            self._capture.release()
        else:
            self._thread.join(RELEASE_TIMEOUT)


def _camera_device(spec: str) -> str | None:
    """The device node that `spec` names, or None when it does not name a camera."""
    device = spec.removeprefix(CAMERA_PREFIX)
    if device.isdecimal() and (device != spec or not Path(spec).exists()):
        return f"/dev/video{device}"
    return device if device != spec or spec.startswith("/dev/") else None


def open_source(spec: str) -> Source:
    """Open what `--source` names.

    Args:
        spec: path of a video file, image folder or picture; or a camera: `v4l2:/dev/video0`,
            `/dev/video0` or `0`.

    Raises:
        SourceError: nothing is there, or the camera does not open.
    """
    device = _camera_device(spec)
    if device is None:
        path = Path(spec)
        if not path.exists():
            raise SourceError(
                f"no source at {spec}; name a video file, an image folder, a picture or a camera "
                "like v4l2:/dev/video0"
            )
        return RecordedSource(path)
    if not device or not Path(device).exists():
        raise SourceError(f"no camera at {device or spec}; list cameras with: ls /dev/video*")
    capture = cv2.VideoCapture(device, cv2.CAP_V4L2)
    if not capture.isOpened():
        raise SourceError(
            f"{device} does not open as a camera; check that no other program uses it and that "
            "you are in the group 'video'"
        )
    return LiveSource(f"{CAMERA_PREFIX}{device}", capture)
