"""An evaluation of labelled pictures as a terminal shows it."""

from collections.abc import Iterator

from edgekit.offline.calibration import in_lines
from edgekit.offline.folder_figures import (
    ClassFigures,
    FolderEvaluation,
    ModelFigures,
    worst_classes,
)
from edgekit.offline.statistics import PictureFraction, in_words
from edgekit.text import one_line, percent

# Classes in the table, and letters of a name.
_MAX_CLASSES = 20
_MAX_LABEL = 60


def table(result: FolderEvaluation) -> str:
    """Its figures, and the worst classes; names stand last, however wide their letters are."""
    return "\n".join(_lines(result))


def _lines(result: FolderEvaluation) -> Iterator[str]:
    comparison = result.comparison
    yield f"images      {result.top1.count}"
    if comparison is None:
        yield from _model(result)
    else:
        for letter, one in (("A", result), ("B", comparison.b)):
            yield f"\n{letter}           {one.model} ({one.sha256[:12]})"
            yield from _model(one)
        yield f"\nagreement   {_in_words(comparison.same)}"
        yield (
            f"right       both {comparison.both_right}, A alone {comparison.only_a_right}, "
            f"B alone {comparison.only_b_right}, neither {comparison.none_right}; "
            f"p = {comparison.p_value:.2g} (McNemar's exact test)"
        )
    yield ""
    yield from _classes(result)


def _model(figures: ModelFigures) -> Iterator[str]:
    yield f"top-1       {_in_words(figures.top1)}"
    if figures.top5_means_something:
        yield f"top-5       {_in_words(figures.top5)}"
    latency = figures.latency
    yield (
        f"latency     {latency.median:.2f} ms a picture, median; {latency.low:.2f} to "
        f"{latency.high:.2f} for nine in ten ({figures.runtime} on {figures.accelerator})"
    )
    yield from in_lines(figures.calibration, figures.uncalibrated, figures.confidence)


def _classes(result: FolderEvaluation) -> Iterator[str]:
    other = result.comparison.b if result.comparison else None
    met = worst_classes(result)
    of_b = {one.label: one for one in other.classes} if other else {}
    one_model = "  recall  interval  answers  precision  interval"
    yield f"images{one_model}  class" if other is None else "images   recall A, B       class"
    for one in met[:_MAX_CLASSES]:
        label = one_line(one.label, _MAX_LABEL)
        if other is None:
            yield f"{one.recall.count:>6}{_class(one)}  {label}"
        else:
            recalls = f"{one.recall!s:>7}  {of_b[one.label].recall!s:>7}"
            yield f"{one.recall.count:>6}  {recalls}  {label}"
    if len(met) > _MAX_CLASSES:
        yield (
            f"the {_MAX_CLASSES} of {len(met)} classes with the worst recall; --report shows more, "
            "--json all"
        )


def _class(one: ClassFigures) -> str:
    return (
        f"  {one.recall!s:>6}  {one.recall.spread or '–':>8}  {one.precision.count:>7}"
        f"  {one.precision!s:>9}  {one.precision.spread or '–':>8}"
    )


def _in_words(fraction: PictureFraction) -> str:
    return f"{percent(fraction.value or 0.0, 2)} ({in_words(fraction.interval())})"
