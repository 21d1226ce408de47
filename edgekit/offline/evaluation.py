"""How right a model, with its decision, is on a labelled recording."""

import statistics
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from edgekit.inference.classifier import Classifier
from edgekit.inference.events import UNKNOWN
from edgekit.offline.calibration import Calibration
from edgekit.offline.frame_calibration import FrameCalibration
from edgekit.offline.mistakes import Mistake, Mistakes
from edgekit.offline.player import Played
from edgekit.offline.statistics import FrameFraction, rounded, wilson
from edgekit.offline.timeline import Run, extend, span_of
from edgekit.offline.truth import Course, Interval, Truth


@dataclass
class Found:
    """An interval of the truth, and after how many seconds it was answered; None for never."""

    interval: Interval
    delay: float | None = None


@dataclass
class RecordingEvaluation:
    """What `evaluate_recording` measured.

    Attributes:
        frames: of the recording.
        span: its seconds.
        decided, model: fraction of the judged frames that were right: as decided, and as the
            model says for each frame by itself.
        calibration: of the model's own confidence, frame by frame; None where there is none.
        uncalibrated: why there is none.
        told, told_score: fraction of the judged frames with a decided label that were right, and
            the sum of the smoothed scores that are told with it.
        confusion: judged frames by truth and decided label.
        found: the intervals that lie in the recording.
        unseen: how many lie behind its end.
        beyond: how far the truth goes on behind it, in the truth's unit; negative where each frame
            has its label, and some frames have none.
        in_frames: whether intervals count frames, and not seconds.
        answers: decided labels, apart from `unknown`, that overlap a judged time.
        right_answers: those that overlap an interval of the same label.
        truths, decisions: runs, for a timeline.
        mistakes: the longest of them, in order.
        mistake_count: how many there are.
    """

    frames: int = 0
    span: float = 0.0
    decided: FrameFraction = field(default_factory=FrameFraction)
    model: FrameFraction = field(default_factory=FrameFraction)
    calibration: Calibration | None = None
    uncalibrated: str = ""
    told: FrameFraction = field(default_factory=FrameFraction)
    told_score: float = 0.0
    confusion: Counter[tuple[str, str]] = field(default_factory=Counter)
    found: list[Found] = field(default_factory=list)
    unseen: int = 0
    beyond: float = 0.0
    in_frames: bool = False
    answers: int = 0
    right_answers: int = 0
    truths: list[Run] = field(default_factory=list)
    decisions: list[Run] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)
    mistake_count: int = 0

    @property
    def delays(self) -> list[float]:
        """Seconds until each interval that was found was answered, sorted."""
        return sorted(one.delay for one in self.found if one.delay is not None)

    @property
    def mean_told_score(self) -> float | None:
        """Mean smoothed score of the labels that were decided; None where none was."""
        return self.told_score / self.told.count if self.told.count else None

    def recall(self) -> tuple[float, tuple[float, float]]:
        """Fraction of the intervals that were found, and its 95 % interval."""
        fraction = len(self.delays) / len(self.found) if self.found else 0.0
        return fraction, wilson(fraction, len(self.found))

    def precision(self) -> tuple[float, tuple[float, float]]:
        """Fraction of the answers that were right, and its 95 % interval."""
        fraction = self.right_answers / self.answers if self.answers else 0.0
        return fraction, wilson(fraction, self.answers)

    def median_delay(self) -> float | None:
        """In seconds; None where nothing was found."""
        return statistics.median(self.delays) if self.delays else None

    def summary(self) -> dict[str, Any]:
        """The figures, as JSON has them."""
        delay = self.median_delay()
        return {
            "frames": self.frames,
            "span_s": round(self.span, 3),
            "judged": self.decided.count,
            "decided": round(self.decided.value, 6),
            "decided_interval": rounded(self.decided.interval()),
            "model": round(self.model.value, 6),
            "model_interval": rounded(self.model.interval()),
            "calibration": self.calibration.summary() if self.calibration else None,
            "uncalibrated": self.uncalibrated or None,
            "told_score": None if self.mean_told_score is None else round(self.mean_told_score, 6),
            "told_right": round(self.told.value, 6) if self.told.count else None,
            "intervals": len(self.found),
            "intervals_unseen": self.unseen,
            "found": len(self.delays),
            "recall_interval": rounded(self.recall()[1]),
            "answers": self.answers,
            "right_answers": self.right_answers,
            "precision_interval": rounded(self.precision()[1]),
            "delay_s": None if delay is None else round(delay, 6),
            "slowest_s": self.delays[-1] if self.delays else None,
            "mistakes": self.mistake_count,
            "confusion": [
                {"truth": truth, "answer": answer, "frames": frames}
                for (truth, answer), frames in sorted(self.confusion.items())
            ],
        }


