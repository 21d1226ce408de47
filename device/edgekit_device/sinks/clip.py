"""Keeps answered frames as a clip: all of them, or those around something that happened."""

import threading
import time
from collections import deque
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgekit.errors import EdgekitError, OutputError
from edgekit.inference.frame import FrameRecord
from edgekit.offline.clip import ClipHeader, ClipWriter
from edgekit.vision.encode import encode_png

# When the power fails, no more than this is lost.
SYNC_INTERVAL = 5.0  # seconds
# Of frames that wait, what a device of 512 MB can spare.
MEMORY = 64 << 20
_POLL = 0.25  # seconds


class Span(NamedTuple):
    """Seconds that are kept before and after something happened."""

    before: float
    after: float


class _Waiting(NamedTuple):
    record: FrameRecord
    pixels: NDArray[np.uint8]


class Recorder:
    """Takes answered frames in their order, and writes them in a thread of its own.

    Args:
        path: the clip to write.
        header: its header.
        span: what is kept around something that happened; None to keep every frame.
        max_bytes: size that the clip stays below.
        memory: bytes of pixels that may wait, in the ring of the last seconds and to be written.

    Attributes:
        full: whether the clip has reached its size; further frames are left out.
        stretches: runs of frames without a gap.

    Raises:
        OutputError: as `ClipWriter`.
    """

    def __init__(
        self,
        path: Path,
        header: ClipHeader,
        span: Span | None,
        max_bytes: int,
        memory: int = MEMORY,
    ) -> None:
        self.full = False
        self.stretches = 0
        self._span = span
        self._max_bytes = max_bytes
        self._memory = memory
        self._writer = ClipWriter(path, header)
        self._ring: deque[_Waiting] = deque()
        self._queue: deque[_Waiting] = deque()
        # Of both; what is being written counts until it is.
        self._bytes = 0
        self._keep_until = float("-inf")
        self._left_out = True
        self._failure: EdgekitError | None = None
        self._closing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._write, name="record", daemon=True)
        self._thread.start()

    @property
    def frames(self) -> int:
        """Number of frames written."""
        return self._writer.frames

    def add(self, record: FrameRecord, pixels: NDArray[np.uint8], happened: bool) -> None:
        """Take the next frame; waits when too many are still to be written.

        Args:
            record: what was answered; the stretch is filled in here.
            pixels: (H, W, 3) uint8, RGB.
            happened: whether this is something to keep frames for.

        Raises:
            OutputError: the clip can no longer be written.
        """
        waiting = _Waiting(record, pixels)
        with self._changed:
            self._bytes += pixels.nbytes
            if self._span is None:
                self._keep(waiting)
            else:
                self._keep_around(waiting, happened, self._span)
            self._changed.notify_all()
            while self._bytes > self._memory and self._queue and self._failure is None:
                self._changed.wait(_POLL)
            if self._failure is not None:
                raise self._failure

    def close(self) -> None:
        """Write what waits, and give the clip its name; without a frame there is none.

        Raises:
            OutputError: the clip cannot be written; its `.part` file stays.
        """
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        while self._thread.is_alive():
            self._thread.join(_POLL)
        try:
            if self._failure is None and self.frames:
                self._writer.finish()
        finally:
            self._writer.close()
        if self._failure is not None:
            raise self._failure

    def _keep_around(self, waiting: _Waiting, happened: bool, span: Span) -> None:
        now = waiting.record.time
        self._trim(now - span.before)
        if happened:
            self._keep_until = now + span.after
            while self._ring:
                self._keep(self._ring.popleft())
        if now <= self._keep_until:
            self._keep(waiting)
        else:
            self._ring.append(waiting)

    def _trim(self, oldest: float) -> None:
        # Half of the memory, so that what happens while a ring is written finds room, too.
        while self._ring and (
            self._ring[0].record.time < oldest or self._bytes > self._memory // 2
        ):
            self._bytes -= self._ring.popleft().pixels.nbytes
            self._left_out = True

    def _keep(self, waiting: _Waiting) -> None:
        if self.full:
            self._bytes -= waiting.pixels.nbytes
            return
        if self._left_out:
            self.stretches += 1
            self._left_out = False
        record = msgspec.structs.replace(waiting.record, stretch=self.stretches - 1)
        self._queue.append(_Waiting(record, waiting.pixels))

    def _write(self) -> None:
        synced = time.monotonic()
        while (waiting := self._next()) is not None:
            try:
                png = encode_png(waiting.pixels)
                if self._writer.size_with(png) > self._max_bytes:
                    self._stop(full=True)
                else:
                    self._writer.write(waiting.record, png)
                    if time.monotonic() - synced >= SYNC_INTERVAL:
                        self._writer.sync()
                        synced = time.monotonic()
            except OutputError as error:
                self._failure = error
                self._stop()
            with self._changed:
                self._bytes -= waiting.pixels.nbytes
                self._changed.notify_all()

    def _next(self) -> _Waiting | None:
        with self._changed:
            while not self._queue:
                if self._closing:
                    return None
                self._changed.wait(_POLL)
            return self._queue.popleft()

    def _stop(self, full: bool = False) -> None:
        with self._changed:
            self.full = full
            self._bytes -= sum(waiting.pixels.nbytes for waiting in self._queue)
            self._queue.clear()
