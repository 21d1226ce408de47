"""Libraries that read what OpenCV cannot; a device does without them."""

import importlib
from typing import Any

REMEDY = 'pip install "edgekit-core[media]"'


def load(name: str) -> Any:
    """A module, loaded when it is first needed; None where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None
