"""The workstation side of edgekit: trained classifiers to int8 TFLite.

`convert` is its interface in Python; `edgekit convert` is the same as a command.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgekit_convert.api import convert as convert
    from edgekit_convert.outputs import Conversion as Conversion

# Where each is: TensorFlow and the rest take seconds to import, which `--help` should not.
_EXPORTED = {"convert": "edgekit_convert.api", "Conversion": "edgekit_convert.outputs"}
__all__ = ["Conversion", "convert"]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_EXPORTED[name]), name)
