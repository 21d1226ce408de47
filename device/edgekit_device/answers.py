"""What was answered since the start, in sums and by label, for metrics."""

from dataclasses import dataclass, field
from typing import NamedTuple

from edgekit.inference.pipeline import Result
from edgekit.model.labels import UNKNOWN

OWN_LABELS = 50
"""Labels that are counted each by itself, beside `unknown`; a series for each costs whoever keeps
them, for as long as it keeps them."""
OTHER = "other"
"""What all further labels of a model are counted as, together."""


class LabelCount(NamedTuple):
    """How often a label was decided.

    Attributes:
        frames: that were decided to show it.
        changes: of the decided label to it, the first decision among them.
    """

    frames: int
    changes: int


@dataclass(frozen=True)
class Answers:
    """What was answered.

    Attributes:
        frames: that were answered, since the start.
        latency_s: seconds of preprocessing and inference of them all.
        labels: counts since a model with these labels began, by label. Of a model with at most
            `OWN_LABELS` all are here from the beginning; of another one `unknown`, those that were
            decided first, and `OTHER` for all that came later.
        folded: how many different labels `OTHER` has stood for.
        label: of the newest frame, by its name in `labels`; empty before the first.
        score: its smoothed score in [0, 1].
    """

    frames: int = 0
    latency_s: float = 0.0
    labels: dict[str, LabelCount] = field(default_factory=dict)
    folded: int = 0
    label: str = ""
    score: float = 0.0


class _Table:
    """Counts by label for as long as models have the same labels."""

    def __init__(self, labels: list[str]) -> None:
        # The very list, not the model, which is to be let go of.
        self.labels = labels
        folds = len(labels) > OWN_LABELS
        names = [UNKNOWN] if folds else [UNKNOWN, *labels]
        self.counts = dict.fromkeys(names, LabelCount(0, 0))
        self.folded: set[str] = set()
        # A class of that name must not be mistaken for all the others.
        self._class_other = OTHER
        while folds and self._class_other in self.labels:
            self._class_other += " (class)"

    def count(self, label: str, changes: bool) -> str:
        """Count a decision; the name it is counted as."""
        name = self._name(label)
        frames, changed = self.counts.get(name, (0, 0))
        self.counts[name] = LabelCount(frames + 1, changed + changes)
        return name

    def _name(self, label: str) -> str:
        name = self._class_other if label == OTHER else label
        if name in self.counts or len(self.counts) <= OWN_LABELS:
            return name
        self.folded.add(label)
        return OTHER


class AnswerCounts:
    """Counts answers; for the thread that infers. `snapshot` may be called from any."""

    def __init__(self) -> None:
        self._frames = 0
        self._latency_s = 0.0
        self._table = _Table([])
        self._newest = ("", 0.0)

    def count(self, result: Result) -> None:
        """Count an answer."""
        labels = result.model.labels
        if labels is not self._table.labels and labels != self._table.labels:
            self._table = _Table(labels)
        verdict = result.verdict
        name = self._table.count(result.label, verdict.event == "change")
        self._newest = (name, verdict.score)
        self._frames += 1
        self._latency_s += result.latency_ms / 1000

    def snapshot(self) -> Answers:
        """The counts of now."""
        if not self._frames:
            return Answers()
        table, (label, score) = self._table, self._newest
        return Answers(
            self._frames, self._latency_s, dict(table.counts), len(table.folded), label, score
        )
