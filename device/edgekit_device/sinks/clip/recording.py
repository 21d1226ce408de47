"""Keeps answered frames as a clip: all of them, or those around something that happened."""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgekit.inference.frame import FrameRecord
from edgekit.inference.pipeline import Result
from edgekit.model.decision import DecisionSettings
from edgekit.offline.clip import MAXIMUM_PIXELS, ClipHeader, ClipWriter, hash_input
from edgekit.offline.clip_output import ClipOutput
from edgekit.offline.player import TOP
from edgekit.vision.encode import encode_png
from edgekit_device.health import Health, SinkHealth
from edgekit_device.sinks.base import Sink
from edgekit_device.sinks.clip.header import header_of
from edgekit_device.sinks.clip.request import ClipRequest, Outcome

# When the power fails, no more than this is lost.
SYNC_INTERVAL = 5.0  # seconds
# Of frames that wait, what a device of 512 MB can spare.
MEMORY = 64 << 20


class _Waiting(NamedTuple):
    """A frame that may be written; `begins` says that the decision begins afresh with it."""

    record: FrameRecord
    pixels: NDArray[np.uint8]
    begins: bool


class Recording(Sink):
    """A clip in progress, written by a thread of its own.

    It ends at its size or time, when a model of another input size, other decision settings or
    another view take over, or with `close`.

    Args:
        open_output: where the clip goes; called by `start`.
        request: what to record.
        health: how the daemon is now; the clip's header is made from it.
        begin: the source's time at which the clip begins; that of its first frame by default. A
            camera's clock means nothing on another machine, a recording's does.
        lossless: wait when more than `memory` is still to be written; else such frames are dropped
            and counted, and nobody ever waits.
        memory: bytes of pixels that may wait, in the ring of the last seconds and to be written.
        on_end: called when it takes no more frames, by whichever thread notices that.
    """

    name = "clip"

    def __init__(
        self,
        open_output: Callable[[], ClipOutput],
        request: ClipRequest,
        health: Callable[[], Health],
        *,
        begin: float | None = None,
        lossless: bool = True,
        memory: int = MEMORY,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        self._open_output = open_output
        self._request = request
        self._health = health
        self._begin = begin
        self._lossless = lossless
        self._memory = memory
        self._on_end = on_end
        self._called = False
        # Guards everything below.
        self._changed = threading.Condition(threading.Lock())
        self._header: ClipHeader | None = None
        self._decision: DecisionSettings | None = None  # that of the header
        self._ring: deque[_Waiting] = deque()
        self._queue: deque[_Waiting] = deque()
        # Bytes of the frame that is being written, and of that one and all that wait.
        self._in_hand = 0
        self._bytes = 0
        self._keep_until = float("-inf")
        self._left_out = True
        self._over = False
        self._outcome = Outcome(0, 0, 0, 0, full=False, reason=None)
        self._thread = threading.Thread(target=self._run, name="clip", daemon=True)

    @property
    def outcome(self) -> Outcome:
        """What became of it so far."""
        return self._outcome

    def start(self) -> None:
        """Begin.

        Raises:
            OutputError: there is a file already, or it cannot be written.
        """
        self._output = self._open_output()
        self._thread.start()

    def call(self) -> None:
        """Keep the frames around now (`--on signal`); may be called from a signal handler."""
        self._called = True

    def frame(self, result: Result) -> None:
        """Take the next answered frame; with `lossless` it waits until there is room for more."""
        if self._over:
            return
        frame = result.frame
        header = self._header or self._make_header(result)
        at = frame.time - (self._begin or 0.0)
        longest = self._request.max_seconds
        if longest is not None and at > longest:
            self._end()
        elif result.model.geometry != header.geometry:
            self._end("a model of another input size took over")
        # As a rule it is the same object.
        elif result.decision is not self._decision and result.decision != self._decision:
            self._end("other decision settings took over")
        elif frame.view is not header.view and frame.view != header.view:
            self._end("another view took over: the camera is turned, masked or looked at otherwise")
        elif frame.pixels[..., 0].size > MAXIMUM_PIXELS:
            self._end(f"a picture of more than {MAXIMUM_PIXELS} pixels came, which no clip holds")
        else:
            happened = self._happened(result)
            waiting = _Waiting(_record(result, at), frame.pixels, result.verdict.first)
            self._take(waiting, happened)

    def report(self) -> SinkHealth:
        """Frames written, dropped and still to be written."""
        with self._changed:
            queued = len(self._queue) + (self._in_hand > 0)
            problem = None if self.failure is None else str(self.failure)
            return SinkHealth(self._outcome.kept, self._outcome.dropped, queued, problem)

    def close(self, timeout: float) -> None:
        """Take no more frames, and write what waits for at most `timeout` seconds."""
        self._end()
        if self._thread.ident is not None:
            self._thread.join(timeout)

    def finish(self) -> None:
        """Write what waits, however long that takes; without a frame there is no clip.

        Raises:
            OutputError: the clip cannot be written; its `.part` file stays.
        """
        self._end()
        if self._thread.ident is not None:
            self._thread.join()
        if self.failure is not None:
            raise self.failure

    # Called in the thread that infers.

    def _make_header(self, result: Result) -> ClipHeader:
        health = self._health()
        if self._begin is None:
            self._begin = result.frame.time
        header = header_of(health, result, health.source)
        with self._changed:
            self._header, self._decision = header, result.decision
            self._changed.notify_all()
        return header

    def _happened(self, result: Result) -> bool:
        called, self._called = self._called, False
        on, verdict = self._request.on, result.verdict
        return (
            called
            or ("change" in on and verdict.event == "change" and not verdict.first)
            or ("unknown" in on and verdict.index is None)
        )

    def _take(self, waiting: _Waiting, happened: bool) -> None:
        with self._changed:
            if self._over:
                return
            self._count(answered=1)
            self._bytes += waiting.pixels.nbytes
            now = waiting.record.time
            self._trim(now - self._request.ring)
            if happened:
                self._keep_until = now + self._request.after
                while self._ring:
                    self._keep(self._ring.popleft())
            if self._request.on and now > self._keep_until:
                self._ring.append(waiting)
            elif self._lossless or self._bytes <= self._memory:
                self._keep(waiting)
            else:
                self._bytes -= waiting.pixels.nbytes
                self._left_out = True
                self._count(dropped=1)
            self._changed.notify_all()
            if self._lossless:
                self._changed.wait_for(self._has_room)

    def _has_room(self) -> bool:
        return self._bytes <= self._memory or not self._queue or self._over

    def _trim(self, oldest: float) -> None:
        # Half of the memory, so that what happens while a ring is written finds room, too.
        while self._ring and (
            self._ring[0].record.time < oldest or self._bytes > self._memory // 2
        ):
            self._bytes -= self._ring.popleft().pixels.nbytes
            self._left_out = True

    def _keep(self, waiting: _Waiting) -> None:
        if self._left_out or waiting.begins:
            self._count(stretches=1)
            self._left_out = False
        stretch = self._outcome.stretches - 1
        record = msgspec.structs.replace(waiting.record, stretch=stretch)
        self._queue.append(waiting._replace(record=record))

    # Called in any thread.

    def _count(self, **more: int) -> None:
        counts = {name: getattr(self._outcome, name) + one for name, one in more.items()}
        self._outcome = msgspec.structs.replace(self._outcome, **counts)

    def _end(self, reason: str | None = None, *, full: bool = False, discard: bool = False) -> None:
        with self._changed:
            over, self._over = self._over, True
            self._discard(self._ring)
            if discard:
                self._count(dropped=0 if full else len(self._queue))
                self._discard(self._queue)
            if not over or full:
                self._outcome = msgspec.structs.replace(self._outcome, full=full, reason=reason)
            self._changed.notify_all()
        if not over:
            self._on_end()

    def _discard(self, frames: deque[_Waiting]) -> None:
        self._bytes -= sum(waiting.pixels.nbytes for waiting in frames)
        frames.clear()

    # Called in the thread that writes.

    def _run(self) -> None:
        try:
            self._write()
        except Exception as error:
            self.failure = error
            with self._changed:
                self._count(dropped=int(self._in_hand > 0))
                self._let_go()
            self._end(discard=True)
        finally:
            self._output.close()

    def _write(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._header or self._over)
            header = self._header
        if header is None:
            return
        writer, synced = ClipWriter(self._output, header), time.monotonic()
        while (waiting := self._next()) is not None:
            png = encode_png(waiting.pixels)
            if writer.size_with(png) > self._request.max_bytes:
                self._end(full=True, discard=True)
                continue
            writer.write(waiting.record, png)
            with self._changed:
                self._count(kept=1)
            if time.monotonic() - synced >= SYNC_INTERVAL:
                writer.sync()
                synced = time.monotonic()
        if writer.frames:
            writer.finish()

    def _next(self) -> _Waiting | None:
        """The next frame to write; None at the end. The one before is done with."""
        with self._changed:
            self._let_go()
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._queue or self._over)
            if not self._queue:
                return None
            waiting = self._queue.popleft()
            self._in_hand = waiting.pixels.nbytes
            return waiting

    def _let_go(self) -> None:
        self._bytes -= self._in_hand
        self._in_hand = 0


def _record(result: Result, at: float) -> FrameRecord:
    return FrameRecord(
        number=result.frame.number,
        time=at,
        stretch=0,
        input_sha256=hash_input(result.tensor),
        label=result.label,
        score=round(result.verdict.score, 6),
        scores=[(best.label, best.score) for best in result.best(TOP)],
        event=result.verdict.event,
    )
