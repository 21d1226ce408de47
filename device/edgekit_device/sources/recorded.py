"""Video files, image folders and pictures."""

import threading
import time
from collections import deque
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgekit.inference.frame import Frame, Prepared
from edgekit.model.geometry import Geometry
from edgekit.offline.recording import iter_recording
from edgekit.vision.preprocess import prepare
from edgekit_device.sources.base import EndOfSource
from edgekit_device.sources.threads import DriverThread

# Frames that may be decoded before they are wanted: enough to keep a second core at work, and few
# megabytes.
_AHEAD = 4
_CLOSE_TIMEOUT = 0.5


class RecordedSource:
    """Every frame of a recording, in order, decoded and prepared ahead in a thread of its own.

    Args:
        path: a video file, an image folder, or a picture.
        realtime: hand frames out at their own times, not as fast as they are wanted. Who is too
            slow for that gets them later, and still every one.
    """

    live = False
    dropped = 0
    remark = ""

    def __init__(self, path: Path, realtime: bool = False) -> None:
        self.name = path.name
        self._path = path
        self._realtime = realtime
        self._started: float | None = None
        self._geometry: Geometry | None = None
        self._ready: deque[tuple[int, float, NDArray[np.uint8], Prepared | None]] = deque()
        self._end: Exception | None = None
        self._closing = False
        self._changed = threading.Condition()
        self._thread = DriverThread("decode", self._decode)

    def read(self, timeout: float) -> Frame | None:
        """See `Source`."""
        deadline = time.monotonic() + timeout
        with self._changed:
            if not self._changed.wait_for(lambda: self._ready or self._end, timeout):
                return None
            if not self._ready:
                assert self._end is not None
                raise self._end
            number, seconds, pixels, prepared = self._ready[0]
            if self._realtime and not self._wait_until_due(seconds, deadline):
                return None
            self._ready.popleft()
            self._changed.notify_all()
        return Frame(number, pixels, seconds, time.monotonic(), prepared)

    def expect(self, geometry: Geometry) -> None:
        """See `Source`."""
        self._geometry = geometry

    def close(self) -> None:
        """See `Source`."""
        with self._changed:
            self._closing = True
            self._ready.clear()
            self._end = EndOfSource()
            self._changed.notify_all()
        self._thread.join(_CLOSE_TIMEOUT)

    def _wait_until_due(self, seconds: float, deadline: float) -> bool:
        if self._started is None:
            self._started = time.monotonic()
        due = self._started + seconds
        while (now := time.monotonic()) < due:
            if now >= deadline or self._closing:
                return False
            self._changed.wait(min(due, deadline) - now)
        return True

    def _decode(self) -> None:
        end: Exception = EndOfSource()
        try:
            for number, (seconds, pixels) in enumerate(iter_recording(self._path)):
                geometry = self._geometry
                prepared = Prepared(geometry, prepare(pixels, geometry)) if geometry else None
                with self._changed:
                    self._changed.wait_for(lambda: len(self._ready) < _AHEAD or self._closing)
                    if self._closing:
                        return
                    self._ready.append((number, seconds, pixels, prepared))
                    self._changed.notify_all()
        except Exception as error:
            end = error
        with self._changed:
            self._end = end
            self._changed.notify_all()
