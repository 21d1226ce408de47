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

from edgekit.errors import ConversionError, FidelityError, LabelsError
from edgekit.files import check_writable, write_atomically
from edgekit.inference.runtimes import installed_runtimes
from edgekit.model import flatbuffer as tflite
from edgekit.model import structure
from edgekit.model.container import pack
from edgekit.model.geometry import Geometry
from edgekit.model.labels import read_labels
from edgekit.model.manifest import (
    SCHEMA_VERSION,
    Fidelity,
    Manifest,
    Normalization,
    Quantization,
    StageFidelity,
)
from edgekit_convert.answers import (
    Answer,
    Answers,
    edgetpu_answer,
    folded_answer,
    in_batches,
    tflite_answer,
)
from edgekit_convert.graph.export import Lowering, lowering
from edgekit_convert.graph.flatbuffer import separate_constants
from edgekit_convert.graph.fold import fold
from edgekit_convert.pictures import (
    MAX_CALIBRATION,
    Pictures,
    check_disjoint,
    evenly_spread,
    hold_out,
    load_calibration,
    load_evaluation,
)
from edgekit_convert.progress import Reporter
from edgekit_convert.quantize.activations import observe
from edgekit_convert.quantize.quantizer import SCHEME, FloatModel, with_io
from edgekit_convert.quantize.search import CANDIDATES, Found, search
from edgekit_convert.report.findings import Disagreement, EdgeTpu, Memory, Report
from edgekit_convert.report.render import render_html, render_json
from edgekit_convert.target import edgetpu, memory
from edgekit_convert.target.metadata import with_metadata
from edgekit_convert.verify import fidelity
from edgekit_convert.verify.layers import compare_layers
from edgekit_convert.verify.scoring import scoring
from edgekit_convert.weights.architectures import Architecture
from edgekit_convert.weights.original import (
    DISTILLED,
    STEPS,
    Original,
    exported_answer,
    open_onnx,
    open_resnet,
)

_TOOLS = (
    "edgekit", "torch", "torchvision", "onnx", "onnx2tf", "ai-edge-quantizer", "ai-edge-litert",
)  # fmt: skip
# The stages between the original and int8 compute the same function, and so do further runtimes, of
# which one may be twenty times slower: a sample of the pictures shows whether one is broken. The
# original and the first int8 stage answer all of them.
_SAMPLED = 32
_SAMPLED_LAYERS = 8
_SHOWN_DISAGREEMENTS = 24
_THREADS = os.cpu_count() or 1


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
        normalization: what the network was trained with.
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
    normalization: Normalization
    io: str
    target: memory.Target | None
    edgetpu: bool
    thresholds: fidelity.Thresholds
    allow_loss: bool
    seed: int
    output: Path

    @property
    def on_edgetpu(self) -> bool:
        """Whether an Edge TPU is to run the model."""
        return self.edgetpu or (self.target is not None and self.target.edgetpu)


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
        self._reference: Answers | None = None

    @property
    def reference(self) -> Answers:
        """Answers of the first stage to all pictures."""
        assert self._reference is not None
        return self._reference

    def measure(self, name: str, answer: Answer, most: int | None = None) -> Answers:
        """Let a stage answer the pictures, or `most` of them; the first stage is the reference."""
        count = len(self._pictures.tensors)
        chosen = evenly_spread(count, most or count)
        with self._reporter.step(f"measuring {name}", len(chosen)) as advance:
            answers = in_batches(answer, self._pictures.tensors[chosen], advance)
        if not np.isfinite(answers.logits).all():
            raise ConversionError(
                f"stage {name} gives answers that are not finite numbers; check the weights, the "
                "variances of BatchNorm first, or train again"
            )
        if self._reference is None:
            self._reference = answers
        truth = self._pictures.truth
        known = truth[chosen] if truth is not None else None
        self.stages.append(fidelity.compare(name, answers, self._reference.of(chosen), known))
        return answers


@dataclass(frozen=True)
class _Material:
    """What a conversion works on.

    Attributes:
        original: the trained classifier.
        labels: its class names.
        calibration: all pictures that decide how it is quantized.
        fitted: those of them that set ranges.
        held_out: the others, which choose among recipes.
        evaluation: pictures that decide nothing, where there are any.
    """

    original: Original
    labels: list[str]
    calibration: Pictures
    fitted: Pictures
    held_out: Pictures
    evaluation: Pictures | None

    @property
    def measured(self) -> Pictures:
        """The pictures that fidelity is measured on."""
        return self.evaluation or self.held_out


