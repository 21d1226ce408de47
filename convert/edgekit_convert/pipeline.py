"""A conversion from weights to a model file, step by step."""

import copy
import hashlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgekit.dataset import labelled_images
from edgekit.errors import ConversionError, LabelsError
from edgekit.files import check_writable, write_atomically
from edgekit.frames import read_image
from edgekit.labels import read_labels
from edgekit.manifest import (
    SCHEMA_VERSION,
    Fidelity,
    Manifest,
    Normalisation,
    Quantisation,
    StageFidelity,
)
from edgekit.modelfile import pack
from edgekit.preprocess import Geometry, prepare
from edgekit_convert import fidelity
from edgekit_convert.architectures import Architecture, load
from edgekit_convert.checkpoint import IMAGENET, Checkpoint, load_file, load_imagenet
from edgekit_convert.export import to_onnx, to_tflite
from edgekit_convert.fold import FoldedResNet
from edgekit_convert.pictures import evenly_spread, load_calibration
from edgekit_convert.progress import Reporter
from edgekit_convert.quantize import RECIPE, observe_ranges, quantise

_TOOLS = (
    "edgekit", "torch", "torchvision", "onnx", "onnx2tf", "ai-edge-quantizer", "ai-edge-litert",
)  # fmt: skip
# The stages between PyTorch and int8 compute the same function, so a sample of the pictures shows
# whether one is broken; the two ends answer all of them.
_SAMPLED = 200
_BATCH = 16


@dataclass(frozen=True)
class Request:
    """What to convert.

    Attributes:
        architecture: the network.
        weights: `imagenet`, or the path of a checkpoint.
        classes: file of class names; None for ImageNet's own, or the evaluation folders' names.
        calibration: image folder or video; None is an error that says so.
        evaluation: labelled pictures, held out from training and calibration.
        geometry: input geometry.
        normalisation: what the network was trained with.
        output: path of the model file to write.
        allow_loss: write the file although the fidelity gate fails.
    """

    architecture: Architecture
    weights: str
    classes: Path | None
    calibration: Path | None
    evaluation: Path | None
    geometry: Geometry
    normalisation: Normalisation
    output: Path
    allow_loss: bool


def _load_weights(request: Request) -> Checkpoint:
    if request.weights == IMAGENET:
        return load_imagenet(request.architecture)
    return load_file(Path(request.weights))


def _labels(request: Request, checkpoint: Checkpoint, classes: int) -> list[str]:
    if request.classes is not None:
        return read_labels(request.classes, classes)
    if checkpoint.labels is not None:
        return checkpoint.labels
    if request.evaluation is not None and request.evaluation.is_dir():
        names = sorted(child.name for child in request.evaluation.iterdir() if child.is_dir())
        if len(names) == classes:
            return names
    raise LabelsError(
        f"the checkpoint has {classes} classes and no names for them; pass --classes FILE with "
        "one name a line, in the order of training"
    )


def _evaluation_pictures(
    request: Request, labels: list[str], reporter: Reporter
) -> tuple[NDArray[np.uint8], NDArray[np.int64]] | None:
    if request.evaluation is None:
        return None
    images = labelled_images(request.evaluation, labels)
    tensors = []
    with reporter.step("reading evaluation pictures", len(images)) as advance:
        for image in images:
            tensors.append(prepare(read_image(image.path), request.geometry))
            advance(1)
    return np.concatenate(tensors), np.array([image.index for image in images])


def convert(request: Request, reporter: Reporter) -> Manifest:
    """Convert and write a model file; on any failure nothing is written.

    Raises:
        EdgekitError: see the classes in `edgekit.errors`; the message says what to do.
    """
    check_writable(request.output)
    with reporter.step("loading weights"):
        checkpoint = _load_weights(request)
        network = load(request.architecture, checkpoint.state)
    classes = int(network.state_dict()["fc.weight"].shape[0])
    labels = _labels(request, checkpoint, classes)
    if request.calibration is None:
        raise ConversionError(
            "quantisation needs pictures like those the camera will see; pass --calibration with "
            "an image folder or a video (100 to 500 varied pictures, no labels needed)"
        )
    with reporter.step("reading calibration pictures") as advance:
        calibration = load_calibration(request.calibration, request.geometry, advance)
    evaluation = _evaluation_pictures(request, labels, reporter)
    pictures, truth = evaluation if evaluation else (calibration.tensors, None)
    height, width = request.geometry.height, request.geometry.width
    threads = os.cpu_count() or 1
    stages: list[StageFidelity] = []

    def measure(name: str, answer: fidelity.Answer, chosen: NDArray[np.intp]) -> None:
        with reporter.step(f"measuring {name}", len(chosen)) as advance:
            rows = []
            for start in range(0, len(chosen), _BATCH):
                batch = chosen[start : start + _BATCH]
                rows.append(answer(pictures[batch]))
                advance(len(batch))
        values = np.concatenate(rows)
        if not stages:
            reference[chosen] = values
        known = truth[chosen] if truth is not None else None
        stages.append(fidelity.compare(name, values, reference[chosen], known))

    reference = np.zeros((len(pictures), classes), np.float32)
    everything = np.arange(len(pictures))
    sample = evenly_spread(len(pictures), _SAMPLED)
    with tempfile.TemporaryDirectory(prefix="edgekit-") as folder:
        scratch = Path(folder)
        measure("pytorch", fidelity.pytorch_answer(network, request.normalisation), everything)
        folded = FoldedResNet(copy.deepcopy(network), request.normalisation, height, width).eval()
        measure("folded", fidelity.folded_answer(folded), sample)
        with reporter.step("exporting to ONNX"):
            onnx_file = to_onnx(folded, height, width, scratch)
        measure("onnx", fidelity.onnx_answer(str(onnx_file)), sample)
        with reporter.step("lowering to TFLite with onnx2tf"):
            float_model = to_tflite(onnx_file, calibration.tensors, scratch)
    measure("tflite-float", fidelity.tflite_answer(float_model, threads), sample)
    with reporter.step("calibrating", len(calibration.tensors)) as advance:

        def each() -> Iterator[NDArray[np.uint8]]:
            for index in range(len(calibration.tensors)):
                yield calibration.tensors[index : index + 1]
                advance(1)

        ranges = observe_ranges(float_model, each(), threads)
    with reporter.step("quantising to int8"):
        model = quantise(float_model, ranges)
    measure("tflite-int8", fidelity.tflite_answer(model, threads), everything)

    measured = Fidelity(
        pictures="evaluation" if evaluation else "calibration",
        stages=stages,
        loss_allowed=request.allow_loss,
    )
    if not request.allow_loss:
        fidelity.gate(measured)
    manifest = Manifest(
        schema=SCHEMA_VERSION,
        arch=request.architecture.name,
        classes=classes,
        geometry=request.geometry,
        normalisation=request.normalisation,
        quantisation=Quantisation(
            recipe=RECIPE,
            ranges="min-max",
            images=len(calibration.tensors),
            calibration_sha256=calibration.sha256,
        ),
        fidelity=measured,
        flatbuffer_sha256=hashlib.sha256(model).hexdigest(),
        weights=checkpoint.name,
        weights_sha256=checkpoint.sha256,
        tools={name: version(name) for name in _TOOLS},
    )
    write_atomically(request.output, pack(model, manifest, labels))
    return manifest
