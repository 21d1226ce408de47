"""The manifest `edgekit.json` that travels inside a model file."""

import msgspec

from edgekit.preprocess import Geometry

SCHEMA_VERSION = 1


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    pass


class Normalisation(_Part, frozen=True):
    """What was folded into the first convolution: (pixel / 255 - mean) / std, per RGB channel."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


class Quantisation(_Part, frozen=True):
    """The recipe, and the pictures whose activations set the ranges.

    Attributes:
        recipe: name of the recipe in AI Edge Quantizer's terms.
        ranges: how activation ranges were chosen.
        images: number of calibration pictures.
        calibration_sha256: SHA-256 over the sorted hashes of the calibration files.
    """

    recipe: str
    ranges: str
    images: int
    calibration_sha256: str


class StageFidelity(_Part, frozen=True):
    """How one stage of the conversion answers, beside the untouched PyTorch model.

    Attributes:
        stage: `pytorch`, `folded`, `onnx`, `tflite-float` or `tflite-int8`.
        images: number of pictures it answered.
        agreement: part of the pictures with PyTorch's top-1, in [0, 1].
        snr_db: signal-to-noise ratio of the class probabilities against PyTorch's, in dB; none
            when both are the same to the last bit.
        top1: accuracy in [0, 1], where labels exist.
        top5: likewise.
    """

    stage: str
    images: int
    agreement: float
    snr_db: float | None = None
    top1: float | None = None
    top5: float | None = None


class Fidelity(_Part, frozen=True):
    """What the conversion measured.

    Attributes:
        pictures: `evaluation` (labelled and held out) or `calibration`.
        stages: in the order of the conversion.
        loss_allowed: whether the user asked for the file although a stage failed the gate.
    """

    pictures: str
    stages: list[StageFidelity]
    loss_allowed: bool = False


class Manifest(_Part, frozen=True):
    """Contents of `edgekit.json`.

    Attributes:
        schema: version of this layout.
        arch: for example `resnet18`.
        classes: number of classes.
        geometry: input geometry, as `edgekit.preprocess.prepare` takes it.
        normalisation: folded into the model; a client feeds raw pixel values.
        flatbuffer_sha256: of the bytes before the appended zip, in hexadecimal.
        weights: what the user gave: `imagenet` or the checkpoint's file name.
        weights_sha256: of the checkpoint, in hexadecimal.
        tools: versions of the packages that took part.
    """

    schema: int
    arch: str
    classes: int
    geometry: Geometry
    normalisation: Normalisation
    quantisation: Quantisation
    fidelity: Fidelity
    flatbuffer_sha256: str
    weights: str
    weights_sha256: str
    tools: dict[str, str]
