"""What a conversion works on: the trained model, its class names, and pictures."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import onnx

from edgekit.errors import ConfigurationError, ConversionError, DatasetError, ImageError
from edgekit.model.labels import distinct, read_labels
from edgekit.model.manifest import Origin
from edgekit.vision.folders import image_files
from edgekit_convert.feeding.candidates import Way
from edgekit_convert.feeding.check import FeedingCheck, Finding
from edgekit_convert.given.pictures import GivenPictures
from edgekit_convert.pictures import (
    MAXIMUM_CALIBRATION,
    Pictures,
    check_disjoint,
    hold_out,
    load_calibration,
    load_evaluation,
    untouched,
)
from edgekit_convert.progress import Advance, Reporter
from edgekit_convert.request import Request
from edgekit_convert.source_models import check_file
from edgekit_convert.target.memory import Network, check_fits, estimate
from edgekit_convert.target.workstation import check_workstation, workstation_need
from edgekit_convert.verify.reference import Reference, check_rebuilt, open_reference
from edgekit_convert.weights.labels import ClassNames, class_names
from edgekit_convert.weights.trained import TrainedModel


@dataclass(frozen=True)
class Material:
    """What a conversion works on.

    Attributes:
        trained: the trained classifier.
        named: its class names, and where they are from.
        origin: what the trained classifier is, and how far the user's own answers confirm it.
        calibration: all pictures that decide how it is quantized.
        fitted: those of them that set ranges.
        held_out: the others, which choose among recipes.
        evaluation: pictures that decide nothing, where there are any.
        reference: the user's own network or its answers, where they were given.
        check: whether the pictures are like those that the network was trained on; what can be
            known without looking at them is checked.
    """

    trained: TrainedModel
    named: ClassNames
    origin: Origin
    calibration: Pictures
    fitted: Pictures
    held_out: Pictures
    evaluation: Pictures | None
    reference: Reference | None
    check: FeedingCheck

    @property
    def labels(self) -> list[str]:
        """Its class names."""
        return self.named.names

    @property
    def measured(self) -> Pictures:
        """The pictures that fidelity is measured on."""
        return self.evaluation or self.held_out

    @property
    def network(self) -> Network:
        """What decides how much memory the model needs."""
        return Network(self.trained.architecture, self.trained.parameters)


def check_inputs(request: Request) -> None:
    """Refuse what a request names and is not there, before anything is loaded.

    In the order of the command line's options.

    Raises:
        EdgekitError: the first that is missing, or cannot be read.
    """
    request.model.check()
    if request.reference is not None:
        check_file(request.reference, "the reference")
    if isinstance(request.classes, Path):
        read_labels(request.classes)
    calibration, evaluation = request.calibration, request.evaluation
    if request.region is not None and calibration is None and evaluation is None:
        raise ConfigurationError("view_region is of pictures; give calibration or evaluate")
    if isinstance(calibration, Path) and not calibration.exists():
        raise ImageError(
            f"no calibration pictures at {calibration}; name an image folder or a video"
        )
    if isinstance(evaluation, Path) and not evaluation.is_dir():
        raise DatasetError(f"{evaluation} is not a folder of evaluation pictures")
    if (
        isinstance(calibration, GivenPictures)
        and isinstance(evaluation, GivenPictures)
        and calibration.is_same(evaluation)
    ):
        raise DatasetError(
            "calibration and evaluate are the same pictures; evaluate on pictures that were not "
            "used, or leave evaluate out: a fifth of the calibration is held out then"
        )
    for pictures in (calibration, evaluation):
        if request.region is not None and isinstance(pictures, GivenPictures):
            raise ConfigurationError(
                f"view_region is for folders and videos; cut the pictures of {pictures.name} "
                "yourself"
            )
        if isinstance(pictures, GivenPictures):
            pictures.check(request.normalization)
        elif pictures is not None and pictures.is_dir():
            image_files(pictures)


def gather(request: Request, reporter: Reporter) -> Material:
    """Open the model and read the pictures that a request names.

    Raises:
        EdgekitError: something cannot be read, does not fit the rest, or will not fit the memory of
            this machine or of the target; or the network is not the user's own.
    """
    check = FeedingCheck(
        Way(request.geometry, request.normalization), allow_misfit=request.allow_misfit
    )
    check.check_normalization()
    reference = None
    if request.reference is not None:
        reference = open_reference(request.reference, request.normalization, request.geometry)
    with reporter.step("loading weights"):
        trained = request.model.open(request.normalization, request.geometry)
    check.check_network(trained.network, one_size=trained.one_size)
    told = check.check_recorded(trained.recorded, pictures_tell=request.calibration is not None)
    if told is not None:
        reporter.note(told)
    origin = _origin(trained, reference, reporter)
    named = _class_names(request, trained)
    named = replace(named, names=distinct(named.names, reporter.note))
    for note in named.notes:
        reporter.note(note)
    _check_memory(request, Network(trained.architecture, trained.parameters))
    evaluation = None
    if request.evaluation is not None:
        with reporter.step("reading evaluation pictures") as advance:
            evaluation = _evaluation(request, request.evaluation, named.names, reporter, advance)
        _tell(evaluation, request.evaluation, reporter)
    # Last, as without pictures of the user's they are distilled.
    calibration = _calibration(request, trained, check, reporter)
    if evaluation is not None:
        check_disjoint(calibration, evaluation)
    fitted, held_out = hold_out(calibration, request.seed)
    return Material(
        trained, named, origin, calibration, fitted, held_out, evaluation, reference, check
    )


def check_feeding(request: Request, material: Material, reporter: Reporter) -> Finding:
    """Compare the calibration pictures with what the network remembers of its training.

    Raises:
        MisfitError: they do not fit, and the request does not allow that.
    """
    source, pictures = request.calibration, material.calibration
    if source is None:
        return material.check.unknown(
            "the calibration pictures are made from the network's BatchNorm statistics, so how it "
            "was fed in training cannot be checked"
        )
    with reporter.step("comparing with what BatchNorm remembers"):
        return material.check.check_pictures(
            pictures.tensors,
            lambda chosen: (
                untouched(source, pictures.of(chosen).names, request.region)
                if isinstance(source, Path)
                else source.untouched(request.geometry, chosen)
            ),
        )


def _origin(trained: TrainedModel, reference: Reference | None, reporter: Reporter) -> Origin:
    """What the trained classifier is; compares it with the user's own, and tells what is open."""
    for note in trained.notes:
        reporter.note(note)
    if reference is None:
        if trained.guess:
            reporter.note(trained.guess)
        return Origin(source=trained.source)
    with reporter.step("comparing with the reference"):
        figures, difference = check_rebuilt(trained, reference)
    for open_question in filter(None, (reference.note, difference)):
        reporter.note(open_question)
    return Origin(
        source=trained.source,
        reference=reference.name,
        reference_sha256=reference.sha256,
        rebuilt=figures,
        is_network=reference.answer is not None,
    )


