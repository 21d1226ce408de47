"""What the commands that run a daemon say, and how their process ends."""

import os

import click

from edgekit.errors import EdgekitError
from edgekit.redaction import redact


def say(text: str) -> None:
    """Print a line for people."""
    click.echo(f"edgekit: {redact(text)}", err=True)


def end(failure: EdgekitError | None, *, stuck: bool) -> None:
    """End a command: with its failure, if there is one.

    Args:
        failure: why it did not succeed.
        stuck: whether a thread hangs in a driver, and would hang the interpreter's own end, too.
    """
    if stuck:
        if failure is not None:
            say(str(failure))
        os._exit(failure.exit_code if failure else 0)
    if failure is not None:
        raise failure
