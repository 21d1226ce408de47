"""A recording's scores, computed once: what every decision needs to know of it."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekit.inference.events import UNKNOWN
from edgekit.offline.player import Played
from edgekit.offline.timeline import span_of
from edgekit.offline.truth import Course, Interval, Truth

# What is never decided: no class, and a class that no setting decides.
UNDECIDED, NEVER = -1, -2
# Frames whose scores are kept together; of many classes, without those that nothing speaks for.
_BLOCK = 1024
_FEW_CLASSES = 64
# An average may be rounded to more than what it is of.
_ROUNDING = 1e-6
# A score that counts as 0 where it is not exceeded in a block; below the step of 8-bit outputs.
NEGLIGIBLE = 0.001


class Event(NamedTuple):
    """An interval of the truth in which frames lie.

    Attributes:
        interval: what the truth says.
        label: its class among `Scores.labels`, `UNDECIDED` for `unknown`, or `NEVER`.
        start, end: its frames, the end excluded.
    """

    interval: Interval
    label: int
    start: int
    end: int


@dataclass(frozen=True)
class Scores:
    """What is kept of a recording.

    Attributes:
        name: of the recording.
        labels: classes that can be decided at all, see `gather`.
        scores: (frames, labels) float32, the model's own.
        times: (frames,) float64, seconds.
        fresh: (frames,) bool, whether the decision begins afresh: at the start, and where frames
            were left out.
        events: intervals of the truth, in order.
        span: seconds of the recording.
        unseen: how many intervals of the truth lie behind its end.
        rounded: whether scores below `NEGLIGIBLE` were taken for 0 somewhere.
        right, by_chance: fraction of the judged frames that the model alone answers right, and the
            one that as many of the same answers would have by chance.
        answers: labels that are the model's own best class of some frame.
        digest: of all scores; equal for a recording and its copy.
    """

    name: str
    labels: list[str]
    scores: NDArray[np.float32]
    times: NDArray[np.float64]
    fresh: NDArray[np.bool_]
    events: list[Event]
    span: float
    unseen: int
    rounded: bool
    right: float
    by_chance: float
    answers: frozenset[str]
    digest: bytes

    @property
    def frames(self) -> int:
        """Their number."""
        return len(self.times)

    @property
    def judged(self) -> int:
        """How many frames lie in an interval."""
        return sum(event.end - event.start for event in self.events)

    def truth(self) -> NDArray[np.int16]:
        """(frames,) the class that is right; one that is never decided where it is not judged."""
        truth = np.full(self.frames, NEVER, np.int16)
        for event in self.events:
            truth[event.start : event.end] = event.label
        return truth


def gather(
    name: str,
    played: Iterable[Played],
    truth: Truth,
    labels: list[str],
    ignored: frozenset[str],
    lowest: float,
) -> Scores:
    """Take the scores of a recording's frames, and where the truth's intervals lie among them.

    Kept are the classes that reach `lowest` in some frame and are not ignored: an average of
    scores reaches no threshold that none of them reaches, so that no other class is ever decided.

    Args:
        name: of the recording.
        played: its frames, in order.
        truth: what it shows.
        labels: the model's classes.
        ignored: those that are never decided.
        lowest: smallest threshold from which any setting takes a label.

    Raises:
        InferenceError: the interpreter failed.
    """
    course, kept = Course(truth), _Kept(len(labels))
    times: list[float] = []
    stretches: list[int] = []
    best: list[int] = []
    spans: list[tuple[Interval, int, int]] = []
    for number, one in enumerate(played):
        times.append(one.frame.time)
        stretches.append(one.frame.stretch)
        best.append(int(one.result.scores.argmax()))
        kept.add(one.result.scores)
        interval = course.at(one.frame)
        if interval is not None:
            if spans and spans[-1][0] is interval:
                spans[-1] = (interval, spans[-1][1], number + 1)
            else:
                spans.append((interval, number, number + 1))
    columns = [
        column
        for column, label in enumerate(labels)
        if label not in ignored and kept.highest[column] >= lowest - _ROUNDING
    ]
    names = [labels[column] for column in columns]
    place = {UNKNOWN: UNDECIDED} | {label: index for index, label in enumerate(names)}
    events = [
        Event(interval, place.get(interval.label, NEVER), start, end)
        for interval, start, end in spans
    ]
    stretch = np.array(stretches, np.int64)
    right, by_chance = _agreement(best, spans, labels)
    return Scores(
        name=name,
        labels=names,
        scores=kept.columns(columns),
        times=np.array(times, np.float64),
        fresh=np.diff(stretch, prepend=stretch[:1] - 1) != 0,
        events=events,
        span=span_of(len(times), times[0], times[-1]) if times else 0.0,
        unseen=len(truth.intervals) - len(events),
        rounded=kept.rounded,
        right=right,
        by_chance=by_chance,
        answers=frozenset(labels[index] for index in set(best)),
        digest=kept.digest,
    )


class _Kept:
    """Scores in blocks of frames, each with the classes that have any there."""

    def __init__(self, classes: int) -> None:
        self.highest = np.zeros(classes, np.float32)
        self.rounded = False
        self._blocks: list[tuple[NDArray[np.intp], NDArray[np.float32]]] = []
        self._open: list[NDArray[np.float32]] = []
        self._hash = hashlib.sha256()

    @property
    def digest(self) -> bytes:
        return self._hash.digest()

    def add(self, scores: NDArray[np.float32]) -> None:
        scores = scores.astype(np.float32)
        np.maximum(self.highest, scores, out=self.highest)
        self._hash.update(scores.tobytes())
        self._open.append(scores)
        if len(self._open) == _BLOCK:
            self._close()

    def columns(self, wanted: list[int]) -> NDArray[np.float32]:
        """(frames, wanted) float32, the scores of some classes."""
        self._close()
        place = {column: index for index, column in enumerate(wanted)}
        parts = [np.zeros((0, len(wanted)), np.float32)]
        for there, block in self._blocks:
            part = np.zeros((len(block), len(wanted)), np.float32)
            for index, column in enumerate(there):
                if column in place:
                    part[:, place[column]] = block[:, index]
            parts.append(part)
        return np.concatenate(parts)

    def _close(self) -> None:
        if not self._open:
            return
        block = np.array(self._open, np.float32)
        highest = block.max(axis=0)
        there = np.arange(block.shape[1])
        if block.shape[1] > _FEW_CLASSES:
            there = np.flatnonzero(highest >= NEGLIGIBLE)
            self.rounded |= bool(np.delete(highest, there).any())
        self._blocks.append((there, block[:, there].copy()))
        self._open = []


def _agreement(
    best: list[int], spans: list[tuple[Interval, int, int]], labels: list[str]
) -> tuple[float, float]:
    """How often the best class is the truth, and how often by chance (Cohen 1960), in [0, 1]."""
    place = {label: index for index, label in enumerate(labels)}
    judged = [
        (place[interval.label], best[start:end])
        for interval, start, end in spans
        if interval.label in place
    ]
    if not judged:
        return 0.0, 0.0
    truth = np.concatenate([np.full(len(said), label) for label, said in judged])
    answers = np.concatenate([said for _, said in judged])
    counts = [np.bincount(one, minlength=len(labels)) for one in (truth, answers)]
    chance = float((counts[0] * counts[1]).sum()) / len(truth) ** 2
    return float((truth == answers).mean()), chance
