"""A conversion from a trained classifier to a model file, step by step."""

import hashlib
import os
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from edgekit import structure, tflite
from edgekit.errors import ConversionError, FidelityError, LabelsError
from edgekit.files import check_writable, write_atomically
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
from edgekit.preprocess import Geometry
from edgekit.runtime import installed_runtimes
from edgekit_convert import edgetpu, fidelity, memory
from edgekit_convert.activations import observe
from edgekit_convert.answers import Answer, Answers, folded_answer, onnx_answer, tflite_answer
from edgekit_convert.architectures import Architecture
from edgekit_convert.export import lowering
from edgekit_convert.findings import Disagreement, EdgeTpu, Memory, Report
from edgekit_convert.flatbuffer import separate_constants
from edgekit_convert.fold import fold, picture_input, with_logits
from edgekit_convert.layers import compare_layers
from edgekit_convert.metadata import with_metadata
from edgekit_convert.original import DISTILLED, STEPS, Original, normalise, open_onnx, open_resnet
from edgekit_convert.pictures import (
    Pictures,
    check_disjoint,
    evenly_spread,
    hold_out,
    load_calibration,
    load_evaluation,
)
from edgekit_convert.progress import Reporter
from edgekit_convert.quantize import RECIPE, FloatModel, with_io
from edgekit_convert.report import render_html, render_json
from edgekit_convert.search import CANDIDATES, Found, search

_TOOLS = (
    "edgekit", "torch", "torchvision", "onnx", "onnx2tf", "ai-edge-quantizer", "ai-edge-litert",
)  # fmt: skip
# The stages between the original and int8 compute the same function, so a sample of the pictures
# shows whether one is broken; the two ends answer all of them.
_SAMPLED = 200
# A second runtime may be twenty times slower.
_SAMPLED_ELSEWHERE = 64
_SAMPLED_LAYERS = 16
_SHOWN_DISAGREEMENTS = 24
_BATCH = 16


@dataclass(frozen=True)
class Request:
    """What to convert.

    Attributes:
        architecture: the ResNet; None for an ONNX model.
        weights: `imagenet-v1`, `imagenet-v2`, or the path of a checkpoint; or of the ONNX model.
        classes: file of class names; None for ImageNet's own, or the evaluation folders' names.
        calibration: image folder or video; None for pictures distilled from BatchNorm statistics.
        evaluation: pictures held out from training and calibration, with labels or without.
        geometry: input geometry.
        normalisation: what the network was trained with.
        io: type of input and output: `uint8`, `int8` or `float32`.
        target: the device, where one was named.
        edgetpu: whether to compile for the Edge TPU.
        thresholds: of the fidelity gate.
        allow_loss: write the file although the gate fails.
        seed: of the held-out pictures and of distilled ones.
        output: path of the model file to write.
    """

    architecture: Architecture | None
    weights: str
    classes: Path | None
    calibration: Path | None
    evaluation: Path | None
    geometry: Geometry
    normalisation: Normalisation
    io: str
    target: memory.Target | None
    edgetpu: bool
    thresholds: fidelity.Thresholds
    allow_loss: bool
    seed: int
    output: Path


@dataclass(frozen=True)
class Paths:
    """Files that a conversion writes beside each other."""

    model: Path
    html: Path
    json: Path
    edgetpu: Path

    @classmethod
    def beside(cls, output: Path) -> "Paths":
        """Their names: `x.tflite` gets `x.report.html`, `x.report.json`, `x_edgetpu.tflite`."""
        return cls(
            output,
            output.with_suffix(".report.html"),
            output.with_suffix(".report.json"),
            output.with_name(f"{output.stem}_edgetpu{output.suffix}"),
        )


