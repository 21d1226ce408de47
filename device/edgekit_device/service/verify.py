"""What root does with a model before it stores it: it reads the bytes once, and has them tried.

Root hashes the bytes and stores them, and never looks into them: a damaged or hostile file meets
the readers and the runtime in a process without root's rights.
"""

import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path

from edgekit.errors import ModelFileError
from edgekit.model import limits
from edgekit.model.labels import LabelFile
from edgekit_device.config.settings import Settings
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


def verify(model: Model, settings: Settings) -> None:
    """Have a model tried as the daemon will use it; see `try_model`.

    A model that only an accelerator can run does not answer here: the service holds the
    accelerator, and lets the model answer itself before it uses it.

    Args:
        model: the model.
        settings: of the service.

    Raises:
        ModelFileError: the model is no good.
        LabelsError: the labels that the settings name are no good, or do not fit it.
        RuntimeUnavailableError: no runtime works here.
    """
    labels = LabelFile.read(settings.labels) if settings.labels else None
    accelerated = settings.delegate != "none"
    # Here a model is known by its bytes alone, and nothing has looked into them yet.
    try_model(Path(model.name), model.content, labels, settings, accelerated=accelerated)
