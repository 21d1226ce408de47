"""Lines for people beside a command's result."""

import click

from edgekit.text import one_line


def notify(text: str) -> None:
    """Print a line about what was understood, guessed or left out."""
    click.echo(f"edgekit: {one_line(text)}", err=True)