def convert(request: Request, reporter: Reporter) -> Report:
    """Convert, and write a model file with its report.

    Raises:
        FidelityError: the gate refused; the report is written, the model file is not.
        EdgekitError: anything else, see `edgekit.errors`; nothing is written.
    """
    check_writable(request.output)
    # onnx2tf loads TensorFlow while PyTorch is loaded here.
    with lowering() as onnx2tf:
        material = _gather(request, reporter)
        ladder = _Ladder(material.measured, reporter)
        float_model = _lower(request, material, ladder, onnx2tf, reporter)
    found = _quantize(request, material, float_model, ladder, reporter)
    original = material.original
    model = with_metadata(
        with_io(found.flatbuffer, request.io),
        name=original.architecture.name if original.architecture else original.name,
        description=f"Image classifier converted by edgekit from {original.name}",
    )
    if request.architecture is not None:
        check_structure(request.architecture, model)
    answers = _measure_int8(model, ladder)
    graph = tflite.parse(model)
    preflight = edgetpu.preflight(graph)
    compiled = None
    if request.edgetpu:
        with reporter.step("compiling for the Edge TPU"):
            compiled, preflight = _compile(model, preflight)
        if compiled is not None and (answer := edgetpu_answer(compiled)) is not None:
            ladder.measure("edgetpu", answer, _SAMPLED)
    with reporter.step("measuring memory"):
        needed = _measure_memory(request, original, found.flatbuffer)
    with reporter.step("comparing layers"):
        fitted = material.fitted.tensors
        sample = fitted[evenly_spread(len(fitted), _SAMPLED_LAYERS)]
        layers = compare_layers(found.model.flatbuffer, found.flatbuffer, sample, _THREADS)
    measured = Fidelity(
        pictures="evaluation" if material.evaluation else "calibration",
        stages=ladder.stages,
        loss_allowed=request.allow_loss,
    )
    gate = fidelity.judge(measured, request.thresholds)
    if not gate.passed and request.allow_loss:
        gate = msgspec.structs.replace(gate, overridden=True)
    described = structure.read_structure(graph)
    different, count = _disagreements(material, ladder.reference, answers)
    report = Report(
        output=str(request.output),
        written=gate.passed or gate.overridden,
        architecture=structure.describe(described, graph) if described else [],
        labels=material.labels,
        manifest=_manifest(request, material, found, measured, model),
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
    _write(request, report, model, compiled)
    return report


def _gather(request: Request, reporter: Reporter) -> _Material:
    original, labels = _open(request, reporter)
    _check_memory(request, original)
    calibration = _calibration(request, original, reporter)
    evaluation = None
    if request.evaluation is not None:
        with reporter.step("reading evaluation pictures") as advance:
            evaluation = load_evaluation(request.evaluation, labels, request.geometry, advance)
        check_disjoint(calibration, evaluation)
    fitted, held_out = hold_out(calibration, request.seed)
    return _Material(original, labels, calibration, fitted, held_out, evaluation)


def _lower(
    request: Request, material: _Material, ladder: _Ladder, onnx2tf: Lowering, reporter: Reporter
) -> bytes:
    """The float32 flatbuffer; measures the stages up to it."""
    original = material.original
    height, width = request.geometry.height, request.geometry.width
    with reporter.step("exporting to ONNX"):
        exported = original.export(height, width)
        folded = fold(exported, request.normalization, height, width, centre=request.on_edgetpu)
    onnx2tf.start(folded, material.calibration.tensors)
    # Measured while onnx2tf is at work.
    ladder.measure(original.stage, original.answer)
    if original.architecture is not None:
        ladder.measure("onnx", exported_answer(exported, request.normalization), _SAMPLED)
    del exported  # TensorFlow needs the memory
    ladder.measure("folded", folded_answer(folded), _SAMPLED)
    with reporter.step("lowering to TFLite with onnx2tf"):
        float_model = separate_constants(onnx2tf.result())
    ladder.measure("tflite-float", tflite_answer(float_model, _THREADS), _SAMPLED)
    return float_model


def _quantize(
    request: Request,
    material: _Material,
    float_model: bytes,
    ladder: _Ladder,
    reporter: Reporter,
) -> Found:
    fitted, held_out = material.fitted.tensors, material.held_out.tensors
    with reporter.step("calibrating", len(fitted)) as advance:
        activations = observe(float_model, fitted, _THREADS, request.seed, advance)
    with reporter.step("searching for the best quantization", CANDIDATES) as advance:
        reference = (
            ladder.reference
            if material.evaluation is None
            else in_batches(material.original.answer, held_out)
        )
        prepared = FloatModel.prepare(float_model, activations)
        return search(prepared, scoring(held_out, reference, _THREADS), advance)


def _measure_int8(model: bytes, ladder: _Ladder) -> Answers:
    """Answers of the first runtime, which is the device's first choice; measures all."""
    first, *others = installed_runtimes()
    answers = ladder.measure(f"tflite-int8 ({first})", tflite_answer(model, _THREADS, first))
    for runtime in others:
        # Threads of tflite-runtime that wait for each other spin, and gain next to nothing.
        answer = tflite_answer(model, 1, runtime)
        ladder.measure(f"tflite-int8 ({runtime})", answer, _SAMPLED)
    return answers


def _manifest(
    request: Request, material: _Material, found: Found, measured: Fidelity, model: bytes
) -> Manifest:
    original = material.original
    return Manifest(
        schema=SCHEMA_VERSION,
        arch=original.architecture.name if original.architecture else "onnx",
        head=original.head,
        classes=original.classes,
        geometry=request.geometry,
        normalization=request.normalization,
        quantization=_quantization(request, material.calibration, found),
        fidelity=measured,
        flatbuffer_sha256=hashlib.sha256(model).hexdigest(),
        weights=original.name,
        weights_sha256=original.sha256,
        tools=_tools(),
    )


def _write(request: Request, report: Report, model: bytes, compiled: bytes | None) -> None:
    """Write the report and, if the gate lets them pass, the model files."""
    paths = Paths.beside(request.output)
    write_atomically(paths.html, render_html(report).encode())
    write_atomically(paths.json, render_json(report))
    if not report.written:
        older = f" ({paths.model} is from an earlier run)" if paths.model.exists() else ""
        raise FidelityError(
            f"{report.gate.reason}; no model was written{older}, {paths.html} shows why; give "
            "more varied calibration pictures, or accept the loss with --allow-loss"
        )
    if compiled is not None:
        digest = hashlib.sha256(compiled).hexdigest()
        manifest = msgspec.structs.replace(report.manifest, flatbuffer_sha256=digest)
        write_atomically(paths.edgetpu, pack(compiled, manifest, report.labels))
    write_atomically(paths.model, pack(model, report.manifest, report.labels))


def _open(request: Request, reporter: Reporter) -> tuple[Original, list[str]]:
    with reporter.step("loading weights"):
        if request.architecture is None:
            original = open_onnx(Path(request.weights), request.normalization, request.geometry)
        else:
            original = open_resnet(request.architecture, request.weights, request.normalization)
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


def _network(original: Original) -> memory.Network:
    if original.architecture is None:
        return memory.Network(None, original.parameters)
    head = original.parameters - original.architecture.parameters()
    return memory.Network.resnet(original.architecture, head)


def _check_memory(request: Request, original: Original) -> None:
    """Refuse, before any work, what neither the workstation nor the device can hold."""
    height, width = request.geometry.height, request.geometry.width
    network = _network(original)
    need = memory.workstation_need(network.parameters, height, width, pictures=MAX_CALIBRATION)
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


def check_structure(architecture: Architecture, flatbuffer: bytes) -> None:
    """Compare what a flatbuffer computes, by its operators and shapes, with what was asked for.

    Raises:
        ConversionError: it is another network.
    """
    found = structure.read_structure(tflite.parse(flatbuffer))
    name = found.name if found and found.name else "no known ResNet"
    if name != architecture.name:
        raise ConversionError(
            f"the converted graph is {name}, not {architecture.name}; please report this with the "
            "checkpoint's keys"
        )


def _compile(model: bytes, preflight: EdgeTpu) -> tuple[bytes | None, EdgeTpu]:
    program = edgetpu.find_compiler()
    if program is None:
        return None, msgspec.structs.replace(preflight, note=edgetpu.WHERE_FROM)
    compiled = edgetpu.compile_for_edgetpu(model, program=program)
    return compiled.flatbuffer, compiled.finding


def _quantization(request: Request, calibration: Pictures, found: Found) -> Quantization:
    return Quantization(
        **msgspec.structs.asdict(found.recipe),
        scheme=SCHEME,
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
    material: _Material, reference: Answers, answers: Answers
) -> tuple[list[Disagreement], int]:
    """Pictures with another top-1, the surest first, and how many there are in all."""
    pictures, labels = material.measured, material.labels
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
