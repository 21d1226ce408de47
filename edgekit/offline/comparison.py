"""Where two models, A and B, answer the same frames differently."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekit.inference.classifier import Classifier
from edgekit.offline.clip import is_clip
from edgekit.offline.drift_course import DriftCourse
from edgekit.offline.player import Played
from edgekit.offline.recording import Recording
from edgekit.offline.statistics import FrameFraction, rounded
from edgekit.offline.surest import Surest
from edgekit.offline.timeline import Run, extend, span_of
from edgekit.vision.encode import fit
from edgekit.vision.folders import IMAGE_SUFFIXES, counted, is_hidden, kind_by_name, natural
from edgekit.vision.view import ViewSettings

# Largest size of a picture that is kept, in pixels.
PICTURE_WIDTH, PICTURE_HEIGHT = 296, 222
# Seconds between recordings, so that none shares a cluster of frames with another.
_APART = 1000.0


@dataclass
class Disagreement:
    """Consecutive frames on which the models' own answers are the same two different ones.

    Attributes:
        a, b: the answers and their scores, at the frame where they were surest.
        recording: its name.
        time: seconds, of that frame.
        frames: their number.
        picture: that frame, (H, W, 3) uint8 RGB, at most 296 x 222.
    """

    a: tuple[str, float]
    b: tuple[str, float]
    recording: str
    time: float
    picture: NDArray[np.uint8]
    frames: int = 0

    @property
    def sureness(self) -> float:
        """Of both answers together."""
        return self.a[1] + self.b[1]


@dataclass
class ComparedRecording:
    """What both decided on a recording: runs of labels, and the seconds they cover.

    Attributes:
        drift: what was told of it to A, and to B.
    """

    name: str
    drift: tuple[DriftCourse, DriftCourse]
    a: list[Run] = field(default_factory=list)
    b: list[Run] = field(default_factory=list)
    span: float = 0.0


class ClassCounts(NamedTuple):
    """Frames whose best class is this one: for A, for B, and for both at once."""

    label: str
    a: int
    b: int
    both: int

    @property
    def of_either(self) -> float:
        """The fraction that both say, of the frames for which one of them does."""
        return self.both / (self.a + self.b - self.both)


@dataclass
class Comparison:
    """How two models answered the same frames.

    Attributes:
        frames: their number.
        model: fraction of frames with the same best class.
        decided: fraction of frames with the same decided label.
        answers: frames by both models' best classes.
        scores: sum of A's best scores, and of B's.
        apart: sum of how far these are from each other, where the best class is the same.
        changes: number of changes that each decided.
        recordings: what was decided when.
        disagreements: those kept with their pictures, in order.
        disagreement_count: how many there are.
    """

    frames: int = 0
    model: FrameFraction = field(default_factory=FrameFraction)
    decided: FrameFraction = field(default_factory=FrameFraction)
    answers: Counter[tuple[str, str]] = field(default_factory=Counter)
    scores: list[float] = field(default_factory=lambda: [0.0, 0.0])
    apart: float = 0.0
    changes: list[int] = field(default_factory=lambda: [0, 0])
    recordings: list[ComparedRecording] = field(default_factory=list)
    disagreements: list[Disagreement] = field(default_factory=list)
    disagreement_count: int = 0

    @property
    def span(self) -> float:
        """Seconds of all recordings."""
        return sum(one.span for one in self.recordings)

    @property
    def mean_scores(self) -> tuple[float, float]:
        """Of the best class, A's and B's."""
        a, b = self.scores
        return a / self.frames, b / self.frames

    @property
    def mean_apart(self) -> float | None:
        """How far these are from each other where the class is the same; None where it never is."""
        return self.apart / self.model.hits if self.model.hits else None

    def per_class(self) -> list[ClassCounts]:
        """The counts of every class that was answered; the most frequent first."""
        rows: dict[str, list[int]] = {}
        for (a, b), count in self.answers.items():
            rows.setdefault(a, [0, 0, 0])[0] += count
            rows.setdefault(b, [0, 0, 0])[1] += count
            if a == b:
                rows[a][2] += count
        counted = [ClassCounts(label, *counts) for label, counts in rows.items()]
        return sorted(counted, key=lambda row: -row.a - row.b)

    def summary(self, a: Classifier, b: Classifier) -> dict[str, Any]:
        """The figures, as JSON has them."""
        return {
            "a": self._side(0, a),
            "b": self._side(1, b),
            "frames": self.frames,
            "scores_apart": None if self.mean_apart is None else round(self.mean_apart, 6),
            "model": round(self.model.value, 6),
            "model_interval": rounded(self.model.interval()),
            "decided": round(self.decided.value, 6),
            "decided_interval": rounded(self.decided.interval()),
            "disagreements": self.disagreement_count,
            "classes": [row._asdict() for row in self.per_class()],
        }

    def _side(self, side: int, model: Classifier) -> dict[str, Any]:
        return {
            "model": model.path.name,
            "sha256": model.sha256,
            "changes": self.changes[side],
            "mean_score": round(self.mean_scores[side], 6),
            "drift": [
                {"recording": one.name, **one.drift[side].summary()} for one in self.recordings
            ],
        }


class Comparer:
    """Gathers the comparison; memory does not grow with frames, but with what happens in them.

    Args:
        max_pictures: so many disagreements are kept with their pictures, the longest.
    """

    def __init__(self, max_pictures: int) -> None:
        self._result = Comparison()
        self._kept = Surest[Disagreement](max_pictures)
        self._now: Disagreement | None = None
        self._offset = 0.0

    def compare(
        self,
        recording: str,
        pairs: Iterable[tuple[Played, Played]],
        drift: tuple[DriftCourse, DriftCourse],
    ) -> None:
        """Take a recording's frames, answered by both.

        Args:
            recording: its name.
            pairs: the frames.
            drift: what is told of it to A, and to B, while they are taken.

        Raises:
            InferenceError: an interpreter failed.
        """
        result, first, time, count = self._result, 0.0, 0.0, 0
        compared = ComparedRecording(recording, drift)
        for a, b in pairs:
            time = a.frame.time
            first = time if count == 0 else first
            count += 1
            (class_a, score_a), (class_b, score_b) = a.scores[0], b.scores[0]
            same = class_a == class_b
            result.frames += 1
            result.model.add(same, self._offset + time)
            result.decided.add(a.result.label == b.result.label, self._offset + time)
            result.answers[class_a, class_b] += 1
            result.scores[0] += score_a
            result.scores[1] += score_b
            result.apart += abs(score_b - score_a) if same else 0.0
            for side, one in enumerate((a, b)):
                result.changes[side] += one.event is not None and one.event.event == "change"
            extend(compared.a, a.result.label, time)
            extend(compared.b, b.result.label, time)
            if same:
                self._end()
            else:
                self._disagree(recording, a, b)
        self._end()
        if count:
            compared.span = span_of(count, first, time)
            compared.a[-1].end = compared.b[-1].end = first + compared.span
            result.recordings.append(compared)
        self._offset += time + _APART

    def finish(self) -> Comparison:
        """What was found."""
        self._result.disagreements = self._kept.in_order()
        self._result.disagreement_count = self._kept.count
        return self._result

    def _disagree(self, recording: str, a: Played, b: Played) -> None:
        best = a.scores[0], b.scores[0]
        if self._now and (self._now.a[0], self._now.b[0]) != (best[0][0], best[1][0]):
            self._end()
        if self._now is None or best[0][1] + best[1][1] > self._now.sureness:
            picture = fit(a.frame.pixels, PICTURE_WIDTH, PICTURE_HEIGHT)
            frames = self._now.frames if self._now else 0
            self._now = Disagreement(*best, recording, a.frame.time, picture, frames)
        self._now.frames += 1

    def _end(self) -> None:
        now, self._now = self._now, None
        if now is None:
            return
        self._kept.add((now.frames, now.sureness), lambda: now)


def recordings_in(path: Path, view: ViewSettings | None = None) -> tuple[list[Recording], str]:
    """A recording; or every clip of a folder that holds clips and no pictures.

    Args:
        path: of it.
        view: as for `Recording`.

    Returns:
        They, and what else of a folder of clips was left out, in words; empty for nothing.

    Raises:
        SourceError, ImageError: there is none.
    """
    if path.is_dir():
        children = [child for child in path.iterdir() if not is_hidden(child.name)]
        if not any(child.suffix.lower() in IMAGE_SUFFIXES for child in children):
            clips = [child for child in children if child.is_file() and is_clip(child)]
            if clips:
                others = Counter(kind_by_name(child) for child in children if child not in clips)
                ordered = sorted(clips, key=natural)
                return [Recording(clip, view) for clip in ordered], counted(others)
    return [Recording(path, view)], ""
