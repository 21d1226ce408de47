"""Try a model before anything depends on it, in a process of its own: it may crash."""

import subprocess
import sys
from pathlib import Path

import msgspec

from edgekit import child
from edgekit.errors import EdgekitError, ModelFileError
from edgekit.model.container import ModelFile, read_model
from edgekit.model.foreign import Hints
from edgekit.text import last_line
from edgekit_device.config.settings import Settings

_TIMEOUT = 120.0
# Not `__name__`, which is another one in the process that tries.
_MODULE = "edgekit_device.service.verify"


def verify(path: Path, settings: Settings) -> ModelFile:
    """Check a model's structure and hash, and let it answer once.

    A model for an accelerator is not tried: the service holds the accelerator, and tries the model
    itself before it uses it.

    Args:
        path: the model.
        settings: say which runtime and which labels are used, and what the model does not say.

    Raises:
        ModelFileError: the model is no good.
    """
    model = read_model(path)
    if settings.delegate != "none":
        return model
    labels = [settings.labels.absolute()] if settings.labels else []
    hints = msgspec.json.encode(settings.hints()).decode()
    try:
        done = child.run_python(
            _MODULE, path.absolute(), settings.runtime, hints, *labels, timeout=_TIMEOUT
        )
    except subprocess.TimeoutExpired as error:
        raise ModelFileError(f"{path} gave no answer within {_TIMEOUT:g} s") from error
    if signal_name := child.signal_name(done.returncode):
        raise ModelFileError(f"{path} crashes the TFLite runtime ({signal_name}); convert it again")
    if done.returncode:
        raise ModelFileError(f"{path} gives no answer: {last_line(done.stderr)}")
    return model


def _try(path: str, runtime: str, hints: str, labels: str | None = None) -> None:
    # Loaded in the child alone: OpenCV and the runtime take memory.
    from edgekit.inference.classifier import Classifier

    names = Path(labels) if labels else None
    known = msgspec.json.decode(hints, type=Hints)
    Classifier.open(Path(path), labels=names, hints=known, runtime=runtime).warm_up()


if __name__ == "__main__":
    try:
        _try(*sys.argv[1:])
    except EdgekitError as failure:
        sys.exit(str(failure))
