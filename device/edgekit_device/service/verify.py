"""Try a model before anything depends on it, in a process of its own that can do no harm.

Root reads its bytes once, hashes them and stores them, and never looks into them: a damaged or
hostile file meets the readers and the runtime in a process without root's rights.
"""

import codecs
import ctypes
import hashlib
import os
import resource
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import msgspec

from edgekit import child
from edgekit.errors import EdgekitError, ModelFileError
from edgekit.files import read_bounded
from edgekit.inference import runtimes
from edgekit.model.foreign import Hints
from edgekit.text import last_line, one_line
from edgekit_device.config.settings import Settings

STANDARD_INPUT = Path("-")
_TIMEOUT = 120.0
# Bytes: no model for a board is as large, and a device or an endless stream ends here.
_LARGEST = 512 << 20
# Bytes that the process may allocate; the service itself has 384 MiB.
_MEMORY = 1 << 30
_NOBODY = 65534
_NO_NEW_PRIVILEGES = 38
# Not `__name__`, which is another one in the process that tries.
_MODULE = "edgekit_device.service.verify"


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
            name, content = "the model on standard input", sys.stdin.buffer.read(_LARGEST + 1)
            if len(content) > _LARGEST:
                raise ModelFileError(f"{name} is larger than {_LARGEST >> 20} MiB")
            return cls(name, content)
        return cls(str(path), _content(path, f"the model {path}"))


def verify(model: Model, settings: Settings) -> None:
    """Check a model's structure and hash, and let it answer once.

    A model for an accelerator does not answer here: the service holds the accelerator, and tries
    the model itself before it uses it.

    Args:
        model: the model.
        settings: say which runtime and which labels are used, and what the model does not say.

    Raises:
        ModelFileError: the model is no good.
    """
    with tempfile.TemporaryDirectory(prefix="edgekit-") as name:
        # For a process that may read what all may, and no more.
        folder = Path(name)
        folder.chmod(0o755)
        named = {_copy(folder / "model.tflite", model.content): model.name}
        if settings.labels:
            labels = _content(settings.labels, f"the labels {settings.labels}")
            named[_copy(folder / "labels.txt", labels)] = str(settings.labels)
        runtime = settings.runtime if settings.delegate == "none" else ""
        hints = msgspec.json.encode(settings.hints()).decode()
        file, *labels_file = named
        try:
            done = child.run_python(_MODULE, file, runtime, hints, *labels_file, timeout=_TIMEOUT)
        except subprocess.TimeoutExpired as error:
            raise ModelFileError(f"{model.name} gave no answer within {_TIMEOUT:g} s") from error
    if signal_name := child.signal_name(done.returncode):
        raise ModelFileError(
            f"{model.name} crashes the TFLite runtime ({signal_name}); convert it again"
        )
    if done.returncode:
        said = one_line(last_line(done.stderr))
        for copy, original in named.items():
            said = said.replace(str(copy), original)
        told = said if model.name in said else f"{model.name} gives no answer: {said}"
        raise ModelFileError(told)


def _copy(file: Path, content: bytes) -> Path:
    file.write_bytes(content)
    file.chmod(0o644)
    return file


def _content(path: Path, what: str) -> bytes:
    try:
        return read_bounded(path.resolve(), _LARGEST)
    except (OSError, RuntimeError) as error:  # a RuntimeError for links that go in circles
        reason = getattr(error, "strerror", None) or error
        raise ModelFileError(f"cannot read {what}: {reason}") from error


def _confine() -> None:
    """Give up all that a model could abuse."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(_NOBODY)
        os.setuid(_NOBODY)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)


def _try(path: Path, runtime: str, hints: Hints, labels: Path | None) -> None:
    # Loaded in this process alone: OpenCV and the runtime take memory.
    from edgekit.inference.classifier import Classifier
    from edgekit.inference.interpreter import Interpreter
    from edgekit.model.container import read_model

    # A model of ours first: what is imported late may be out of reach without root's rights.
    for encoding in ("cp437", "utf-8-sig"):
        codecs.lookup(encoding)
    ours = read_model(Path(str(files("edgekit_device.doctor") / "probe.tflite")))
    Interpreter(ours.flatbuffer, runtime=runtime or runtimes.AUTO, on_disk=True).invoke()
    _confine()
    read_model(path)
    if not runtime:
        return
    try:
        Classifier.open(path, labels=labels, hints=hints, runtime=runtime).warm_up()
    except EdgekitError as error:
        raise ModelFileError(f"{path} gives no answer: {error}") from error
    except MemoryError as error:
        raise ModelFileError(f"{path} needs more than {_MEMORY >> 20} MiB") from error


if __name__ == "__main__":
    file, runtime, hints, *named = sys.argv[1:]
    known = msgspec.json.decode(hints, type=Hints)
    try:
        _try(Path(file), runtime, known, Path(named[0]) if named else None)
    except EdgekitError as failure:
        sys.exit(str(failure))
