"""What the classes of stored models are called, read in a process without root's rights."""

import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec

from edgekit import child
from edgekit.errors import EdgekitError
from edgekit.model.container import parse_model
from edgekit.text import one_line
from edgekit_device.service.signed import confine

_TIMEOUT = 60.0
# Not `__name__`, which is another one in the process.
_MODULE = "edgekit_device.service.classes"


def class_names(paths: Sequence[Path]) -> list[list[str] | None]:
    """Names of the classes of each model by index; None for a model whose file does not say them.

    Args:
        paths: of the models; all may read them.
    """
    if not paths:
        return []
    try:
        done = child.run_python(_MODULE, *(path.absolute() for path in paths), timeout=_TIMEOUT)
        names = msgspec.json.decode(done.stdout, type=list[list[str] | None])
    except (subprocess.TimeoutExpired, msgspec.MsgspecError, ValueError):
        names = []
    return names if len(names) == len(paths) else [None] * len(paths)


def _names(path: Path, content: bytes) -> list[str] | None:
    try:
        model = parse_model(path, content)
        return model.labels and [one_line(name) for name in model.class_names(None)]
    except EdgekitError:
        return None


def _main(paths: list[str]) -> None:
    # Opened with the rights of who asks, understood without them.
    with ExitStack() as stack:
        files = [stack.enter_context(Path(path).open("rb")) for path in paths]
        confine()
        names = [_names(Path(file.name), file.read()) for file in files]
    sys.stdout.buffer.write(msgspec.json.encode(names))


if __name__ == "__main__":
    _main(sys.argv[1:])
