"""What a conversion works on: the trained model, its class names, and pictures."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from edgekit.errors import ConversionError
from edgekit_convert.feeding.candidates import Way
from edgekit_convert.feeding.check import FeedingCheck, Finding
from edgekit_convert.graph.onnx_file import open_onnx
from edgekit_convert.pictures import (
    MAXIMUM_CALIBRATION,
    Pictures,
    check_disjoint,
    hold_out,
    load_calibration,
    load_evaluation,
    untouched,
)
from edgekit_convert.progress import Reporter
from edgekit_convert.request import Request
from edgekit_convert.target.memory import Network, check_fits, estimate
from edgekit_convert.target.workstation import check_workstation, workstation_need
from edgekit_convert.weights.labels import class_names
from edgekit_convert.weights.trained import TrainedModel, open_resnet


@dataclass(frozen=True)
class Material:
    """What a conversion works on.

    Attributes:
        trained: the trained classifier.
        labels: its class names.
        calibration: all pictures that decide how it is quantized.
        fitted: those of them that set ranges.
        held_out: the others, which choose among recipes.
        evaluation: pictures that decide nothing, where there are any.
        feeding: whether the pictures are like those that the network was trained on.
    """

    trained: TrainedModel
    labels: list[str]
    calibration: Pictures
    fitted: Pictures
    held_out: Pictures
    evaluation: Pictures | None
    feeding: Finding

    @property
    def measured(self) -> Pictures:
        """The pictures that fidelity is measured on."""
        return self.evaluation or self.held_out

    @property
    def network(self) -> Network:
        """What decides how much memory the model needs."""
        return Network(self.trained.architecture, self.trained.parameters)


def gather(request: Request, reporter: Reporter) -> Material:
    """Open the model and read the pictures that a request names.

    Raises:
        EdgekitError: something cannot be read, does not fit the rest, or will not fit the memory of
            this machine or of the target.
    """
    check = FeedingCheck(
        Way(request.geometry, request.normalization), allow_misfit=request.allow_misfit
    )
    check.check_normalization()
    trained = _open(request, reporter)
    check.check_network(trained.network)
    labels = class_names(trained, request.classes, request.evaluation)
    _check_memory(request, Network(trained.architecture, trained.parameters))
    calibration = _calibration(request, trained, reporter)
    feeding = _check_feeding(request, check, calibration, reporter)
    evaluation = None
    if request.evaluation is not None:
        with reporter.step("reading evaluation pictures") as advance:
            evaluation = load_evaluation(request.evaluation, labels, request.geometry, advance)
        check_disjoint(calibration, evaluation)
    fitted, held_out = hold_out(calibration, request.seed)
    return Material(trained, labels, calibration, fitted, held_out, evaluation, feeding)


def _open(request: Request, reporter: Reporter) -> TrainedModel:
    with reporter.step("loading weights"):
        if request.architecture is None:
            return open_onnx(Path(request.weights), request.normalization, request.geometry)
        return open_resnet(request.architecture, request.weights, request.normalization)


def _check_memory(request: Request, network: Network) -> None:
    """Refuse, before any work, what neither the workstation nor the device can hold."""
    size = request.geometry.height, request.geometry.width
    check_workstation(workstation_need(network.parameters, *size, pictures=MAXIMUM_CALIBRATION))
    if request.target is not None:
        check_fits(estimate(network, *size), request.target, network, *size)


def _check_feeding(
    request: Request, check: FeedingCheck, pictures: Pictures, reporter: Reporter
) -> Finding:
    source = request.calibration
    if source is None:
        return check.unknown(
            "the calibration pictures are made from the network's BatchNorm statistics, so how it "
            "was fed in training cannot be checked"
        )
    with reporter.step("comparing with what BatchNorm remembers"):
        return check.check_pictures(
            pictures.tensors, lambda chosen: untouched(source, pictures.of(chosen).names)
        )


def _calibration(request: Request, trained: TrainedModel, reporter: Reporter) -> Pictures:
    if request.calibration is not None:
        with reporter.step("reading calibration pictures") as advance:
            return load_calibration(request.calibration, request.geometry, advance)
    if trained.architecture is None:
        raise ConversionError(
            "an ONNX model has no BatchNorm statistics to calibrate from; pass --calibration "
            "with an image folder or a video (100 to 500 varied pictures, no labels needed)"
        )
    # Loads torch, which an ONNX model does without.
    from edgekit_convert.quantize.distillation import DISTILLED, STEPS, distil

    size = request.geometry.height, request.geometry.width
    with reporter.step("distilling calibration pictures", DISTILLED * STEPS) as advance:
        tensors = distil(
            trained.network, request.normalization, *size, DISTILLED, STEPS, request.seed, advance
        )
    names = [f"distilled {number}" for number in range(len(tensors))]
    return Pictures(tensors, names, hashlib.sha256(tensors.tobytes()).hexdigest())
