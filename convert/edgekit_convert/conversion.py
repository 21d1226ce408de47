"""A conversion from a trained classifier to a model file, step by step."""

import msgspec
import numpy as np
import onnx
from numpy.typing import NDArray

from edgekit.child import cores
from edgekit.errors import FidelityError
from edgekit.model import flatbuffer as tflite
from edgekit.model.manifest import Fidelity
from edgekit.model.profile import Profile
from edgekit.model.structure import describe, read_structure
from edgekit_convert.answers import Answers, in_batches
from edgekit_convert.confidence.calibrate import Calibrated, calibrate
from edgekit_convert.confidence.check import check_tempered, without_temperature
from edgekit_convert.confidence.last_layer import answer_integers, integers
from edgekit_convert.graph.execution import (
    edgetpu_answer,
    exported_answer,
    folded_answer,
    tflite_answer,
)
from edgekit_convert.graph.export import Lowering, lowering, to_onnx
from edgekit_convert.graph.flatbuffer import separate_constants
from edgekit_convert.graph.fold import fold
from edgekit_convert.graph.rewrite import rewrite
from edgekit_convert.interruption import check_interrupted
from edgekit_convert.material import Material, check_feeding, check_inputs, gather
from edgekit_convert.outputs import Conversion, refusal
from edgekit_convert.pictures import Pictures, evenly_spread
from edgekit_convert.profile import Seen, make_profile
from edgekit_convert.progress import Reporter
from edgekit_convert.provenance import make_manifest
from edgekit_convert.quantize.activations import observe
from edgekit_convert.quantize.quantizer import FloatModel, with_io
from edgekit_convert.quantize.recipes import DATA_FREE_RECIPES, RECIPES
from edgekit_convert.quantize.search import CANDIDATES, Found, corrected, search
from edgekit_convert.quantize.structure import check_operators
from edgekit_convert.report.results import Report
from edgekit_convert.request import Request
from edgekit_convert.target.compiler import WHERE_FROM, compile_for_edgetpu, find_compiler
from edgekit_convert.target.memory import Memory, measure_fit
from edgekit_convert.target.metadata import with_metadata
from edgekit_convert.target.preflight import EdgeTpu, preflight
from edgekit_convert.verify.disagreements import find_disagreements
from edgekit_convert.verify.fidelity import Gate, Kind, Stage, find_confusion, judge
from edgekit_convert.verify.ladder import REFERENCE_STAGE, SAMPLE, Ladder
from edgekit_convert.verify.layers import Layer, compare_layers
from edgekit_convert.verify.scoring import scoring
from edgekit_convert.verify.structure import check_structure

_SAMPLED_LAYERS = 8
_THREADS = cores()


def run(request: Request, reporter: Reporter) -> Conversion:
    """Convert.

    Raises:
        FidelityError: the gate refused, or labels contradict the network.
        EdgekitError: anything else, see `edgekit.errors`.
    """
    check_inputs(request)
    # onnx2tf loads TensorFlow while PyTorch is loaded here.
    with lowering() as onnx2tf:
        material = gather(request, reporter)
        ladder = Ladder(material.measured, reporter)
        exported = _export(request, material, onnx2tf, reporter)
        # While onnx2tf is at work.
        feeding = check_feeding(request, material, reporter)
        _measure_exported(request, material, ladder, exported, onnx2tf)
        del exported  # memory
        float_model = _lower(ladder, onnx2tf, reporter)
    found, fitted = _quantize(request, material, float_model, ladder, reporter)
    # All stages are compared before the temperature.
    model = _finish(request, material, found.flatbuffer)
    answers = ladder.measure_int8(model)
    calibrated = _calibrate(request, material, found, ladder, answers, reporter)
    if calibrated.summary.temperature != 1:
        before, model = model, _finish(request, material, calibrated.flatbuffer)
        with reporter.step("checking the calibrated model"):
            check_tempered(
                model, before, calibrated.summary.temperature, material.measured, answers
            )
    profile = _profile(request, material, found, calibrated, fitted, answers, reporter)
    edgetpu, compiled = _compile(request, model, calibrated.summary.temperature, ladder, reporter)
    memory = _measure_memory(request, material, found, reporter)
    layers = _compare_layers(material, found, reporter)
    gate = _judge(request, material, ladder.stages)
    fidelity = Fidelity(
        pictures="evaluation" if material.evaluation else "calibration",
        stages=[stage.figures for stage in ladder.stages],
        loss_allowed=request.allow_loss,
        origin=material.origin,
    )
    disagreements, count = find_disagreements(
        material.measured, material.labels, ladder.reference, answers
    )
    report = Report(
        output="",
        written=gate.passed or gate.overridden,
        architecture=_architecture(model),
        labels=material.labels,
        manifest=make_manifest(
            request, material, found, fidelity, calibrated.summary, profile, feeding.summary, model
        ),
        fidelity=fidelity,
        kinds=[stage.kind for stage in ladder.stages],
        gate=gate,
        candidates=found.candidates,
        layers=layers,
        disagreements=disagreements,
        disagreement_count=count,
        memory=memory,
        edgetpu=edgetpu,
        seconds=reporter.seconds,
        notes=reporter.notes,
        labels_from=material.named.source,
        feeding=feeding.fit,
        confidence=calibrated.curves,
    )
    check_interrupted()
    if not report.written:
        raise refusal(report)
    return Conversion(report, model, compiled, tuple(request.files))


