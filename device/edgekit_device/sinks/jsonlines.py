"""JSON lines on a stream, standard output say."""

from typing import Protocol

import msgspec

from edgekit.errors import OutputError
from edgekit.inference.events import Event
from edgekit_device.health import SinkHealth
from edgekit_device.sinks.base import Outbox, Sink


class RawStream(Protocol):
    """The part of an unbuffered binary file that `JsonLines` needs."""

    def write(self, data: memoryview, /) -> int | None:
        """Write some of `data`; the number of bytes taken, None if that is not possible now."""


class JsonLines(Sink):
    """One JSON object a line, written at once so that a pipe or journald sees it now.

    Args:
        stream: unbuffered: nothing is left over to be flushed, and to fail, at exit.
        lossless: write every event, however slow the reader; else the oldest of many that wait is
            dropped, and a reader that has stopped delays nobody.
    """

    name = "stdout"
    owes_events = True

    def __init__(self, stream: RawStream, lossless: bool) -> None:
        self._stream = stream
        self._encoder = msgspec.json.Encoder()
        self._outbox = Outbox(
            "stdout", self._write, limit=1000, lossless=lossless, on_error=self._fail
        )

    def check(self) -> str:
        """What would be written; nothing is tried."""
        return "JSON lines"

    def start(self) -> None:
        """Begin to write."""
        self._outbox.start()

    def event(self, event: Event) -> None:
        """Queue an event; with `lossless`, return once its line is written."""
        self._outbox.put(event)

    def report(self) -> SinkHealth:
        """Lines written, dropped and waiting."""
        return self._outbox.report(None if self.failure is None else str(self.failure))

    def close(self, timeout: float) -> None:
        """Write what waits, for at most `timeout` seconds; the stream stays open."""
        self._outbox.close(timeout)

    def _write(self, event: Event) -> None:
        rest = memoryview(self._encoder.encode(event) + b"\n")
        while rest:
            written = self._stream.write(rest)
            if written is None:
                raise OutputError("cannot write to the output: it is non-blocking, and full")
            rest = rest[written:]

    def _fail(self, error: Exception) -> None:
        # Whatever follows a line that is missing or cut would only mislead.
        if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
            reason = error.strerror or error
            self.failure = OutputError(f"cannot write to the output: {reason}")
            self.failure.__cause__ = error
        else:
            self.failure = error
        self._outbox.close(0)
