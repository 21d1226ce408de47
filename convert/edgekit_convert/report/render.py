"""The report of a conversion: a page for people, and JSON for programs."""

import math
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import msgspec

from edgekit.model.manifest import StageFidelity
from edgekit.offline.calibration import Calibration
from edgekit.report.page import TINY, Figure, render
from edgekit.text import percent
from edgekit_convert.confidence.calibrate import Curves
from edgekit_convert.feeding.check import Fit
from edgekit_convert.report.figures import FILTERS, decibels, size
from edgekit_convert.report.results import Report
from edgekit_convert.target.memory import Memory
from edgekit_convert.target.preflight import Refusal
from edgekit_convert.verify.disagreements import Disagreement
from edgekit_convert.verify.fidelity import FLOAT_AGREEMENT, FLOAT_SNR_DB, Kind, find_loss
from edgekit_convert.verify.layers import Layer

_WORST = 5
_LONGEST_NAME = 24  # characters beside the plot, which a phone still shows
_ROW = 18  # pixels a layer in the plot
_AXIS = 24  # pixels above the first layer
_TICKS = 6
_MANY_ROWS = 40  # with more, the axis stands below the plot as well
_LEAST_DIVERGENCE = 0.001  # nats; the left end of the plot


@dataclass(frozen=True)
class _Verdict:
    """What became of the file: `kind` for the style sheet, the rest for the reader."""

    kind: str
    words: str
    outcome: str
    consequence: str


@dataclass(frozen=True)
class _Stage:
    """A rung of the ladder, and whether it alone would have made the gate refuse."""

    figures: StageFidelity
    reference: bool
    sample: bool
    broken: bool
    compiled: bool


@dataclass(frozen=True)
class _Point:
    """A layer in a plot; x in percent of the plot's width, y in pixels."""

    name: str
    value: str
    x: float
    y: int
    worst: bool


@dataclass(frozen=True)
class _Tick:
    """A line across a plot, x in percent of its width; a strong one is what to look at."""

    x: float
    text: str
    strong: bool


@dataclass(frozen=True)
class _Plot:
    """Values from left to right, layers from top to bottom.

    Only the layers' number decides the height, and x is in percent, so that names keep their size
    on a phone.
    """

    points: list[_Point]
    ticks: list[_Tick]
    top: int
    bottom: int
    height: int
    name_width: int


@dataclass(frozen=True)
class _Bar:
    """Positions along the memory bar, in percent of its length."""

    arena: float
    peak: float
    estimate: float
    budget: float | None
    over: bool


@dataclass(frozen=True)
class _RefusedOperators:
    """Operators that the same rule keeps off the Edge TPU."""

    operator: str
    reason: str
    positions: list[int]


def render_html(report: Report) -> str:
    """The page: one file that runs no script and loads nothing; for screen, phone and paper."""
    return render(
        __package__,
        "report.html.j2",
        {
            "report": report,
            "manifest": report.manifest,
            "quantization": report.manifest.quantization,
            "file_name": PurePath(report.output).name or report.manifest.weights,
            "verdict": _verdict(report),
            "figures": _figures(report),
            "float_agreement": FLOAT_AGREEMENT,
            "float_snr_db": FLOAT_SNR_DB,
            "stages": _stages(report),
            "origin": report.fidelity.origin,
            "chosen": next((one for one in report.candidates if one.chosen), None),
            "data_free": report.manifest.quantization.calibration == "data-free",
            "unseen": report.fidelity.pictures == "evaluation",
            "plot": _plot(report.layers) if report.layers else None,
            "feeding": report.manifest.feeding,
            "feeding_plot": _feeding_plot(report.feeding, report.manifest.feeding.allowed or 0)
            if report.feeding and report.manifest.feeding
            else None,
            "worst": _worst(report.layers),
            "tiny": TINY,
            "right": _right(report.disagreements),
            "answered": _answered(report),
            "confidence": report.manifest.confidence,
            "bar": _bar(report.memory),
            "refused": _grouped(report.edgetpu.refusals),
        },
        FILTERS,
    )


