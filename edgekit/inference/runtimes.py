"""The TFLite runtimes: which there are, which is preferred, and how one is imported."""

import contextlib
import importlib
from typing import Any

from edgekit.errors import RuntimeUnavailableError

# Module of each runtime, in the order of preference: ai-edge-litert is the successor of
# tflite-runtime and several times faster on int8 models.
_MODULES = {"litert": "ai_edge_litert.interpreter", "tflite": "tflite_runtime.interpreter"}
RUNTIMES = ("auto", *_MODULES)


def installed_runtimes() -> list[str]:
    """The runtimes that can be imported, preferred first."""
    found = []
    for name, module in _MODULES.items():
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
            found.append(name)
    return found


def load(runtime: str) -> tuple[str, Any]:
    candidates = [runtime] if runtime != "auto" else list(_MODULES)
    problems = []
    for name in candidates:
        try:
            return name, importlib.import_module(_MODULES[name])
        except ImportError as error:
            problems.append(f"{name}: {error}")
    raise RuntimeUnavailableError(
        f"no TFLite runtime can be loaded ({'; '.join(problems)}); install ai-edge-litert, "
        "or tflite-runtime with numpy<2 on Python 3.11"
    )
