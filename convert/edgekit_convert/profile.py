"""What the pictures of a conversion, and the finished model's answers to them, look like."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from edgekit.child import cores
from edgekit.inference.figures import answer_figures, picture_figures
from edgekit.inference.interpreter import Interpreter
from edgekit.model.profile import (
    ANSWER_FIGURES,
    PICTURE_FIGURES,
    QUANTILES,
    Profile,
    Reference,
    Source,
)
from edgekit_convert.pictures import Pictures, evenly_spread
from edgekit_convert.progress import Advance, Reporter

# Of fewer pictures the outermost 5 % are none.
MINIMUM = 20
# Answers to so many tell low quantiles well enough; each takes tens of milliseconds.
MAXIMUM_ANSWERED = 500
# Enough for any figure, and short in the manifest.
_DECIMALS = 5
_THREADS = cores()


def make_profile(
    model: bytes, calibration: Pictures | None, evaluation: Pictures | None, reporter: Reporter
) -> Profile | None:
    """The profile of a finished model; none, which is told, where there are too few pictures.

    Answers are to evaluation pictures where there are enough of them: a network was often trained
    on those that it is calibrated with, and is surer of them than it will be of others.

    Args:
        model: the flatbuffer that is written.
        calibration: none where they were distilled, which look like nothing that a camera sees.
        evaluation: pictures that decide nothing, where there are any.
        reporter: is told of the step.
    """
    named: list[tuple[Source, Pictures | None]] = [
        ("calibration", calibration),
        ("evaluation", evaluation),
    ]
    real = [(source, pictures.tensors) for source, pictures in named if pictures is not None]
    enough = [part for part in real if len(part[1]) >= MINIMUM]
    if not enough:
        reporter.note(
            f"drift will not be noticed: {MINIMUM} calibration or evaluation pictures at least "
            "tell what usual ones look like"
        )
        return None
    seen_in: Source = real[0][0] if len(real) == 1 else "calibration and evaluation"
    seen = (picture_figures(one[None]) for _, tensors in real for one in tensors)
    answered_in, tensors = enough[-1]
    tensors = tensors[evenly_spread(len(tensors), MAXIMUM_ANSWERED)]
    with reporter.step("profiling pictures and answers", len(tensors)) as advance:
        return Profile(
            pictures=_reference(seen_in, PICTURE_FIGURES, seen),
            answers=_reference(answered_in, ANSWER_FIGURES, _answers(model, tensors, advance)),
        )


def _answers(
    model: bytes, tensors: NDArray[np.uint8], advance: Advance
) -> Iterator[tuple[float, ...]]:
    interpreter = Interpreter(model, threads=_THREADS)
    for one in tensors:
        yield answer_figures(interpreter.answer(one[None]))
        advance(1)


def _reference(
    source: Source, names: Sequence[str], rows: Iterable[tuple[float, ...]]
) -> Reference:
    """Quantiles over pictures, of each of which a row has the figures `names`."""
    table = np.array(list(rows))
    quantiles = np.quantile(table, np.linspace(0, 1, QUANTILES), axis=0).round(_DECIMALS)
    figures = {name: column.tolist() for name, column in zip(names, quantiles.T, strict=True)}
    return Reference(images=len(table), source=source, figures=figures)
