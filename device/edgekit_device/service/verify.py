"""What root does with a model before it stores it: it reads the bytes once, and has them tried.

Root hashes the bytes and stores them, and never looks into them: a damaged or hostile file meets
the readers and the runtime in a process without root's rights.
"""

import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edgekit.errors import ModelFileError
from edgekit.inference.runtimes import AUTO, installed_versions
from edgekit.model import limits
from edgekit.model.labels import LabelFile
from edgekit_device.config.settings import Settings
from edgekit_device.runtime_choice import Measured, fitting, measure
from edgekit_device.trial import read_model_bytes, try_model

STANDARD_INPUT = Path("-")


@dataclass(frozen=True)
class Model:
    """A model as it was read, once: what is checked is what is stored.

    Attributes:
        name: for messages.
        content: of the file.
    """

    name: str
    content: bytes

    @property
    def sha256(self) -> str:
        """Its hash, in hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()

    @classmethod
    def read(cls, path: Path) -> "Model":
        """Read a model file, or for `-` standard input.

        Raises:
            ModelFileError: it cannot be read, is no regular file, or is far too large.
        """
        if path == STANDARD_INPUT:
            name = "the model on standard input"
            content = sys.stdin.buffer.read(limits.FILE_BYTES + 1)
            if len(content) > limits.FILE_BYTES:
                raise ModelFileError(f"{name} is larger than {limits.FILE_BYTES >> 20} MiB")
            return cls(name, content)
        return cls(str(path), read_model_bytes(path))


def verify(model: Model, settings: Settings, stored: Path | None = None) -> Measured | None:
    """Have a model tried as the daemon will use it; see `try_model`.

    Where the choice of the runtime is ours, and there is one, it is tried with each, and measured.

    A model that only an accelerator can run does not answer here: the service holds the
    accelerator, and lets the model answer itself before it uses it.

    Args:
        model: the model.
        settings: of the service.
        stored: where the model lies or will lie, and beside it what was measured before; None for
            a machine that is not this one, where nothing is measured.

    Returns:
        What is to lie there now; None where nothing was measured, or what lies there holds.

    Raises:
        ModelFileError: the model is no good.
        LabelsError: the labels that the settings name are no good, or do not fit it.
        RuntimeUnavailableError: no runtime works here.
    """
    labels = LabelFile.read(settings.labels) if settings.labels else None
    accelerated = settings.delegate != "none"
    # Here a model is known by its bytes alone, and nothing has looked into them yet.
    path = Path(model.name)
    several = settings.runtime == AUTO and len(installed_versions()) > 1
    if stored and several and not accelerated:
        known = fitting(stored, model.sha256)
        if known is None:
            return measure(path, model.content, model.sha256, labels, settings)
        settings = msgspec.structs.replace(settings, runtime=known.chosen)
    try_model(path, model.content, labels, settings, accelerated=accelerated)
    return None