def evaluate_recording(
    played: Iterable[Played], truth: Truth, classifier: Classifier, max_pictures: int
) -> RecordingEvaluation:
    """Judge the frames of a recording; memory does not grow with it, but with what happens in it.

    Args:
        played: its frames, in order.
        truth: what it shows.
        classifier: the model that answered.
        max_pictures: so many mistakes are kept with their pictures, the longest.

    Raises:
        InferenceError: the interpreter failed.
    """
    judge = _Judge(truth, classifier, max_pictures)
    for one in played:
        judge.add(one)
    return judge.finish()


class _Judge:
    def __init__(self, truth: Truth, classifier: Classifier, max_pictures: int) -> None:
        self._truth = truth
        self._calibration = FrameCalibration(classifier.labels, classifier.step)
        self._result = RecordingEvaluation(in_frames=truth.in_frames)
        self._course = Course(truth)
        self._inside: _Inside | None = None
        self._answer = _Answer(UNKNOWN)
        self._mistakes = Mistakes(max_pictures)
        self._begun: float | None = None
        self._time = 0.0
        self._last = 0.0

    def add(self, one: Played) -> None:
        """Judge the next frame."""
        time, label = one.frame.time, one.result.label
        self._begun = time if self._begun is None else self._begun
        self._time = time
        self._last = self._truth.at(one.frame)
        inside = self._enter(self._course.at(one.frame), time)
        truth = inside.label if inside else None
        self._result.frames += 1
        extend(self._result.truths, truth, time)
        extend(self._result.decisions, label, time)
        if label != self._answer.label:
            self._end_answer()
            self._answer = _Answer(label)
        if inside is None:
            self._mistakes.end(time)
            return
        right = label == truth
        if right and inside.found.delay is None:
            inside.found.delay = round(time - inside.since, 6)
        self._answer.judged = True
        self._answer.right |= right
        self._result.decided.add(right, time)
        self._result.confusion[inside.label, label] += 1
        if truth != UNKNOWN:
            self._result.model.add(one.scores[0][0] == truth, time)
            self._calibration.add(one.result.scores, inside.found.interval, time)
        if label != UNKNOWN:
            self._result.told.add(right, time)
            self._result.told_score += one.result.verdict.score
        if right:
            self._mistakes.right(time)
        else:
            self._mistakes.wrong(one, inside.label)

    def finish(self) -> RecordingEvaluation:
        """What was measured."""
        result = self._result
        begun = self._begun or 0.0
        result.span = span_of(result.frames, begun, self._time)
        end = begun + result.span
        for runs in (result.truths, result.decisions):
            if runs:
                runs[-1].end = end
        self._mistakes.end(end)
        self._end_answer()
        result.mistake_count = self._mistakes.count
        result.mistakes = self._mistakes.longest()
        result.calibration = self._calibration.finish()
        result.uncalibrated = self._calibration.uncalibrated
        result.unseen = len(self._truth.intervals) - len(result.found)
        result.beyond = self._beyond()
        return result

    def _beyond(self) -> float:
        truth, frames = self._truth, self._result.frames
        if truth.frames is not None:
            return truth.frames - frames
        step = 1.0 if truth.in_frames else self._result.span / max(1, frames)
        return max(0.0, truth.intervals[-1].end - self._last - step)

    def _enter(self, interval: Interval | None, time: float) -> "_Inside | None":
        if interval is None:
            self._inside = None
        elif self._inside is None or self._inside.found.interval is not interval:
            self._mistakes.enter(time)
            self._inside = _Inside(Found(interval), time)
            self._result.found.append(self._inside.found)
        return self._inside

    def _end_answer(self) -> None:
        if self._answer.label != UNKNOWN:
            self._result.answers += self._answer.judged
            self._result.right_answers += self._answer.right


@dataclass
class _Inside:
    """The interval that the frames lie in, since when."""

    found: Found
    since: float

    @property
    def label(self) -> str:
        return self.found.interval.label


@dataclass
class _Answer:
    """A decided label while it lasts: whether it could be judged, and was right at some time."""

    label: str
    judged: bool = False
    right: bool = False
