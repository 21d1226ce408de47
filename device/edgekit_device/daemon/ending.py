"""What the commands that run a daemon say, and how their process ends."""

import contextlib
import os
import select
import sys

import click

from edgekit.errors import INTERRUPTED, EdgekitError
from edgekit.redaction import redact


class _Say:
    """Prints lines for people on stderr, and never keeps a daemon from its work.

    That nobody can hear them, on a full disk say, is no failure. A journal that hangs takes none:
    they are lost after a while, and the next that it takes says how many.
    """

    def __init__(self) -> None:
        self._lost = 0

    def __call__(self, text: str, timeout: float | None = 0.5) -> None:
        """Print a line.

        Args:
            text: the line.
            timeout: seconds to wait for whoever reads; None for as long as it takes.
        """
        with contextlib.suppress(OSError):
            if not _is_taken(timeout):
                self._lost += 1
                return
            lost, self._lost = self._lost, 0
            if lost:
                text = f"{text} ({lost} lines before this one were not taken)"
            click.echo(f"edgekit: {redact(text)}", err=True)


say = _Say()


def _is_taken(timeout: float | None) -> bool:
    """Whether stderr takes a line now, or before the timeout."""
    try:
        descriptor = sys.stderr.fileno()
    except (OSError, ValueError):  # no file: a test listens
        return True
    return bool(select.select([], [descriptor], [], timeout)[1])


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
        os._exit(failure.exit_code if failure else INTERRUPTED if interrupted else 0)
    if failure is not None:
        raise failure
    if interrupted:
        raise click.Abort
