"""Recordings that never were: scores and a truth, as the code that tunes gets them."""

from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.inference.decision import Decision
from edgekit.inference.events import UNKNOWN
from edgekit.model.decision import DecisionSettings
from edgekit.offline.evaluation import RecordingEvaluation, evaluate_recording
from edgekit.offline.truth import Interval, Truth
from edgekit.offline.tuning.scores import Scores, gather

STEP = 0.1  # seconds between frames
LABELS = ["mug", "cup", "nothing"]
PLAIN = DecisionSettings(smoothing=1, enter=0.6, leave=0.4, hold=0)

Course = Sequence[Sequence[float]] | NDArray[np.float32]


def truth_of(shown: Sequence[str | None]) -> Truth:
    """One of which each frame has its label, None where it is not judged."""
    intervals: list[Interval] = []
    for place, label in enumerate(shown):
        last = intervals[-1] if intervals else None
        if label is not None and last and last.end == place and last.label == label:
            intervals[-1] = last._replace(end=place + 1)
        elif label is not None:
            intervals.append(Interval(place, place + 1, label, f"item {place + 1}"))
    return Truth(intervals, in_frames=True, frames=len(shown))


def surely(label: str | None, score: float = 0.9) -> list[float]:
    """Scores of which one stands out; none for None."""
    rest = (1 - score) / (len(LABELS) - 1)
    return [score if name == label else rest if label else 1 / len(LABELS) for name in LABELS]


def scores_of(
    course: Course,
    shown: Sequence[str | None],
    *,
    stretches: Sequence[int] | None = None,
    ignored: Sequence[str] = (),
    lowest: float = 0.3,
    labels: Sequence[str] = LABELS,
    name: str = "door.clip",
) -> Scores:
    """What is kept of a recording with a frame each `STEP`."""
    frames = _played(course, stretches or [0] * len(course), labels, PLAIN)
    return gather(name, frames, truth_of(shown), list(labels), frozenset(ignored), lowest)


def decided(
    course: Course,
    settings: DecisionSettings,
    *,
    stretches: Sequence[int] | None = None,
    labels: Sequence[str] = LABELS,
) -> list[str]:
    """What the daemon's own decision says after each frame."""
    played = _played(course, stretches or [0] * len(course), labels, settings)
    return [one.result.label for one in played]


def evaluated(
    course: Course,
    shown: Sequence[str | None],
    settings: DecisionSettings,
    *,
    stretches: Sequence[int] | None = None,
    labels: Sequence[str] = LABELS,
) -> RecordingEvaluation:
    """What `edgekit evaluate` says of it."""
    played = _played(course, stretches or [0] * len(course), labels, settings)
    model: Any = SimpleNamespace(labels=list(labels), step=0.0)
    return evaluate_recording(played, truth_of(shown), model, 0)


def _played(
    course: Course, stretches: Sequence[int], labels: Sequence[str], settings: DecisionSettings
) -> Iterator[Any]:
    decision, last = Decision(settings, labels), stretches[0] if stretches else 0
    for place, values in enumerate(course):
        scores, time = np.array(values, np.float32), round(place * STEP, 6)
        if stretches[place] != last:
            decision, last = Decision(settings, labels), stretches[place]
        verdict = decision.update(scores, time)
        label = UNKNOWN if verdict.index is None else labels[verdict.index]
        frame = SimpleNamespace(
            time=time,
            position=place,
            stretch=stretches[place],
            pixels=np.zeros((2, 2, 3), np.uint8),
        )
        best = labels[int(scores.argmax())]
        yield SimpleNamespace(
            frame=frame,
            result=SimpleNamespace(label=label, scores=scores, verdict=verdict),
            scores=[(best, float(scores.max()))],
            event=None,
        )
