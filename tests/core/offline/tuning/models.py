"""A model file of ours, made in no time."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from edgekit.model.container import pack
from edgekit.model.decision import Recommendation
from edgekit.model.geometry import Geometry
from edgekit.model.manifest import (
    SCHEMA_VERSION,
    Fidelity,
    Manifest,
    Normalization,
    Quantization,
)
from tests.tiny import COLOURS, SIZE, tiny_flatbuffer


def own_model(
    path: Path,
    *,
    labels: Sequence[str] = COLOURS,
    schema: int = SCHEMA_VERSION,
    decision: Recommendation | None = None,
) -> Path:
    """Write the model of `tests.tiny` with a manifest."""
    flatbuffer = tiny_flatbuffer()
    manifest = Manifest(
        schema=schema, arch="onnx", head="", classes=len(labels), geometry=Geometry(SIZE, SIZE),
        normalization=Normalization((0, 0, 0), (1, 1, 1)),
        quantization=Quantization(
            ranges="min-max", equalized=False, rounding="nearest", bias_corrected=False,
            scheme="static_wi8_ai8", calibration="pictures", images=1, calibration_sha256="",
            seed=0,
        ),
        fidelity=Fidelity("calibration", []), decision=decision,
        flatbuffer_sha256=hashlib.sha256(flatbuffer).hexdigest(),
        weights="tiny.onnx", weights_sha256="", tools={},
    )  # fmt: skip
    path.write_bytes(pack(flatbuffer, manifest, list(labels)))
    return path