def render_json(report: Report) -> bytes:
    """The report as indented JSON, every key always present, without the pictures themselves."""
    return msgspec.json.format(msgspec.json.encode(_plain(report)), indent=2) + b"\n"


def _plain(value: Any) -> Any:
    # msgspec would leave out what a manifest has at its default, and keep the PNG files.
    if isinstance(value, msgspec.Struct):
        fields = msgspec.structs.fields(value)
        return {f.encode_name: _plain(getattr(value, f.name)) for f in fields if f.name != "png"}
    if isinstance(value, Calibration):
        return value.summary()
    if isinstance(value, Curves):
        return {"before": _plain(value.before), "after": _plain(value.after)}
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _verdict(report: Report) -> _Verdict:
    gate = report.gate
    outcome = f"{'passed' if gate.passed else 'failed'} the fidelity gate: {gate.reason}."
    if not report.written:
        return _Verdict("refused", "Refused", outcome, "No model file was written.")
    if not report.output:
        return _Verdict("written", "Converted", outcome, "The model file is not saved yet.")
    if gate.passed:
        return _Verdict("written", "Written", outcome, "")
    return _Verdict(
        "overridden", "Written although refused", outcome, "--allow-loss wrote it all the same."
    )


def _int8_stage(report: Report) -> StageFidelity | None:
    """The stage that tells what the file does; other runtimes, behind it, answer fewer pictures."""
    return next((one.figures for one in report.stages if one.kind is Kind.INT8), None)


def _figures(report: Report) -> list[Figure]:
    found = []
    stages, int8 = report.fidelity.stages, _int8_stage(report)
    if int8 is not None:
        note = f"on {int8.images:,} pictures"
        found.append(Figure("Top-1 agreement", percent(int8.agreement, 2), note))
        if int8.top1 is not None and stages[0].top1 is not None:
            note = f"{percent(stages[0].top1, 2)} in {stages[0].stage}"
            found.append(Figure("Top-1 accuracy", percent(int8.top1, 2), note))
        note = f"beside {stages[0].stage}"
        found.append(Figure("SNR of the logits", decibels(int8.snr_db, " dB"), note))
    note = f"file {size(report.memory.file_bytes)}"
    found.append(Figure("Peak memory", size(report.memory.peak_bytes), note))
    tpu = report.edgetpu
    if tpu.operators:
        found.append(Figure("Edge TPU", f"{tpu.mapped} of {tpu.operators}", "operators mapped"))
    return found


def _stages(report: Report) -> list[_Stage]:
    stages = report.stages
    all_pictures = max((stage.figures.images for stage in stages), default=0)
    thresholds = report.gate.thresholds
    held_out = report.fidelity.pictures == "calibration"
    found = []
    for stage in stages:
        figures, first = stage.figures, stages[0].figures
        reference = figures is first
        # The gate names only the first stage that breaks.
        broken = not reference and bool(find_loss(stage, first, thresholds, held_out=held_out))
        sample, compiled = figures.images < all_pictures, stage.kind is Kind.COMPILED
        found.append(_Stage(figures, reference, sample, broken, compiled))
    return found