class _Ladder:
    """The stages measured so far, each beside the original."""

    def __init__(self, pictures: Pictures, reporter: Reporter) -> None:
        self._pictures = pictures
        self._reporter = reporter
        self.stages: list[StageFidelity] = []
        self.reference: Answers | None = None

    def measure(self, name: str, answer: Answer, most: int | None = None) -> Answers:
        """Let a stage answer the pictures, or `most` of them; the first stage is the reference."""
        count = len(self._pictures.tensors)
        chosen = evenly_spread(count, most or count)
        parts = []
        with self._reporter.step(f"measuring {name}", len(chosen)) as advance:
            for start in range(0, len(chosen), _BATCH):
                batch = chosen[start : start + _BATCH]
                parts.append(answer(self._pictures.tensors[batch]))
                advance(len(batch))
        answers = Answers.join(parts)
        if self.reference is None:
            self.reference = answers
        truth = self._pictures.truth
        known = truth[chosen] if truth is not None else None
        self.stages.append(fidelity.compare(name, answers, self.reference.of(chosen), known))
        return answers


def convert(request: Request, reporter: Reporter) -> Report:
    """Convert, and write a model file with its report.

    Raises:
        FidelityError: the gate refused; the report is written, the model file is not.
        EdgekitError: anything else, see `edgekit.errors`; nothing is written.
    """
    paths = Paths.beside(request.output)
    check_writable(request.output)
    original, labels = _open(request, reporter)
    _check_memory(request, original)
    height, width = request.geometry.height, request.geometry.width
    calibration = _calibration(request, original, reporter)
    evaluation = None
    if request.evaluation is not None:
        with reporter.step("reading evaluation pictures") as advance:
            evaluation = load_evaluation(request.evaluation, labels, request.geometry, advance)
        check_disjoint(calibration, evaluation)
    fitted, held_out = hold_out(calibration, request.seed)
    ladder = _Ladder(evaluation or held_out, reporter)
    threads = os.cpu_count() or 1

    with reporter.step("exporting to ONNX"):
        exported = original.export(height, width)
        folded = fold(exported, request.normalisation, height, width, centre=_on_edgetpu(request))
    with lowering(folded, calibration.tensors) as lowered:
        # Measured while onnx2tf is at work.
        reference = ladder.measure(original.stage, original.answer)
        if original.architecture is not None:
            raw = onnx_answer(with_logits(exported), picture_input(exported).tensor)
            ladder.measure("onnx", lambda p: raw(normalise(p, request.normalisation)), _SAMPLED)
        ladder.measure("folded", folded_answer(folded), _SAMPLED)
        with reporter.step("lowering to TFLite with onnx2tf"):
            float_model = separate_constants(lowered.result())
    ladder.measure("tflite-float", tflite_answer(float_model, threads), _SAMPLED)

    with reporter.step("calibrating", len(fitted.tensors)) as advance:
        activations = observe(float_model, fitted.tensors, threads, request.seed, advance)
    with reporter.step("searching for the best quantisation", CANDIDATES) as advance:
        found = search(FloatModel(float_model, activations), held_out.tensors, threads, advance)
    model = with_metadata(
        with_io(found.flatbuffer, request.io),
        name=original.architecture.name if original.architecture else original.name,
        description=f"Image classifier converted by edgekit from {original.name}",
    )
    _check_structure(request, model)
    runtimes = installed_runtimes()
    answers = ladder.measure(f"tflite-int8 ({runtimes[0]})", tflite_answer(model, threads))
    for runtime in runtimes[1:]:
        answer = tflite_answer(model, threads, runtime)
        ladder.measure(f"tflite-int8 ({runtime})", answer, _SAMPLED_ELSEWHERE)

    compiled = None
    preflight = edgetpu.preflight(tflite.parse(model))
    if request.edgetpu:
        with reporter.step("compiling for the Edge TPU"):
            compiled, preflight = _compile(model, preflight)
    with reporter.step("measuring memory"):
        needed = _measure_memory(request, original, found.flatbuffer)
    measured = Fidelity(
        pictures="evaluation" if evaluation else "calibration",
        stages=ladder.stages,
        loss_allowed=request.allow_loss,
    )
    gate = fidelity.judge(measured, request.thresholds)
    if not gate.passed and request.allow_loss:
        gate = msgspec.structs.replace(gate, overridden=True)
    manifest = Manifest(
        schema=SCHEMA_VERSION,
        arch=original.architecture.name if original.architecture else "onnx",
        head=original.head,
        classes=original.classes,
        geometry=request.geometry,
        normalisation=request.normalisation,
        quantisation=_quantisation(request, calibration, found),
        fidelity=measured,
        flatbuffer_sha256=hashlib.sha256(model).hexdigest(),
        weights=original.name,
        weights_sha256=original.sha256,
        tools=_tools(),
    )
    described = structure.read_structure(tflite.parse(model))
    pictures = evaluation or held_out
    different, count = _disagreements(pictures, labels, reference, answers)
    sample = fitted.tensors[evenly_spread(len(fitted.tensors), _SAMPLED_LAYERS)]
    with reporter.step("comparing layers"):
        layers = compare_layers(found.model.flatbuffer, found.flatbuffer, sample, threads)
    report = Report(
        output=str(request.output),
        written=gate.passed or gate.overridden,
        architecture=structure.describe(described, tflite.parse(model)) if described else [],
        labels=labels,
        manifest=manifest,
        fidelity=measured,
        gate=gate,
        candidates=found.candidates,
        layers=layers,
        disagreements=different,
        disagreement_count=count,
        memory=needed,
        edgetpu=preflight,
        seconds=reporter.seconds,
    )
    write_atomically(paths.html, render_html(report).encode())
    write_atomically(paths.json, render_json(report))
    if not report.written:
        raise FidelityError(
            f"{gate.reason}; no model was written, {paths.html} shows why; give more varied "
            "calibration pictures, or accept the loss with --allow-loss"
        )
    if compiled is not None:
        content = _repack(compiled, manifest, labels)
        write_atomically(paths.edgetpu, content)
    write_atomically(paths.model, pack(model, manifest, labels))
    return report


