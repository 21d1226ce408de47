"""What the commands that run a daemon say, and how their process ends."""

import contextlib
import os

import click

from edgekit.errors import INTERRUPTED, EdgekitError
from edgekit.redaction import redact
from edgekit.text import printable


def say(text: str) -> None:
    """Print a line for people; that nobody can hear it, on a full disk say, ends no daemon."""
    with contextlib.suppress(OSError):
        click.echo(f"edgekit: {redact(printable(text))}", err=True)


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
