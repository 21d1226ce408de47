"""What the commands that run a daemon say, and how their process ends."""

import atexit
import os
import sys
import threading
from typing import TextIO

import click

from edgekit.errors import INTERRUPTED, EdgekitError
from edgekit.redaction import redact
from edgekit.text import printable

# Lines that may wait for a reader.
_LINES = 100
# Seconds at the end for the last of them.
_LAST_WORDS = 0.5


class _Voice:
    """Writes lines to stderr in a thread of its own: a reader that has stopped delays nobody.

    Lines that find no room, on a full disk say, are lost; the next one says how many were.
    """

    def __init__(self) -> None:
        # When there is something to say: `run --help` has no need of all that it brings.
        from edgekit_device.sinks.base import Outbox

        self._outbox = Outbox("stderr", self._write, limit=_LINES)
        self._outbox.start()
        self._told = 0

    def say(self, line: str) -> None:
        """Hand over a line."""
        self._outbox.put((sys.stderr, line))

    def close(self) -> bool:
        """Wait for the last line, but not for long; whether none is under way any more."""
        self._outbox.close(_LAST_WORDS)
        return not self._outbox.report().queued

    def _write(self, said: tuple[TextIO, str]) -> None:
        stream, line = said
        lost = self._outbox.report().dropped - self._told
        if lost:
            line = f"edgekit: {lost} lines before this one were lost: nobody took them\n{line}"
        # Not through a buffer: its lock would be held for as long as nobody reads.
        raw = getattr(stream.buffer, "raw", stream.buffer)
        rest = memoryview(line.encode("utf-8", "backslashreplace"))
        while rest:
            written = raw.write(rest)
            if not written:
                raise BlockingIOError("stderr is non-blocking, and full")
            rest = rest[written:]
        self._told += lost


_lock = threading.Lock()
_voice: _Voice | None = None


def say(text: str) -> None:
    """Print a line for people; that nobody can hear it, or does, ends and delays no daemon."""
    global _voice
    with _lock:
        if _voice is None:
            _voice = _Voice()
        _voice.say(f"edgekit: {redact(printable(text))}\n")


def finish_saying() -> bool:
    """Have all lines printed, if that does not take long; whether none is under way any more."""
    global _voice
    with _lock:
        voice, _voice = _voice, None
    return voice is None or voice.close()


# What no command has finished: that of an exception on its way out.
atexit.register(finish_saying)


def end(failure: EdgekitError | None, *, stuck: bool, interrupted: bool = False) -> None:
    """End a command: with its failure, if there is one.

    Args:
        failure: why it did not succeed.
        stuck: whether a thread hangs in a driver, and would hang the interpreter's own end, too.
        interrupted: whether Ctrl-C ended it before its work was done.
    """
    if stuck:
        if failure is not None:
            say(str(failure))
        elif interrupted:
            say("interrupted")
    # Who does not read would keep the interpreter's own last words, too.
    if not finish_saying() or stuck:
        os._exit(failure.exit_code if failure else INTERRUPTED if interrupted else 0)
    if failure is not None:
        raise failure
    if interrupted:
        raise click.Abort