def _export(
    request: Request, material: Material, onnx2tf: Lowering, reporter: Reporter
) -> onnx.ModelProto:
    """The network as ONNX; folded it is given to onnx2tf."""
    trained = material.trained
    height, width = request.geometry.height, request.geometry.width
    with reporter.step("exporting to ONNX"):
        exported = trained.graph or to_onnx(trained.network, height, width)
        folded = fold(exported, request.normalization, height, width, centre=request.on_edgetpu)
    onnx2tf.start(folded, material.calibration.tensors)
    return exported


def _measure_exported(
    request: Request, material: Material, ladder: Ladder, exported: onnx.ModelProto,
    onnx2tf: Lowering,
) -> None:  # fmt: skip
    """Measure the stages up to ONNX, of which the first is what all are compared with."""
    trained = material.trained
    own = material.reference.answer if material.reference else None
    if own is not None:
        ladder.measure(Kind.REFERENCE, REFERENCE_STAGE, own)
    kind = Kind.REFERENCE if own is None else Kind.FLOAT
    ladder.measure(kind, trained.stage, trained.answer)
    _check_reference(request, ladder)
    if trained.network is not exported:
        answer = exported_answer(exported, request.normalization)
        ladder.measure(Kind.FLOAT, "onnx", answer, SAMPLE)
    ladder.measure(Kind.FLOAT, "folded", folded_answer(onnx2tf.given()), SAMPLE)


def _lower(ladder: Ladder, onnx2tf: Lowering, reporter: Reporter) -> bytes:
    """The float32 flatbuffer, measured."""
    with reporter.step("lowering to TFLite with onnx2tf"):
        float_model = rewrite(separate_constants(onnx2tf.result()))
        check_operators(float_model)
    ladder.measure(Kind.FLOAT, "tflite-float", tflite_answer(float_model, _THREADS), SAMPLE)
    return float_model


def _check_reference(request: Request, ladder: Ladder) -> None:
    """Stop, before minutes are lost, where the network and the labels contradict each other."""
    confusion = find_confusion(ladder.stages[0].figures)
    if confusion and not request.allow_loss:
        raise FidelityError(
            f"{confusion}; no model was written; to convert it all the same, pass --allow-loss"
        )


def _quantize(
    request: Request, material: Material, float_model: bytes, ladder: Ladder, reporter: Reporter
) -> tuple[Found, NDArray[np.float32]]:
    """The int8 model, and its logits for the pictures that set its ranges."""
    fitted, held_out = material.fitted.tensors, material.held_out.tensors
    with reporter.step("calibrating", len(fitted)) as advance:
        activations = observe(float_model, fitted, _THREADS, request.seed, advance)
    with reporter.step("searching for the best quantization", CANDIDATES) as advance:
        reference = (
            ladder.reference
            if material.evaluation is None
            else in_batches(material.trained.answer, held_out)
        )
        prepared = FloatModel.prepare(float_model, activations)
        score = scoring(held_out, reference, _THREADS)
        recipes = DATA_FREE_RECIPES if request.calibration is None else RECIPES
        found = search(prepared, recipes, score, advance)
    with reporter.step("correcting the output"):
        return corrected(found, score, tflite_answer(found.flatbuffer, _THREADS)(fitted).logits)


