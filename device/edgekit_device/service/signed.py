"""Check who signed a model before root stores it, in a process without root's rights.

Nothing of the model runs there: it is read, and `ssh-keygen` is asked. It comes before the model
is tried, whose process would have the last word on itself.
"""

import codecs
import os
import resource
import subprocess
import sys
from pathlib import Path

from edgekit import child
from edgekit.errors import EdgekitError, SignatureError
from edgekit.model.container import parse_model
from edgekit.model.signers import AllowedSigners
from edgekit.text import last_line, one_line
from edgekit_device.config.settings import Settings
from edgekit_device.runtime_choice import Measured
from edgekit_device.service.layout import Layout
from edgekit_device.service.store import Store
from edgekit_device.service.verify import Model, verify
from edgekit_device.signers import allowed_signers

_TIMEOUT = 120.0
# Bytes that the process may allocate, and write for ssh-keygen.
_MEMORY, _FILE = 1 << 30, 2 << 20
_NOBODY = 65534
# Not `__name__`, which is another one in the process.
_MODULE = "edgekit_device.service.signed"


def check_signed(model: Model, allowed: AllowedSigners | None) -> str | None:
    """Who signed a model; None where nobody has to.

    Args:
        model: the model, whose very bytes are stored afterwards.
        allowed: who may sign it; None for everybody.

    Raises:
        SignatureError: it is not signed by one of them, or cannot be read.
    """
    if allowed is None:
        return None
    words = [_MODULE, model.name, str(allowed.path), str(len(allowed.content))]
    command = child.python_command(*words)
    try:
        done = child.run(command, timeout=_TIMEOUT, input=allowed.content + model.content)
    except subprocess.TimeoutExpired as error:
        raise SignatureError(f"{model.name} was not checked within {_TIMEOUT:g} s") from error
    if done.returncode:
        said = child.signal_name(done.returncode) or one_line(last_line(done.stderr))
        raise SignatureError(
            said if model.name in said else f"{model.name} cannot be checked: {said}"
        )
    return one_line(done.stdout.decode())


def approve(model: Model, settings: Settings, root: Path) -> Measured | None:
    """What each model has to pass before root stores it or lets it run.

    Args:
        model: the model.
        settings: of the service.
        root: where the files of the machine lie.

    Returns:
        What `Store.add` is to keep beside it; see `verify`.

    Raises:
        SignatureError, ConfigurationError: see `check_signed`, and `allowed_signers`.
        ModelFileError, LabelsError, RuntimeUnavailableError: see `verify`.
    """
    check_signed(model, allowed_signers(settings, root))
    return verify(model, settings, Store(Layout(root).state).path(model.sha256))


def confine() -> None:
    """Give up what a hostile file could abuse: rights of root's, memory, the disk."""
    # What would be imported late may be out of reach without root's rights.
    for encoding in ("cp437", "utf-8-sig"):
        codecs.lookup(encoding)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_FILE, _FILE))
    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(_NOBODY)
        os.setuid(_NOBODY)


def _main(name: str, allowed: str, size: str) -> None:
    confine()
    given = sys.stdin.buffer.read()
    keys, content = given[: int(size)], given[int(size) :]
    try:
        print(AllowedSigners(Path(allowed), keys).check(parse_model(Path(name), content)))
    except EdgekitError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    _main(*sys.argv[1:])
