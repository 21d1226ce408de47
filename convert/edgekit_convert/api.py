"""Conversions in Python: what `edgekit convert` does, with the same names, defaults and checks.

import edgekit_convert as ek

result = ek.convert(model, size=224, calibration="photos/", evaluate="held-out/", classes=names)
result.save("door.tflite")
"""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from edgekit.errors import ConfigurationError, EdgekitError
from edgekit.files import StrPath, as_path
from edgekit.model.geometry import Geometry
from edgekit.model.manifest import Normalization
from edgekit_convert.arguments import checked, flag
from edgekit_convert.conversion import run
from edgekit_convert.given.pictures import GivenPictures
from edgekit_convert.outputs import Conversion
from edgekit_convert.progress import Progress, Reporter
from edgekit_convert.request import Request
from edgekit_convert.source_models import SourceModel, find_source
from edgekit_convert.target.memory import TARGETS, Target
from edgekit_convert.verify.fidelity import Thresholds
from edgekit_convert.weights.imagenet import IMAGENET_MEAN, IMAGENET_STD

if TYPE_CHECKING:
    import onnx
    from torch import nn
    from torch.export import ExportedProgram

_Triple: TypeAlias = Sequence[float]


def convert(
    model: "nn.Module | ExportedProgram | onnx.ModelProto | SourceModel | StrPath",
    *,
    arch: str | int | None = None,
    weights_key: str | None = None,
    head: Sequence[str] | str | None = None,
    reference: StrPath | None = None,
    classes: Sequence[str] | StrPath | None = None,
    calibration: Any = None,
    evaluate: Any = None,
    view_region: Sequence[float] | None = None,
    size: int = 224,
    crop: float | None = None,
    mean: _Triple = IMAGENET_MEAN,
    std: _Triple = IMAGENET_STD,
    io: str = "uint8",
    target: str | None = None,
    device_memory: str | None = None,
    edgetpu: bool = False,
    min_kept: float = 0.99,
    min_agreement: float | None = None,
    min_snr: float = 15.0,
    max_score_change: float = 0.03,
    allow_loss: bool = False,
    allow_misfit: bool = False,
    keep_confidence: bool = False,
    seed: int = 0,
    progress: Progress | Reporter | None = None,
) -> Conversion:
    """Convert a trained classifier to int8, and prove it; nothing is written before `save`.

    Args:
        model: a network of PyTorch, which is itself what the int8 model is compared with and is
            not changed; a program of `torch.export`; an ONNX model; the path of a `.pt2`, an
            ONNX file or a checkpoint; or `imagenet`, torchvision's published weights.
        arch: which ResNet a checkpoint is, by its layers; by default what its keys say.
        weights_key: which state dict of a checkpoint that holds several.
        head: layers of a checkpoint's head, which a state dict does not say.
        reference: file of your own network's answers, which one rebuilt from a checkpoint has to
            give too.
        classes: names, in the order of training, or a file of them. By default those that the
            model knows, or the names of the folders of `evaluate` or `calibration`.
        calibration: pictures like those that the camera will see: a folder or a video; an array or
            tensor (N, H, W, 3) or (N, 3, H, W); a list of pictures, or of paths; a data set or a
            loader of PyTorch or Hugging Face; or anything that gives pictures or batches one after
            another. docs/conversion.md has what is made of each. By default they are distilled
            from the network's BatchNorm statistics.
        evaluate: held-out pictures to measure fidelity on: a folder for each class, or any of the
            above, with labels where there are any, or a tuple of pictures and labels. By default a
            fifth of the calibration pictures.
        view_region: x, y, width and height of what is used of each picture of a folder or a video,
            in fractions of it: where the device looks in its frames (`view.region`).
        size: height and width of the model's input, in pixels.
        crop: fraction of a picture's shorter side that is kept; 1 by default.
        mean, std: what the network was trained with, for pixels from 0 to 1.
        io: type of the model's input and output: `uint8`, `int8` or `float32`.
        target: the device; refuses a model that does not fit its memory.
        device_memory: of the device, as `512M`.
        edgetpu: also compile for the Coral Edge TPU.
        min_kept: minimum fraction of the float accuracy that int8 must keep.
        min_agreement: minimum fraction of the pictures that int8 must answer as float does.
        min_snr: minimum signal-to-noise ratio of int8's logits, in dB.
        max_score_change: maximum mean change of the probability of float's answer.
        allow_loss: accept what the gate refuses.
        allow_misfit: accept pictures unlike those that the network was trained on.
        keep_confidence: leave the confidence as it is, also where labelled pictures of `evaluate`
            prove that a temperature makes it mean more.
        seed: of every random choice.
        progress: called with each step's title, items done, and of how many.

    Raises:
        FidelityError: int8 changes the answers too much; its `report` shows why.
        MisfitError: the network was trained on pictures fed otherwise.
        ConfigurationError: an argument that the command line would refuse.
        EdgekitError: anything else that is wrong with what was given, see `edgekit.errors`.
    """
    source = model
    if not isinstance(source, SourceModel):
        source = find_source(
            model,
            arch=checked("arch", arch),
            head=checked("head", head),
            weights_key=weights_key,
        )
    size = checked("size", size)
    request = Request(
        model=source,
        geometry=Geometry(height=size, width=size, crop=checked("crop", crop) or source.crop),
        normalization=Normalization(mean=checked("mean", mean), std=checked("std", std)),
        classes=Path(classes) if isinstance(classes, (str, os.PathLike)) else classes,
        calibration=_pictures(calibration, "calibration"),
        evaluation=_pictures(evaluate, "evaluate"),
        region=checked("view_region", view_region),
        reference=_path(reference),
        io=checked("io", io),
        target=_target(checked("target", target), checked("device_memory", device_memory)),
        edgetpu=flag("edgetpu", edgetpu),
        thresholds=Thresholds(
            checked("min_kept", min_kept),
            checked("min_agreement", min_agreement),
            checked("min_snr", min_snr),
            checked("max_score_change", max_score_change),
        ),
        allow_loss=flag("allow_loss", allow_loss),
        allow_misfit=flag("allow_misfit", allow_misfit),
        keep_confidence=flag("keep_confidence", keep_confidence),
        seed=checked("seed", seed),
    )
    reporter = _reporter(progress)
    try:
        return run(request, reporter)
    except EdgekitError as error:
        # Which pictures were left out, say: it may be why.
        for note in reporter.notes:
            error.add_note(note)
        raise


def _path(value: StrPath | None) -> Path | None:
    return None if value is None else as_path(value, "a file or a folder")


def _reporter(progress: Progress | Reporter | None) -> Reporter:
    if isinstance(progress, Reporter):
        return progress
    if progress is not None and not callable(progress):
        raise ConfigurationError(f"progress={progress!r} is not a function; see docs/python.md")
    return Reporter(progress)


def _pictures(value: Any, option: str) -> Path | GivenPictures | None:
    if value is None or isinstance(value, (str, os.PathLike)):
        return _path(value)
    return GivenPictures(value, option)


def _target(name: str | None, memory: int | None) -> Target | None:
    if name is None:
        return Target("the device", memory, edgetpu=False) if memory else None
    target = TARGETS[name]
    return dataclasses.replace(target, memory_bytes=memory) if memory else target
