"""The page about a model, or two, that were evaluated on labelled pictures."""

from collections.abc import Sequence
from typing import NamedTuple

from edgekit import __version__
from edgekit.offline.confusion import MAX_LABELS, Confusion, confusion
from edgekit.offline.folder_figures import (
    FolderEvaluation,
    Latency,
    ModelFigures,
    worst_classes,
)
from edgekit.offline.statistics import PictureFraction
from edgekit.report.page import TINY, Figure, render

# Classes in the table, and pairs of classes where there are too many for a matrix.
_MAX_CLASSES = 100
_MAX_PAIRS = 40


class _Shown(NamedTuple):
    """A model on the page.

    Attributes:
        letter: `A` or `B`; nothing where there is one model.
        figures: what was measured.
        matrix: of its answers; None where there are too many classes.
        pairs: the classes most often confused, where there is no matrix: truth, answer, number of
            pictures, and fraction of the truth's.
    """

    letter: str
    figures: ModelFigures
    matrix: Confusion | None
    pairs: list[tuple[str, str, int, float]]


def render_folder(result: FolderEvaluation) -> str:
    """The page: one file that runs no script and loads nothing."""
    other = result.comparison.b if result.comparison else None
    met = worst_classes(result)
    of_b = {one.label: one for one in other.classes} if other else {}
    return render(
        __package__,
        "folder.html.j2",
        {
            "result": result,
            "comparison": result.comparison,
            "models": [_shown("A", result), _shown("B", other)] if other else [_shown("", result)],
            "figures": _figures(result),
            "rows": _rows(result, other) if other else [],
            "classes": [(one, of_b.get(one.label)) for one in met[:_MAX_CLASSES]],
            "met": len(met),
            "tiny": TINY,
            "facts": _facts(result),
        },
    )


def _shown(letter: str, figures: ModelFigures) -> _Shown:
    met = {label for pair in figures.counts for label in pair}
    if len(met) <= MAX_LABELS:
        return _Shown(letter, figures, confusion(figures.counts), [])
    images = {one.label: one.recall.count for one in figures.classes}
    wrong = [
        (truth, answer, count, count / images[truth])
        for (truth, answer), count in figures.counts.items()
        if truth != answer
    ]
    return _Shown(
        letter, figures, None, sorted(wrong, key=lambda w: (-w[2], -w[3], w))[:_MAX_PAIRS]
    )


def _figures(result: FolderEvaluation) -> list[Figure]:
    comparison = result.comparison
    if comparison is not None:
        return [
            _figure("A right", result.top1),
            _figure("B right", comparison.b.top1),
            _figure("The same answer", comparison.same),
            Figure(
                "Right alone",
                f"{comparison.only_a_right:,} and {comparison.only_b_right:,}",
                f"A and B; p = {comparison.p_value:.2g}",
            ),
        ]
    shown = [_figure("Right (top-1)", result.top1)]
    if result.top5_means_something:
        shown.append(_figure("Among the best five", result.top5))
    if result.calibration is not None:
        chance = result.calibration.chance_error
        shown.append(
            Figure(
                "Calibration error",
                f"{result.calibration.error:.3f}",
                f"chance alone makes {chance:.3f}",
            )
        )
    latency = result.latency
    spread = f"{latency.low:.1f}–{latency.high:.1f} for nine pictures in ten"
    return [*shown, Figure("Latency, median", f"{latency.median:.1f} ms", spread)]


def _rows(a: ModelFigures, b: ModelFigures) -> list[tuple[str, str, str]]:
    """What there is to know about both models: a name, of A, of B."""
    columns = []
    for one in (a, b):
        curve = one.calibration
        columns.append(
            {
                "File": one.model,
                "SHA-256": one.sha256,
                "Runtime": f"{one.runtime} on {one.accelerator}",
                "Right (top-1)": f"{one.top1} ({one.top1.spread})",
                "Among the best five": f"{one.top5} ({one.top5.spread})",
                "Calibration in the file": str(one.confidence) if one.confidence else "–",
                "Mean confidence": f"{curve.confidence:.3f}" if curve else "–",
                "Calibration error": f"{curve.error:.3f}" if curve else "–",
                "… of chance alone": f"{curve.chance_error:.3f}" if curve else "–",
                "Negative log-likelihood": f"{curve.nll:.3f}" if curve else "–",
                "Latency, median": _milliseconds(one.latency),
            }
        )
    if not a.top5_means_something:
        for column in columns:
            del column["Among the best five"]
    of_a, of_b = columns
    if not (a.confidence or b.confidence):
        del of_a["Calibration in the file"], of_b["Calibration in the file"]
    return [(name, of_a[name], of_b[name]) for name in of_a]


def _facts(result: FolderEvaluation) -> dict[str, str]:
    models: Sequence[tuple[str, ModelFigures]] = [("Model", result)]
    if result.comparison is not None:
        models = [("A", result), ("B", result.comparison.b)]
    facts = {name: f"{one.model}, SHA-256 {one.sha256}" for name, one in models}
    if result.comparison is None and result.confidence is not None:
        facts["Calibration in the file"] = str(result.confidence)
    facts["Runtime"] = ", ".join(
        dict.fromkeys(f"{one.runtime} on {one.accelerator}" for _, one in models)
    )
    speed = result.top1.count / result.seconds if result.seconds else 0.0
    facts["Took"] = f"{result.seconds:.1f} s, {speed:.0f} pictures a second"
    facts["Made"] = f"{result.made} by edgekit {__version__}"
    return {**facts, "Notes": "; ".join(result.notes)} if result.notes else facts


def _figure(name: str, fraction: PictureFraction) -> Figure:
    low, high = fraction.interval()
    note = f"95% interval {100 * low:.1f}–{100 * high:.1f}%"
    return Figure(name, str(fraction), note)


def _milliseconds(latency: Latency) -> str:
    return f"{latency.median:.1f} ms ({latency.low:.1f}–{latency.high:.1f})"
