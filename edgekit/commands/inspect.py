"""What is inside a model file."""

from pathlib import Path

import click
import msgspec

from edgekit.commands.options import allowed_signers_option, json_option
from edgekit.model.inspection import inspect as look_into


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@allowed_signers_option
@json_option
def inspect(model: Path, allowed_signers: Path | None, as_json: bool) -> None:
    """Show what is inside MODEL: structure, shapes, operators, labels, provenance, fidelity.

    Reads the file itself, without an interpreter; works for any .tflite image classifier. What is
    wrong with a signature is shown; `edgekit verify` fails on it.

    \b
    Example:
      edgekit inspect resnet18-int8.tflite --json
    """
    facts = look_into(model, allowed_signers=allowed_signers)
    click.echo(msgspec.json.encode(facts).decode() if as_json else repr(facts))
