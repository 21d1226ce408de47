"""Try a model before anything depends on it, in a process of its own: it may crash."""

import signal
import subprocess
import sys
from pathlib import Path

from edgekit.errors import EdgekitError, ModelFileError
from edgekit.model.container import ModelFile, read_model
from edgekit_device.config.settings import Settings

_TIMEOUT = 120.0


def verify(path: Path, settings: Settings) -> ModelFile:
    """Check a model's structure and hash, and let it answer once.

    A model for an accelerator is not tried: the service holds the accelerator, and tries the model
    itself before it uses it.

    Args:
        path: the model.
        settings: say which runtime and which labels are used.

    Raises:
        ModelFileError: the model is no good.
    """
    model = read_model(path)
    if settings.delegate != "none":
        return model
    labels = [str(settings.labels)] if settings.labels else []
    command = [sys.executable, "-m", __name__, str(path), settings.runtime, *labels]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ModelFileError(f"{path} gave no answer within {_TIMEOUT:g} s") from error
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        raise ModelFileError(f"{path} crashes the TFLite runtime ({name}); convert it again")
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["it gives no reason"]
        raise ModelFileError(f"{path} gives no answer: {lines[-1]}")
    return model


def _try(path: str, runtime: str, labels: str | None = None) -> None:
    # Loaded in the child alone: OpenCV and the runtime take memory.
    from edgekit.inference.classifier import Classifier

    names = Path(labels) if labels else None
    Classifier.open(Path(path), labels=names, runtime=runtime).warm_up()


if __name__ == "__main__":
    try:
        _try(*sys.argv[1:])
    except EdgekitError as failure:
        sys.exit(str(failure))
