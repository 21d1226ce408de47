"""The table of TFLite runtimes, and how one is imported."""

import contextlib
import importlib
from pathlib import Path
from typing import Any, NamedTuple

from edgekit.errors import ConfigurationError, RuntimeUnavailableError


class Runtime(NamedTuple):
    """A TFLite runtime.

    Attributes:
        module: that has its `Interpreter`.
        distribution: to install from PyPI.
        condition: of its installation, in words; empty for none.
    """

    module: str
    distribution: str
    condition: str = ""


# In the order of preference: ai-edge-litert is the successor of tflite-runtime and several times
# faster on int8 models.
RUNTIMES: dict[str, Runtime] = {
    "litert": Runtime("ai_edge_litert.interpreter", "ai-edge-litert"),
    "tflite": Runtime(
        "tflite_runtime.interpreter", "tflite-runtime", "with numpy<2 on Python 3.11"
    ),
}
AUTO = "auto"


def choices() -> tuple[str, ...]:
    """What `--runtime` takes: `auto`, or the name of a runtime."""
    return (AUTO, *RUNTIMES)


def installed_runtimes() -> list[str]:
    """Names of the runtimes that can be imported, preferred first."""
    found = []
    for name, runtime in RUNTIMES.items():
        with contextlib.suppress(ImportError):
            importlib.import_module(runtime.module)
            found.append(name)
    return found


def installed_versions() -> dict[str, str]:
    """Versions of the runtimes whose distribution is installed, by name, preferred first.

    Nothing is imported: one that is broken is among them, and one without a distribution is not.
    """
    # It takes as long to import as all the rest of this.
    from importlib.metadata import PackageNotFoundError, version

    versions = {}
    for name, runtime in RUNTIMES.items():
        with contextlib.suppress(PackageNotFoundError):
            versions[name] = version(runtime.distribution)
    return versions


def folder(name: str) -> Path:
    """Where the libraries of a runtime are that has been loaded."""
    module = importlib.import_module(RUNTIMES[name].module)
    return Path(module.__file__ or "").parent


def load(name: str) -> tuple[str, Any]:
    """Import a runtime.

    Args:
        name: one of `choices()`; `auto` takes the first that can be imported.

    Returns:
        Its name in `RUNTIMES`, and its module.

    Raises:
        RuntimeUnavailableError: it cannot be imported, or none can.
        ConfigurationError: there is none of that name.
    """
    if name not in choices():
        raise ConfigurationError(f"there is no runtime {name}; there is {', '.join(choices())}")
    problems = []
    for candidate in RUNTIMES if name == AUTO else [name]:
        try:
            return candidate, importlib.import_module(RUNTIMES[candidate].module)
        except ImportError as error:
            problems.append(f"{candidate}: {error}")
    remedies = [f"{one.distribution} {one.condition}".strip() for one in RUNTIMES.values()]
    raise RuntimeUnavailableError(
        f"no TFLite runtime can be loaded ({'; '.join(problems)}); install {', or '.join(remedies)}"
    )
