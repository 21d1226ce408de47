"""JSON lines on a stream, standard output say."""

import os
from typing import Protocol

import msgspec

from edgekit.errors import OutputError
from edgekit.inference.events import Event
from edgekit_device.health import SinkHealth
from edgekit_device.pictures import EventPicture
from edgekit_device.sinks.base import Outbox, Sink


class RawStream(Protocol):
    """The part of an unbuffered binary file that `JsonLines` needs."""

    def write(self, data: memoryview, /) -> int | None:
        """Write some of `data`; the number of bytes taken, None if that is not possible now."""


def is_journal(descriptor: int) -> bool:
    """Whether a file is the connection to the journal that systemd made (man 5 systemd.exec)."""
    try:
        status = os.fstat(descriptor)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


class JsonLines(Sink):
    """One JSON object a line, written at once so that a pipe or journald sees it now.

    Args:
        stream: unbuffered: nothing is left over to be flushed, and to fail, at exit.
        lossless: write every event, however slow the reader; else the oldest of many that wait is
            dropped, and a reader that has stopped delays nobody.
        journal: the stream leads to systemd's journal, which never has had enough: that its other
            end was closed is then a failure. A process cannot connect to it again, a new one is.
    """

    name = "stdout"
    owes_events = True

    def __init__(self, stream: RawStream, lossless: bool, journal: bool = False) -> None:
        self._stream = stream
        self._journal = journal
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

    def event(self, event: Event, picture: EventPicture | None = None) -> None:
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
        if isinstance(error, BrokenPipeError) and self._journal:
            self.failure = OutputError(
                "the journal has closed its end of the output; starting afresh connects it again"
            )
            self.failure.__cause__ = error
        elif isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
            reason = error.strerror or error
            self.failure = OutputError(f"cannot write to the output: {reason}")
            self.failure.__cause__ = error
        else:
            self.failure = error
        self._outbox.close(0)
