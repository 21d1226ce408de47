"""`edgekit verify`: whether a model file is signed by somebody who may."""

from pathlib import Path

import click

from edgekit.commands.options import allowed_signers_option
from edgekit.errors import SignatureError
from edgekit.model.container import read_model
from edgekit.model.signers import AllowedSigners, check_intact


@click.command("verify")
@click.argument("model", type=click.Path(path_type=Path))
@allowed_signers_option
def command(model: Path, allowed_signers: Path | None) -> None:
    """Say who signed MODEL; exit code 0 if that is one of --allowed-signers, and nothing was
    changed since.

    Without --allowed-signers it still says which key signed it, and whether it was changed; but
    anybody can sign with some key, so the exit code is 1.

    \b
    Example:
      edgekit verify resnet18-int8.tflite --allowed-signers allowed_signers
    """
    allowed = AllowedSigners.read(allowed_signers) if allowed_signers else None
    file = read_model(model)
    if allowed is not None:
        click.echo(f"{model} is signed by {allowed.check(file)}")
        return
    key = check_intact(file).key
    raise SignatureError(
        f"{model} is signed by {key}, and was not changed since; whose key that is, "
        "--allowed-signers FILE tells"
    )
