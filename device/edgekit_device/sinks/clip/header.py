"""By what a clip was recorded, as the daemon knows it."""

import platform

import cv2
import msgspec
import numpy as np

from edgekit import __version__
from edgekit.inference.events import timestamp
from edgekit.inference.pipeline import Result
from edgekit.offline.clip import ClipHeader, schema_of
from edgekit_device.health import Health


def header_of(health: Health, result: Result, source: str) -> ClipHeader:
    """The header of a clip that begins now.

    Args:
        health: of the daemon.
        result: an answer, by whose model, settings and view the clip's frames are answered.
        source: where its frames come from.
    """
    return ClipHeader(
        schema=schema_of(result.frame.view),
        created=timestamp(),
        device=health.name,
        source=source,
        model=health.model,
        model_sha256=health.model_sha256,
        runtime=health.runtime,
        accelerator=health.accelerator,
        geometry=result.model.geometry,
        decision=msgspec.to_builtins(result.decision),
        versions={
            "edgekit": __version__,
            "opencv": cv2.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
            "machine": platform.machine(),
        },
        view=result.frame.view,
    )
