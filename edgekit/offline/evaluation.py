"""How right a model and its decision are on a recording whose content is known."""

import statistics
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from edgekit.inference.events import UNKNOWN
from edgekit.offline.mistakes import Mistake, Mistakes
from edgekit.offline.player import Played
from edgekit.offline.statistics import Share, wilson
from edgekit.offline.truth import Interval, Truth


@dataclass
class Run:
    """Consecutive frames with the same label.

    Attributes:
        label: None where the truth is not known.
        start, end: seconds; the end is the next frame's time.
        frames: their number.
    """

    label: str | None
    start: float
    end: float
    frames: int = 0


@dataclass
class Found:
    """An interval of the truth, and after how many seconds it was answered; None for never."""

    interval: Interval
    delay: float | None = None


@dataclass
class VideoEvaluation:
    """What `evaluate_video` measured.

    Attributes:
        frames: of the recording.
        span: its seconds.
        decided, model: share of the judged frames that were right: as decided, and as the model
            says for each frame by itself.
        confusion: judged frames by truth and decided label.
        found: the intervals that lie in the recording.
        answers: decided labels, apart from `unknown`, that overlap a judged time.
        right_answers: those that overlap an interval of the same label.
        truths, decisions: runs, for a timeline.
        mistakes: the longest of them, in order.
        mistake_count: how many there are.
    """

    frames: int = 0
    span: float = 0.0
    decided: Share = field(default_factory=Share)
    model: Share = field(default_factory=Share)
    confusion: Counter[tuple[str, str]] = field(default_factory=Counter)
    found: list[Found] = field(default_factory=list)
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

    def recall(self) -> tuple[float, tuple[float, float]]:
        """Share of the intervals that were found, and its 95 % interval."""
        part = len(self.delays) / len(self.found) if self.found else 0.0
        return part, wilson(part, len(self.found))

    def precision(self) -> tuple[float, tuple[float, float]]:
        """Share of the answers that were right, and its 95 % interval."""
        part = self.right_answers / self.answers if self.answers else 0.0
        return part, wilson(part, self.answers)

    def median_delay(self) -> float | None:
        """In seconds; None where nothing was found."""
        return statistics.median(self.delays) if self.delays else None


def evaluate_video(played: Iterable[Played], truth: Truth, maximum_kept: int) -> VideoEvaluation:
    """Judge the frames of a recording; memory does not grow with it, but with what happens in it.

    Args:
        played: its frames, in order.
        truth: what it shows.
        maximum_kept: number of mistakes that are kept with their pictures, the longest ones.
    """
    judge = _Judge(truth, maximum_kept)
    for one in played:
        judge.add(one)
    return judge.finish()


class _Judge:
    def __init__(self, truth: Truth, maximum_kept: int) -> None:
        self._truth = truth
        self._result = VideoEvaluation()
        # The interval that a frame lies in, or the next one.
        self._place = 0
        self._inside: _Inside | None = None
        self._answer = _Answer(UNKNOWN)
        self._mistakes = Mistakes(maximum_kept)
        self._begun: float | None = None
        self._time = 0.0

    def add(self, one: Played) -> None:
        """Judge the next frame."""
        time, label = one.frame.time, one.result.label
        self._begun = time if self._begun is None else self._begun
        self._time = time
        inside = self._enter(self._interval(self._truth.at(one.frame)), time)
        truth = inside.label if inside else None
        self._result.frames += 1
        _extend(self._result.truths, truth, time)
        _extend(self._result.decisions, label, time)
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
        if right:
            self._mistakes.right(time)
        else:
            self._mistakes.wrong(one, inside.label)

    def finish(self) -> VideoEvaluation:
        """What was measured."""
        result = self._result
        if self._begun is not None and result.frames > 1:
            # The last frame lasts as long as one does on average.
            result.span = (self._time - self._begun) * result.frames / (result.frames - 1)
        end = (self._begun or 0.0) + result.span
        for runs in (result.truths, result.decisions):
            if runs:
                runs[-1].end = end
        self._mistakes.end(end)
        self._end_answer()
        result.mistake_count = self._mistakes.count
        result.mistakes = self._mistakes.longest()
        return result

    def _interval(self, place: float) -> Interval | None:
        intervals = self._truth.intervals
        while self._place < len(intervals) and intervals[self._place].end <= place:
            self._place += 1
        if self._place == len(intervals) or intervals[self._place].start > place:
            return None
        return intervals[self._place]

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


def _extend(runs: list[Run], label: str | None, time: float) -> None:
    if runs:
        runs[-1].end = time
    if not runs or runs[-1].label != label:
        runs.append(Run(label, time, time))
    runs[-1].frames += 1
