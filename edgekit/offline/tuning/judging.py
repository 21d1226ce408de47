"""Events of many settings at once, judged as `edgekit evaluate` judges them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgekit.model.decision import DecisionSettings
from edgekit.offline.tuning.replay import in_parts
from edgekit.offline.tuning.scores import UNDECIDED, Scores


@dataclass(frozen=True)
class Outcomes:
    """What comes of some settings, in parts of the recordings.

    Of an answer counts when it begins: it belongs to the part in which it does, and so does an
    interval of the truth.

    Attributes:
        delays: (settings, events) float64, seconds until each interval of the truth was answered;
            NaN where it never was.
        part_of: (events,) the part of each.
        answers: (settings, parts) decided labels, apart from `unknown`, that overlap a judged time.
        right: (settings, parts) those of them that overlap an interval of the same label.
        repeated: (settings, parts) right ones that tell nothing new: each interval that they
            overlap had been answered before.
    """

    delays: NDArray[np.float64]
    part_of: NDArray[np.int64]
    answers: NDArray[np.int64]
    right: NDArray[np.int64]
    repeated: NDArray[np.int64]

    @property
    def false(self) -> NDArray[np.int64]:
        """(settings, parts) answers that were wrong."""
        return self.answers - self.right

    @property
    def parts(self) -> int:
        """Their number."""
        return self.answers.shape[1]

    def per_part(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """(settings, parts) sums of what is known for each event, (settings, events)."""
        there = self.part_of[:, None] == np.arange(self.parts)
        return np.asarray(values @ there.astype(np.float64))

    def of(self, settings: NDArray[np.intp] | Sequence[int] | slice) -> "Outcomes":
        """Those of some settings only."""
        return Outcomes(
            self.delays[settings], self.part_of, self.answers[settings], self.right[settings],
            self.repeated[settings],
        )  # fmt: skip


def judge(scores: Scores, settings: Sequence[DecisionSettings], cuts: Sequence[int]) -> Outcomes:
    """Replay settings on a recording, and judge what they answer.

    Args:
        scores: of the recording.
        settings: to be tried.
        cuts: first frames of its parts but the first.
    """
    shape = (len(settings), len(cuts) + 1)
    result = Outcomes(
        np.full((len(settings), len(scores.events)), np.nan),
        np.searchsorted(cuts, [event.start for event in scores.events], side="right"),
        *(np.zeros(shape, np.int64) for _ in range(3)),
    )
    part_of = np.searchsorted(cuts, np.arange(scores.frames), side="right")
    for place, decided in in_parts(scores, settings):
        _judge(scores, decided, part_of, result.of(place))
    return result


def _judge(
    scores: Scores, decided: NDArray[np.int16], part_of: NDArray[np.int64], result: Outcomes
) -> None:
    """Fill in the outcomes of some settings."""
    truth = scores.truth()
    right = decided == truth
    new = np.zeros_like(right)
    number = np.arange(len(decided))
    for place, event in enumerate(scores.events):
        inside = right[:, event.start : event.end]
        first, found = event.start + inside.argmax(axis=1), inside.any(axis=1)
        delays = scores.times[first] - scores.times[event.start]
        result.delays[:, place] = np.where(found, delays, np.nan)
        new[number[found], first[found]] = True
    judged = np.zeros(scores.frames, np.bool_)
    for event in scores.events:
        judged[event.start : event.end] = True
    # All settings in one row, cut where an answer begins.
    begins = np.ones_like(right)
    begins[:, 1:] = decided[:, 1:] != decided[:, :-1]
    starts = np.flatnonzero(begins)
    said = decided.ravel()[starts] != UNDECIDED

    def any_of(flags: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Whether it is true of some frame of an answer."""
        return np.logical_or.reduceat(flags.ravel(), starts)

    was_judged = said & any_of(np.broadcast_to(judged, right.shape))
    was_right = was_judged & any_of(right)
    row, frame = np.divmod(starts, scores.frames)
    where = row * result.parts + part_of[frame]
    for counts, counted in (
        (result.answers, was_judged),
        (result.right, was_right),
        (result.repeated, was_right & ~any_of(new)),
    ):
        counts += np.bincount(where[counted], minlength=counts.size).reshape(counts.shape)


def together(outcomes: Sequence[Outcomes]) -> Outcomes:
    """Outcomes of the same settings on several recordings, one after another."""
    shifts = np.cumsum([0, *(one.parts for one in outcomes)])
    return Outcomes(
        np.concatenate([one.delays for one in outcomes], axis=1),
        np.concatenate([one.part_of + shift for one, shift in zip(outcomes, shifts, strict=False)]),
        np.concatenate([one.answers for one in outcomes], axis=1),
        np.concatenate([one.right for one in outcomes], axis=1),
        np.concatenate([one.repeated for one in outcomes], axis=1),
    )
