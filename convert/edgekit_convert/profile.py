"""What the pictures of a conversion, and the finished model's answers to them, look like."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekit.inference.figures import answer_figures, picture_figures
from edgekit.model.profile import (
    ANSWER_FIGURES,
    PICTURE_FIGURES,
    QUANTILES,
    Profile,
    Reference,
    Source,
)
from edgekit_convert.progress import Reporter

# Of fewer pictures the outermost 5 % are none.
MINIMUM = 20
# Enough for any figure, and short in the manifest.
_DECIMALS = 5


class Seen(NamedTuple):
    """Real pictures of a conversion.

    Attributes:
        pictures: (N, H, W, 3) uint8.
        answers: the finished model's probabilities (M, classes) for all or most of them.
    """

    pictures: NDArray[np.uint8]
    answers: NDArray[np.float32]


def make_profile(
    calibration: Seen | None, evaluation: Seen | None, reporter: Reporter
) -> Profile | None:
    """The profile of a finished model; none, which is told, where there are too few pictures.

    Answers are to evaluation pictures where there are enough of them: a network was often trained
    on those that it is calibrated with, and is surer of them than it will be of others.

    Args:
        calibration: none where they were distilled, which look like nothing that a camera sees.
        evaluation: pictures that decide nothing, where there are any.
        reporter: is told of the step.
    """
    named: list[tuple[Source, Seen | None]] = [
        ("calibration", calibration),
        ("evaluation", evaluation),
    ]
    real = [(source, seen) for source, seen in named if seen is not None]
    enough = [part for part in real if len(part[1].pictures) >= MINIMUM]
    if not enough:
        reporter.note(
            f"drift will not be noticed: {MINIMUM} calibration or evaluation pictures at least "
            "tell what usual ones look like"
        )
        return None
    seen_in: Source = real[0][0] if len(real) == 1 else "calibration and evaluation"
    looks = (picture_figures(one[None]) for _, seen in real for one in seen.pictures)
    answered_in, answered = enough[-1]
    with reporter.step("profiling pictures and answers"):
        return Profile(
            pictures=_reference(seen_in, PICTURE_FIGURES, looks),
            answers=_reference(answered_in, ANSWER_FIGURES, map(answer_figures, answered.answers)),
        )


def _reference(
    source: Source, names: Sequence[str], rows: Iterable[tuple[float, ...]]
) -> Reference:
    """Quantiles over pictures, of each of which a row has the figures `names`."""
    table = np.array(list(rows))
    quantiles = np.quantile(table, np.linspace(0, 1, QUANTILES), axis=0).round(_DECIMALS)
    figures = {name: column.tolist() for name, column in zip(names, quantiles.T, strict=True)}
    return Reference(images=len(table), source=source, figures=figures)