def _worst(layers: list[Layer]) -> list[Layer]:
    """The layers with the least signal-to-noise ratio: five, or half of a small network."""
    return sorted(layers, key=lambda one: one.snr_db)[: min(_WORST, (len(layers) + 1) // 2)]


def _plot(layers: list[Layer]) -> _Plot:
    """Signal-to-noise ratios."""
    ratios = [layer.snr_db for layer in layers]
    lowest, highest = min(0.0, *ratios), max(10.0, *ratios)
    step = _step((highest - lowest) / _TICKS)
    first, last = math.floor(lowest / step), math.ceil(highest / step)

    def place(ratio: float) -> float:
        return round(100 * (ratio / step - first) / (last - first), 2)

    worst = _worst(layers)
    ticks = [
        _Tick(place(number * step), str(number * step).replace("-", "\u2212"), number == 0)
        for number in range(first, last + 1)
    ]
    rows = [
        (layer.name, decibels(layer.snr_db), place(layer.snr_db), layer in worst)
        for layer in layers
    ]
    return _drawn(rows, ticks)


def _feeding_plot(fit: Fit, allowed: float) -> _Plot:
    """Divergences, on a scale of decades."""
    least = math.floor(math.log10(_LEAST_DIVERGENCE))
    most = max(0, *(math.ceil(math.log10(max(one, 1e-12))) for one in fit.divergences))

    def place(divergence: float) -> float:
        decades = math.log10(max(divergence, _LEAST_DIVERGENCE)) - least
        return round(100 * decades / (most - least), 2)

    ticks = [
        _Tick(place(10.0**power), f"{10.0**power:g}", False) for power in range(least, most + 1)
    ]
    rows = [
        (name, _short(one), place(one), one > allowed)
        for name, one in zip(fit.layers, fit.divergences, strict=True)
    ]
    return _drawn(rows, [*ticks, _Tick(place(allowed), "", True)])


def _short(divergence: float) -> str:
    """In the few characters that a plot has beside it."""
    if divergence < _LEAST_DIVERGENCE:
        return f"<{_LEAST_DIVERGENCE}"
    return f"{divergence:.{3 if divergence < 1 else 1 if divergence < 100 else 0}f}"


def _drawn(rows: list[tuple[str, str, float, bool]], ticks: list[_Tick]) -> _Plot:
    """A plot of layers: name, value as text, x in percent, and whether it is one of the worst."""
    points = [
        _Point(_shortened(name), value, x, _AXIS + _ROW * row + _ROW // 2, worst)
        for row, (name, value, x, worst) in enumerate(rows)
    ]
    bottom = _AXIS + _ROW * len(rows)
    height = bottom + (_AXIS if len(rows) > _MANY_ROWS else 0)
    return _Plot(points, ticks, _AXIS, bottom, height, max(len(point.name) for point in points))


def _step(least: float) -> int:
    """The smallest round number of decibels between two ticks."""
    decade = 1
    while True:
        for digit in (1, 2, 5):
            if digit * decade >= least:
                return digit * decade
        decade *= 10


def _shortened(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def _right(disagreements: list[Disagreement]) -> tuple[int, int, int] | None:
    """How often float was right, int8 was, and neither; None without labels."""
    known = [one for one in disagreements if one.truth is not None]
    exact = sum(one.float_label == one.truth for one in known)
    rounded = sum(one.int8_label == one.truth for one in known)
    # Not the rest: ImageNet has two classes called crane, so both answers may read like the truth.
    neither = sum(one.truth not in (one.float_label, one.int8_label) for one in known)
    return (exact, rounded, neither) if known else None


def _answered(report: Report) -> int | None:
    """Number of pictures that the int8 model answered."""
    int8 = _int8_stage(report)
    return int8.images if int8 else None


def _bar(memory: Memory) -> _Bar:
    budget = memory.budget_bytes
    full = max(memory.peak_bytes, memory.estimate_bytes, budget or 0, 1)
    return _Bar(
        arena=round(100 * memory.arena_bytes / full, 2),
        peak=round(100 * memory.peak_bytes / full, 2),
        estimate=round(100 * memory.estimate_bytes / full, 2),
        budget=None if budget is None else round(100 * budget / full, 2),
        over=budget is not None and memory.peak_bytes > budget,
    )


def _grouped(refusals: list[Refusal]) -> list[_RefusedOperators]:
    """One entry for each operator and rule: a whole graph may break the same one."""
    found: dict[tuple[str, str], list[int]] = {}
    for refusal in refusals:
        found.setdefault((refusal.operator, refusal.reason), []).append(refusal.position)
    return [_RefusedOperators(*key, positions) for key, positions in found.items()]
