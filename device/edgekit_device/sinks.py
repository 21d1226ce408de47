"""Where answers go."""

from datetime import UTC, datetime
from typing import Protocol

import msgspec

from edgekit.errors import OutputError


class Label(msgspec.Struct, frozen=True):
    """A class and its score in [0, 1]."""

    label: str
    index: int
    score: float


class Answer(msgspec.Struct, frozen=True):
    """What the model said to one frame.

    Attributes:
        ts: when the answer was ready, RFC 3339 in UTC.
        frame: the frame's number in its source, from 0.
        source, model: names.
        labels: best first.
        latency_ms: preprocessing plus inference, in milliseconds.
    """

    ts: str
    frame: int
    source: str
    model: str
    labels: list[Label]
    latency_ms: float


def timestamp() -> str:
    """Now, as RFC 3339 in UTC with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Sink(Protocol):
    """Takes answers."""

    def publish(self, answer: Answer) -> None:
        """Take an answer.

        Raises:
            OutputError: it cannot be written.
            BrokenPipeError: nobody will ever read it.
        """


class RawStream(Protocol):
    """The part of an unbuffered binary file that `JsonLines` needs."""

    def write(self, data: memoryview, /) -> int | None:
        """Write some of `data`; the number of bytes taken, None if that is not possible now."""


class JsonLines:
    """One JSON object a line, written at once so that a pipe or journald sees it now.

    The stream is unbuffered: nothing is left over to be flushed, and to fail, at exit.
    """

    def __init__(self, stream: RawStream) -> None:
        self._stream = stream
        self._encoder = msgspec.json.Encoder()

    def publish(self, answer: Answer) -> None:
        """See `Sink`."""
        rest = memoryview(self._encoder.encode(answer) + b"\n")
        try:
            while rest:
                written = self._stream.write(rest)
                if written is None:
                    raise BlockingIOError(0, "it is non-blocking, and full")
                rest = rest[written:]
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError(f"cannot write to the output: {error.strerror}") from error
