"""Clips, video files, image folders and pictures."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from edgekit.inference.frame import Frame
from edgekit.model.geometry import Geometry
from edgekit.offline.recording import Frames
from edgekit.vision.read_ahead import ReadAhead
from edgekit.vision.view import ViewSettings
from edgekit_device.sources.base import EndOfSource


class AnyRecording(Frames, Protocol):
    """A recording of which another view may be taken while it is read."""

    def look(self, view: ViewSettings) -> None: ...


class RecordedSource:
    """Every frame of a recording, in order, decoded and prepared ahead in a thread of its own.

    Args:
        name: in every output.
        open_recording: opens it, with a view; called in the thread that decodes.
        realtime: hand frames out at their own times, not as fast as they are wanted. Who is too
            slow for that gets them later, and still every one.
        view: how frames are turned and masked, and where in them the model looks; see `Recording`.
    """

    live = False
    dropped = 0
    damaged = 0

    def __init__(
        self,
        name: str,
        open_recording: Callable[[ViewSettings], AnyRecording],
        realtime: bool = False,
        view: ViewSettings | None = None,
    ) -> None:
        self.name = name
        self.message = ""
        self._open = open_recording
        self._realtime = realtime
        self._view = view or ViewSettings()
        self._started: float | None = None
        self._geometry: Geometry | None = None
        # Read, and not due yet.
        self._early: Frame | None = None
        self._closing = threading.Event()
        self._ahead = ReadAhead(self._frames(), lambda frame: frame.pixels.nbytes)

    def read(self, timeout: float) -> Frame | None:
        """The next frame; with `realtime` none before it is due.

        Raises:
            EndOfSource: there are no more.
            SourceError, ImageError: the recording cannot be read, or not from here on.
        """
        deadline = time.monotonic() + timeout
        if self._early is None:
            if not self._ahead.wait(timeout):
                return None
            self._early = next(self._ahead, None)
        if self._early is None or self._closing.is_set():
            raise EndOfSource
        if self._realtime and not self._wait_until_due(self._early.time, deadline):
            return None
        frame, self._early = self._early, None
        # Its number in the camera that a clip was recorded from is not that in this source.
        return frame._replace(number=frame.position, captured=time.monotonic())

    def look(self, view: ViewSettings) -> None:
        """Frames that are decoded from now on are turned and masked so."""
        self._view = view

    def expect(self, geometry: Geometry) -> None:
        """Frames that are decoded from now on are prepared for this, ahead and on another core."""
        self._geometry = geometry

    def close(self) -> None:
        """End decoding; waits half a second at most, for a disk may hang."""
        self._closing.set()
        self._ahead.close()

    def _wait_until_due(self, seconds: float, deadline: float) -> bool:
        if self._started is None:
            self._started = time.monotonic()
        due = self._started + seconds
        while (now := time.monotonic()) < due:
            if now >= deadline or self._closing.wait(min(due, deadline) - now):
                return False
        return True

    def _frames(self) -> Iterator[Frame]:
        # Opened here, in the thread that decodes: whoever opens the source need not wait for it.
        recording = self._open(self._view)
        for frame in recording:
            geometry = self._geometry
            yield frame if geometry is None else frame.prepared_for(geometry)
            recording.look(self._view)
        self.message = "; ".join(recording.notes)