def _open(request: Request, reporter: Reporter) -> tuple[Original, list[str]]:
    with reporter.step("loading weights"):
        if request.architecture is None:
            original = open_onnx(Path(request.weights), request.normalisation, request.geometry)
        else:
            original = open_resnet(request.architecture, request.weights, request.normalisation)
    return original, _labels(request, original)


def _labels(request: Request, original: Original) -> list[str]:
    classes = original.classes
    if request.classes is not None:
        return read_labels(request.classes, classes)
    if original.labels is not None:
        return original.labels
    if request.evaluation is not None and request.evaluation.is_dir():
        names = sorted(child.name for child in request.evaluation.iterdir() if child.is_dir())
        if len(names) == classes:
            return names
    raise LabelsError(
        f"the checkpoint has {classes} classes and no names for them; pass --classes FILE with "
        "one name a line, in the order of training"
    )


def _calibration(request: Request, original: Original, reporter: Reporter) -> Pictures:
    if request.calibration is not None:
        with reporter.step("reading calibration pictures") as advance:
            return load_calibration(request.calibration, request.geometry, advance)
    if original.distil is None:
        raise ConversionError(
            "an ONNX model has no BatchNorm statistics to calibrate from; pass --calibration "
            "with an image folder or a video (100 to 500 varied pictures, no labels needed)"
        )
    height, width = request.geometry.height, request.geometry.width
    with reporter.step("distilling calibration pictures", DISTILLED * STEPS) as advance:
        tensors = original.distil(height, width, request.seed, advance)
    names = [f"distilled {number}" for number in range(len(tensors))]
    return Pictures(tensors, names, hashlib.sha256(tensors.tobytes()).hexdigest())


def _on_edgetpu(request: Request) -> bool:
    return request.edgetpu or (request.target is not None and request.target.edgetpu)


def _network(original: Original) -> memory.Network:
    if original.architecture is None:
        return memory.Network(None, original.parameters)
    head = original.parameters - original.architecture.parameters()
    return memory.Network.resnet(original.architecture, head)