def _check_memory(request: Request, network: Network) -> None:
    """Refuse, before any work, what neither the workstation nor the device can hold."""
    size = request.geometry.height, request.geometry.width
    check_workstation(workstation_need(network.parameters, *size, pictures=MAXIMUM_CALIBRATION))
    if request.target is not None:
        check_fits(estimate(network, *size), request.target, network, *size)


def _class_names(request: Request, trained: TrainedModel) -> ClassNames:
    folders: list[Path | None] = []
    datasets = {}
    for option, one in (("evaluate", request.evaluation), ("calibration", request.calibration)):
        folders.append(one if isinstance(one, Path) else None)
        if isinstance(one, GivenPictures):
            datasets[option] = one.class_names
    return class_names(trained, request.classes, folders[0], folders[1], datasets)


def _evaluation(
    request: Request,
    source: Path | GivenPictures,
    labels: list[str],
    reporter: Reporter,
    advance: Advance,
) -> Pictures:
    if isinstance(source, Path):
        return load_evaluation(
            source, labels, request.geometry, advance, reporter.note, request.region
        )
    return source.load(request.geometry, request.normalization, advance, labels, reporter.note)


def _tell(pictures: Pictures, source: Path | GivenPictures, reporter: Reporter) -> None:
    for note in pictures.notes:
        reporter.note(f"{source.name}: {note}")


def _load_calibration(request: Request, source: Path | GivenPictures, advance: Advance) -> Pictures:
    if isinstance(source, Path):
        return load_calibration(source, request.geometry, advance, request.region)
    return source.load(request.geometry, request.normalization, advance)


def _calibration(
    request: Request, trained: TrainedModel, check: FeedingCheck, reporter: Reporter
) -> Pictures:
    if request.calibration is not None:
        with reporter.step("reading calibration pictures") as advance:
            pictures = _load_calibration(request, request.calibration, advance)
        _tell(pictures, request.calibration, reporter)
        return pictures
    if isinstance(trained.network, onnx.ModelProto) or not check.has_memory:
        raise ConversionError(
            f"{trained.name} has no BatchNorm statistics to calibrate from; pass --calibration "
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
