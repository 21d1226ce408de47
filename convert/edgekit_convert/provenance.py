"""What a model file says about where it comes from."""

import hashlib
from importlib.metadata import PackageNotFoundError, version

import msgspec

from edgekit import __version__
from edgekit.model.manifest import (
    SCHEMA_VERSION,
    Confidence,
    Feeding,
    Fidelity,
    Manifest,
    Quantization,
)
from edgekit.model.profile import Profile
from edgekit_convert.material import Material
from edgekit_convert.quantize.quantizer import SCHEME
from edgekit_convert.quantize.search import Found
from edgekit_convert.request import Request

_TOOLS = ("torch", "torchvision", "onnx", "onnx2tf", "ai-edge-litert")


def make_manifest(
    request: Request,
    material: Material,
    found: Found,
    measured: Fidelity,
    confidence: Confidence,
    profile: Profile | None,
    feeding: Feeding,
    model: bytes,
) -> Manifest:
    """The manifest of the flatbuffer `model`."""
    trained = material.trained
    own = "onnx" if trained.source == "onnx" else "pytorch"
    return Manifest(
        schema=SCHEMA_VERSION,
        arch=trained.architecture.name if trained.architecture else own,
        head=trained.head,
        classes=trained.classes,
        geometry=request.geometry,
        normalization=request.normalization,
        quantization=Quantization(
            **msgspec.structs.asdict(found.recipe),
            scheme=SCHEME,
            calibration="pictures" if request.calibration else "data-free",
            images=len(material.calibration.tensors),
            calibration_sha256=material.calibration.sha256,
            seed=request.seed,
        ),
        fidelity=measured,
        flatbuffer_sha256=hashlib.sha256(model).hexdigest(),
        weights=trained.name,
        weights_sha256=trained.sha256,
        tools=_tools(),
        feeding=feeding,
        confidence=confidence,
        profile=profile,
    )


def _tools() -> dict[str, str]:
    versions = {"edgekit": __version__}
    for name in _TOOLS:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue  # torch, where an ONNX model is converted without it
    return versions
