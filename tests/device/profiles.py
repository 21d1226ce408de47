"""Profiles of pictures and answers, and a model that carries one."""

import hashlib
from pathlib import Path

import numpy as np

from edgekit.model.container import pack
from edgekit.model.geometry import Geometry
from edgekit.model.manifest import (
    SCHEMA_VERSION,
    Fidelity,
    Manifest,
    Normalization,
    Quantization,
)
from edgekit.model.profile import (
    ANSWER_FIGURES,
    PICTURE_FIGURES,
    QUANTILES,
    Profile,
    Reference,
)
from tests.tiny import COLOURS, SIZE, tiny_flatbuffer

# Bounds within which no picture and no answer is unusual.
_ANY = {
    "brightness": (0, 255), "contrast": (0, 128), "warmth": (-1, 1), "greenness": (-1, 1),
    "sharpness": (-9, 9), "score": (-1, 1), "margin": (-1, 1),
}  # fmt: skip


def make_profile(**bounds: tuple[float, float]) -> Profile:
    """A profile in which everything is usual but for the figures named, evenly spread there."""
    spread = {name: np.linspace(*bounds.get(name, _ANY[name]), QUANTILES).tolist() for name in _ANY}

    def reference(names: tuple[str, ...]) -> Reference:
        figures = {name: spread[name] for name in names}
        return Reference(images=1000, source="calibration", figures=figures)

    return Profile(pictures=reference(PICTURE_FIGURES), answers=reference(ANSWER_FIGURES))


BRIGHT = make_profile(brightness=(200, 220))
DARK = make_profile(brightness=(0, 20))
DARKER = "darker than anything it was calibrated on"


def profiled_model(path: Path, profile: Profile | None) -> Path:
    """Write the tiny model with a manifest that has this profile."""
    flatbuffer = tiny_flatbuffer()
    manifest = Manifest(
        schema=SCHEMA_VERSION, arch="onnx", head="", classes=len(COLOURS),
        geometry=Geometry(SIZE, SIZE), normalization=Normalization((0, 0, 0), (1, 1, 1)),
        quantization=Quantization(
            ranges="min-max", equalized=False, rounding="nearest", bias_corrected=False,
            scheme="static_wi8_ai8", calibration="pictures", images=1, calibration_sha256="",
            seed=0,
        ),
        fidelity=Fidelity("calibration", []),
        flatbuffer_sha256=hashlib.sha256(flatbuffer).hexdigest(),
        weights="tiny", weights_sha256="", tools={}, profile=profile,
    )  # fmt: skip
    path.write_bytes(pack(flatbuffer, manifest, list(COLOURS)))
    return path
