"""`edgekit sign`: put a signature into a model file."""

import stat
from pathlib import Path

import click

from edgekit.errors import ModelFileError, SignatureError
from edgekit.files import check_writable, write_atomically
from edgekit.model.container import parse_model
from edgekit.model.signature import without_signature
from edgekit.model.signers import sign


@click.command("sign")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("key", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def command(model: Path, key: Path) -> None:
    """Sign MODEL with KEY, an OpenSSH key; a public one will do where an agent has the private one.

    The signature, which `ssh-keygen -Y sign -n edgekit-model` makes, is put into the file, over all
    that is read of it, in place of an earlier one. ssh-keygen itself asks for a passphrase, a PIN
    or a touch, on the terminal.

    \b
    Example:
      edgekit sign resnet18-int8.tflite ~/.ssh/id_ed25519
    """
    file = model.resolve()  # a link stays one
    check_writable(file)
    try:
        before, mode = file.read_bytes(), stat.S_IMODE(file.stat().st_mode)
    except OSError as error:
        raise ModelFileError(f"cannot read the model {model}: {error.strerror}") from error
    try:
        unsigned = without_signature(before)
        parse_model(model, unsigned)
        signed = sign(unsigned, key)
    except SignatureError as error:
        raise SignatureError(f"cannot sign {model}: {error}") from error
    write_atomically(file, signed, mode)
    signature = parse_model(model, signed).signature
    assert signature is not None
    replaced = ", in place of an earlier signature" if unsigned != before else ""
    click.echo(f"{model} is signed by {signature.key}{replaced}")