def _calibrate(
    request: Request, material: Material, found: Found, ladder: Ladder, answers: Answers,
    reporter: Reporter,
) -> Calibrated:  # fmt: skip
    """The int8 model whose confidence means what it says, where that could be proven."""
    keep = "--keep-confidence asked for it" if request.keep_confidence else ""
    if not keep and find_confusion(ladder.stages[0].figures):
        keep = "the network and the labels contradict each other"
    with reporter.step("calibrating the confidence"):
        return calibrate(
            found.flatbuffer, answers, material.evaluation, keep=keep, seed=request.seed
        )


def _profile(
    request: Request, material: Material, found: Found, calibrated: Calibrated,
    fitted: NDArray[np.float32], answers: Answers, reporter: Reporter,
) -> Profile | None:  # fmt: skip
    """What pictures and answers look like; pictures that were answered are not answered again.

    Args:
        fitted: logits for the pictures that set ranges.
        answers: to those that fidelity was measured on.
    """

    def seen(pictures: Pictures, logits: NDArray[np.float32]) -> Seen:
        # A temperature leaves the integers as they are.
        whole = integers(found.flatbuffer, logits)
        return Seen(pictures.tensors, answer_integers(calibrated.flatbuffer, whole))

    calibration = evaluation = None
    if material.evaluation is not None:
        evaluation = seen(material.evaluation, answers.logits)
    else:
        fitted = np.concatenate([fitted, answers.logits])
    if request.calibration is not None:
        calibration = seen(material.calibration, fitted)
    return make_profile(calibration, evaluation, reporter)


def _finish(request: Request, material: Material, int8: bytes) -> bytes:
    """The flatbuffer that is written: with the types asked for and its description."""
    trained = material.trained
    model = with_metadata(
        with_io(int8, request.io),
        name=trained.architecture.name if trained.architecture else trained.name,
        description=f"Image classifier converted by edgekit from {trained.name}",
    )
    if trained.architecture is not None:
        check_structure(trained.architecture, model)
    return model


def _compile(
    request: Request, model: bytes, temperature: float, ladder: Ladder, reporter: Reporter
) -> tuple[EdgeTpu, bytes | None]:
    """How the model fits the Edge TPU, and the compiled model where one was asked for."""
    foreseen = preflight(tflite.parse(model))
    if not request.edgetpu:
        return foreseen, None
    with reporter.step("compiling for the Edge TPU"):
        program = find_compiler()
        if program is None:
            return msgspec.structs.replace(foreseen, note=WHERE_FROM), None
        compiled = compile_for_edgetpu(model, program=program)
    if (answer := edgetpu_answer(compiled.flatbuffer)) is not None:
        untempered = without_temperature(answer, temperature)
        ladder.measure(Kind.COMPILED, "edgetpu", untempered, SAMPLE)
    return compiled.finding, compiled.flatbuffer


def _measure_memory(
    request: Request, material: Material, found: Found, reporter: Reporter
) -> Memory:
    height, width = request.geometry.height, request.geometry.width
    with reporter.step("measuring memory"):
        return measure_fit(found.flatbuffer, request.target, material.network, height, width)


def _compare_layers(material: Material, found: Found, reporter: Reporter) -> list[Layer]:
    fitted = material.fitted.tensors
    sample = fitted[evenly_spread(len(fitted), _SAMPLED_LAYERS)]
    with reporter.step("comparing layers"):
        return compare_layers(found.model.flatbuffer, found.flatbuffer, sample, _THREADS)


def _judge(request: Request, material: Material, stages: list[Stage]) -> Gate:
    gate = judge(stages, request.thresholds, held_out=material.evaluation is None)
    overridden = not gate.passed and request.allow_loss
    return msgspec.structs.replace(gate, overridden=overridden)


def _architecture(model: bytes) -> list[str]:
    """What the flatbuffer is, in words; nothing where it is no ResNet."""
    graph = tflite.parse(model)
    network = read_structure(graph)
    return describe(network, graph) if network else []
