"""Finds decision settings for recordings whose scores are known."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgekit.inference.events import UNKNOWN
from edgekit.model.decision import DecisionSettings, LabelSettings
from edgekit.offline.tuning import candidates
from edgekit.offline.tuning.checks import check_tried
from edgekit.offline.tuning.figures import Figures, figures
from edgekit.offline.tuning.judging import Outcomes
from edgekit.offline.tuning.objective import Cost
from edgekit.offline.tuning.parts import Parts, turns
from edgekit.offline.tuning.scores import Scores
from edgekit.offline.tuning.selection import Family, Gain, choose, families, gain

# Intervals of the truth that a label has to have for thresholds of its own.
ENOUGH_OF_LABEL = 10


@dataclass(frozen=True)
class Tried:
    """Settings that were tried on all parts, and what came of it.

    Attributes:
        settings: the first is the one that holds now.
        outcomes: of each.
        costs: (settings, parts).
        families: of these settings, by the keys in which they differ from the first.
    """

    settings: list[DecisionSettings]
    outcomes: Outcomes
    costs: NDArray[np.float64]
    families: list[Family]

    def choose(self, parts: NDArray[np.intp]) -> DecisionSettings:
        """The setting that some parts recommend."""
        return self.settings[choose(self.costs[:, parts], self.families)]


@dataclass(frozen=True)
class Tuned:
    """What was found.

    Attributes:
        base: the settings that held before.
        settings: the recommended ones; `base` itself where nothing is better beyond chance.
        before: figures of `base`.
        after: those of what the other parts recommend for each part: of the recommendation, on
            parts that did not tune it.
        gain: by how much that is cheaper, an event.
        labels: labels with events enough for thresholds of their own.
        tried: all settings that hold for all labels.
        parts: the recordings.
        cost: what was looked for.
    """

    base: DecisionSettings
    settings: DecisionSettings
    before: Figures
    after: Figures
    gain: Gain
    labels: list[str]
    tried: Tried
    parts: Parts
    cost: Cost

    @property
    def is_better(self) -> bool:
        """Whether anything is recommended."""
        return self.settings != self.base


def tune(recordings: Sequence[Scores], base: DecisionSettings, cost: Cost) -> Tuned:
    """Find the settings that cost least.

    Args:
        recordings: their scores, each with what the truth says.
        base: the settings that hold now.
        cost: what is paid for what goes wrong.

    Raises:
        DatasetError: they tell no settings apart, see `check_tried`.
    """
    return _Tuner(Parts(recordings), base, cost).tune()


class _Tuner:
    def __init__(self, parts: Parts, base: DecisionSettings, cost: Cost) -> None:
        self._parts, self._base, self._cost = parts, base, cost
        self._all = np.arange(parts.count)
        known = {label for one in parts.recordings for label in one.labels}
        events = Counter(label for label in parts.events if label != UNKNOWN and label in known)
        self._labels = [label for label, count in events.items() if count >= ENOUGH_OF_LABEL]
        self._tried = self._try(candidates.for_all(base))
        check_tried(self._tried.settings, self._tried.outcomes)
        self._of_label: dict[tuple[bytes, str], Tried] = {}

    def tune(self) -> Tuned:
        """Choose on all parts, and judge the choice on those that took no part in it."""
        out = turns(self._parts.count)
        general = [self._tried.choose(np.setdiff1d(self._all, part)) for part in out]
        single = [
            self._with_labels(one, np.setdiff1d(self._all, part))
            for one, part in zip(general, out, strict=True)
        ]
        picked = self._try([self._base, *general, *single])
        place = np.zeros((3, self._parts.count), np.int64)
        for turn, part in enumerate(out):
            place[1, part], place[2, part] = 1 + turn, 1 + len(out) + turn
        costs = [picked.costs[places, self._all] for places in place]
        # Thresholds of single labels have to pay beside the best without any.
        method = 2 if gain(costs[1], costs[2]).pays else 1
        found = self._tried.choose(self._all)
        if method == 2:
            found = self._with_labels(found, self._all)
        if not gain(costs[0], costs[method]).pays:
            found = self._base
        if found == self._base:
            method = 0
        hours = sum(one.span for one in self._parts.recordings) / 3600
        before, after = (
            figures(picked.outcomes, picked.costs, place[which], hours) for which in (0, method)
        )
        events = len(self._parts.events)
        total = gain(costs[0], costs[method])
        return Tuned(
            self._base, found, before, after, Gain(total.value / events, total.error / events),
            self._labels, self._tried, self._parts, self._cost,
        )  # fmt: skip

    def _with_labels(self, general: DecisionSettings, parts: NDArray[np.intp]) -> DecisionSettings:
        """Settings with the thresholds of single labels that some parts recommend."""
        rules: dict[str, LabelSettings] = {}
        for label in self._labels:
            key = (msgspec.json.encode(general), label)
            if key not in self._of_label:
                self._of_label[key] = self._try(candidates.for_label(general, label), label)
            rule = self._of_label[key].choose(parts).of(label)
            if rule != general.of(label):
                rules[label] = rule
        return msgspec.structs.replace(general, labels={**general.labels, **rules})

    def _try(self, settings: list[DecisionSettings], label: str | None = None) -> Tried:
        outcomes = self._parts.outcomes(settings)
        changed = [candidates.changed(settings[0], one, label) for one in settings]
        return Tried(settings, outcomes, self._cost.of(outcomes), families(changed))
