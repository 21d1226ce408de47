"""The workstation side of edgekit: trained classifiers to int8 TFLite.

`convert` is its interface in Python; `edgekit convert` is the same as a command. What a program
needs beside it is here, too: `inspect` of the core, `evaluate` on all that `convert` takes its
pictures from, and the errors of a conversion.
"""

import importlib
from typing import TYPE_CHECKING, Any

from edgekit.errors import (
    CheckpointError,
    ConfigurationError,
    ConversionError,
    EdgekitError,
    FidelityError,
    MisfitError,
)

if TYPE_CHECKING:
    from edgekit.model.inspection import inspect
    from edgekit_convert.api import convert
    from edgekit_convert.console import ConsoleReporter
    from edgekit_convert.given.evaluation import evaluate
    from edgekit_convert.outputs import Conversion
    from edgekit_convert.report.results import Report

# Where each is: TensorFlow and the rest take seconds to import, which `--help` should not.
_LAZY = {
    "ConsoleReporter": "edgekit_convert.console",
    "Conversion": "edgekit_convert.outputs",
    "Report": "edgekit_convert.report.results",
    "convert": "edgekit_convert.api",
    "evaluate": "edgekit_convert.given.evaluation",
    "inspect": "edgekit.model.inspection",
}

__all__ = [
    "CheckpointError",
    "ConfigurationError",
    "ConsoleReporter",
    "Conversion",
    "ConversionError",
    "EdgekitError",
    "FidelityError",
    "MisfitError",
    "Report",
    "convert",
    "evaluate",
    "inspect",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
