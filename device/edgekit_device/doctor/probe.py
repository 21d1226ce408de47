"""Try a package in a process of its own, which may crash: `python -m … probe WHAT [MODULE]`.

Prints what was found as JSON; a package that is not there is `{}`.
"""

import contextlib
import importlib
import importlib.metadata
import importlib.util
import json
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgekit.cli import STRANGER
from edgekit.errors import RuntimeUnavailableError
from edgekit.inference.external_delegate import ExternalDelegate
from edgekit.inference.runtimes import RUNTIMES

MODEL = Path(__file__).with_name("probe.tflite")
# A blue picture, and the answer to it: the brightest channel.
_PICTURE = (20, 20, 200)
_ANSWER = 2
# What brings OpenCV, the one for a device first. All write the same folder.
OPENCV = (
    "opencv-python-headless", "opencv-python",
    "opencv-contrib-python-headless", "opencv-contrib-python",
)  # fmt: skip
_PACKAGES = (
    STRANGER, "numpy", *OPENCV,
    *(runtime.distribution for runtime in RUNTIMES.values()),
)  # fmt: skip


def _packages() -> dict[str, Any]:
    """This Python, and the version of each package that is installed; nothing is imported."""
    versions = {}
    for name in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "bits": 64 if sys.maxsize > 2**32 else 32,
        "packages": versions,
    }


def _runtime(module: str, **options: Any) -> dict[str, Any]:
    """Whether a TFLite runtime answers right."""
    import numpy as np

    interpreter = importlib.import_module(module).Interpreter(
        model_path=str(MODEL), num_threads=1, **options
    )
    interpreter.allocate_tensors()
    details = interpreter.get_input_details()[0]
    picture = np.full(details["shape"], _PICTURE, np.uint8)
    interpreter.set_tensor(details["index"], picture)
    interpreter.invoke()
    scores = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0]
    return {"right": int(scores.argmax()) == _ANSWER and int(scores[_ANSWER]) > 200}


def _delegate(module: str, library: str, options: str) -> dict[str, Any]:
    """Whether it does so with an accelerator's library, which gets options in JSON."""
    try:
        # Held by the interpreter alone, which must go first.
        return _runtime(
            module, experimental_delegates=[ExternalDelegate(library, json.loads(options))]
        )
    except (RuntimeUnavailableError, ValueError, RuntimeError) as error:
        return {"wrong": str(error)}


def _module(name: str) -> dict[str, Any]:
    """Import a module."""
    if importlib.util.find_spec(name) is None:
        return {}
    module = importlib.import_module(name)
    return {"version": str(getattr(module, "__version__", ""))}


_PROBES: dict[str, Callable[..., dict[str, Any]]] = {
    "packages": _packages,
    "runtime": _runtime,
    "delegate": _delegate,
    "module": _module,
}

if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    print(json.dumps(_PROBES[what](*rest)))
