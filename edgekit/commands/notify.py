"""Lines for people beside a command's result."""

import click


def notify(text: str) -> None:
    """Print a line about what was understood, guessed or left out."""
    click.echo(f"edgekit: {text}", err=True)