def _check_memory(request: Request, original: Original) -> None:
    """Refuse, before any work, what neither the workstation nor the device can hold."""
    height, width = request.geometry.height, request.geometry.width
    network = _network(original)
    need = memory.workstation_need(network.parameters, height, width, pictures=500)
    memory.check_workstation(need)
    if request.target is not None:
        estimate = memory.estimate(network, height, width)
        memory.check_fits(estimate, request.target, network, height, width)


def _measure_memory(request: Request, original: Original, model: bytes) -> Memory:
    height, width = request.geometry.height, request.geometry.width
    network, target = _network(original), request.target
    measurement = memory.measure(model)
    budget = None
    if target is not None:
        memory.check_fits(measurement.peak_bytes, target, network, height, width)
        if target.memory_bytes is not None:
            budget = memory.budget(target.memory_bytes)
    return Memory(
        target=target.name if target else None,
        budget_bytes=budget,
        estimate_bytes=memory.estimate(network, height, width),
        file_bytes=len(model),
        arena_bytes=measurement.arena_bytes,
        peak_bytes=measurement.peak_bytes,
    )


def _check_structure(request: Request, model: bytes) -> None:
    """Refuse a flatbuffer that is not the architecture asked for."""
    if request.architecture is None:
        return
    found = structure.read_structure(tflite.parse(model))
    if found is None or found.name != request.architecture.name:
        raise ConversionError(
            f"the converted graph is {found.name if found and found.name else 'no known ResNet'}, "
            f"not {request.architecture.name}; please report this with the checkpoint's keys"
        )


def _compile(model: bytes, preflight: EdgeTpu) -> tuple[bytes | None, EdgeTpu]:
    program = edgetpu.find_compiler()
    if program is None:
        return None, msgspec.structs.replace(preflight, note=edgetpu.WHERE_FROM)
    compiled = edgetpu.compile_for_edgetpu(model, program=program)
    return compiled.flatbuffer, compiled.finding


def _repack(compiled: bytes, manifest: Manifest, labels: list[str]) -> bytes:
    digest = hashlib.sha256(compiled).hexdigest()
    return pack(compiled, msgspec.structs.replace(manifest, flatbuffer_sha256=digest), labels)


def _quantisation(request: Request, calibration: Pictures, found: Found) -> Quantisation:
    return Quantisation(
        recipe=RECIPE,
        ranges=found.recipe.ranges,
        equalised=found.recipe.equalise,
        rounding=found.recipe.rounding,
        bias_corrected=found.recipe.correct_bias,
        calibration="pictures" if request.calibration else "data-free",
        images=len(calibration.tensors),
        calibration_sha256=calibration.sha256,
        seed=request.seed,
    )


def _tools() -> dict[str, str]:
    versions = {}
    for name in _TOOLS:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue  # torch, where an ONNX model is converted without it
    return versions


def _disagreements(
    pictures: Pictures, labels: list[str], reference: Answers, answers: Answers
) -> tuple[list[Disagreement], int]:
    """Pictures with another top-1, the surest first, and how many there are in all."""
    exact, rounded = reference.probabilities, answers.probabilities
    before, after = exact.argmax(axis=1), rounded.argmax(axis=1)
    different = np.flatnonzero(before != after)
    order = different[np.argsort(-exact[different, before[different]], kind="stable")]
    found = [
        Disagreement(
            picture=pictures.names[i],
            png=_png(pictures.tensors[i]),
            truth=labels[int(pictures.truth[i])] if pictures.truth is not None else None,
            float_label=labels[int(before[i])],
            float_score=round(float(exact[i, before[i]]), 6),
            int8_label=labels[int(after[i])],
            int8_score=round(float(rounded[i, after[i]]), 6),
        )
        for i in order[:_SHOWN_DISAGREEMENTS]
    ]
    return found, len(different)


def _png(tensor: NDArray[np.uint8]) -> bytes:
    done, encoded = cv2.imencode(".png", cv2.cvtColor(tensor, cv2.COLOR_RGB2BGR))
    assert done
    return bytes(encoded.tobytes())
