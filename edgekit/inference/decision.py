"""From the scores of single frames to a label that stays put: a pure state machine.

Scores are smoothed over frames. A label is entered when its smoothed score reaches one threshold
and left when it falls below a lower one (hysteresis), and is kept for a while at least. While no
class is sure enough, the answer is explicitly unknown. Thresholds may differ from label to label.
Time is the frames' own, so the same frames give the same events, however fast they are worked
through.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgekit.inference.classifier import Classifier
from edgekit.inference.events import Kind
from edgekit.model.decision import DecisionOverrides, DecisionSettings
from edgekit.model.settled import Settled, settle


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is decided after one frame.

    Attributes:
        index: class of the decided label, None for unknown.
        score: its smoothed score; that of the best class while unknown.
        event: kind of the event that this frame gives, None for none.
        previous: class before a `change`; None for unknown, and at the first frame.
        first: whether this is the first frame.
    """

    index: int | None
    score: float
    event: Kind | None
    previous: int | None
    first: bool


def settle_for(chosen: DecisionOverrides, classifier: Classifier) -> Settled:
    """The settings that hold for a model: as chosen, else as it recommends, else the defaults.

    Raises:
        SettingsError: they contradict each other, or do not fit it; see `settle`.
    """
    return settle(chosen, classifier.recommended, classifier.labels, model=classifier.path.name)


class Decision:
    """Holds the smoothed scores and the decided label.

    Args:
        settings: thresholds and times.
        labels: class names by index.
        every_frame: whether frames without a change give an event.

    Attributes:
        settings: as they were given.
    """

    def __init__(
        self, settings: DecisionSettings, labels: Sequence[str], every_frame: bool = False
    ) -> None:
        self.settings = settings
        self._every_frame = every_frame
        rules = [settings.of(label) for label in labels]
        # In the scores' own type, so that every NumPy compares alike.
        self._enter = np.array([rule.enter for rule in rules], np.float32)
        self._leave = np.array([rule.leave for rule in rules], np.float32)
        self._hold = [rule.hold for rule in rules]
        self._ignored = np.array([rule.ignore for rule in rules], np.bool_)
        # The usual weight of an exponential moving average over N values.
        self._weight = np.float32(2 / (settings.smoothing + 1))
        self._smoothed: NDArray[np.float32] | None = None
        self._index: int | None = None
        self._entered = 0.0
        self._last_event = 0.0

    def update(self, scores: NDArray[np.float32], time: float) -> Verdict:
        """Take the scores of the next frame.

        Args:
            scores: (classes,) float32 in [0, 1].
            time: seconds; not before that of the frame before.
        """
        first = self._smoothed is None
        if self._smoothed is None or self.settings.smoothing == 1:
            self._smoothed = scores.astype(np.float32)
        else:
            self._smoothed += self._weight * (scores - self._smoothed)
        previous, self._index = self._index, self._next(self._smoothed, time)
        changed = first or self._index != previous
        if changed:
            self._entered = time
        event = self._event(changed, time)
        if event is not None:
            self._last_event = time
        shown = self._smoothed[self._best() if self._index is None else self._index]
        return Verdict(self._index, float(shown), event, previous if changed else None, first)

    def _best(self) -> int:
        """The class with the highest smoothed score among those that are not ignored."""
        assert self._smoothed is not None
        return int(np.where(self._ignored, -1, self._smoothed).argmax())

    def _next(self, smoothed: NDArray[np.float32], time: float) -> int | None:
        best = self._best()
        sure = smoothed[best] >= self._enter[best] and not self._ignored[best]
        if self._index is None:
            return best if sure else None
        if time - self._entered < self._hold[self._index]:
            return self._index
        # Equal scores are no reason to change.
        if sure and smoothed[best] > smoothed[self._index]:
            return best
        return self._index if smoothed[self._index] >= self._leave[self._index] else None

    def _event(self, changed: bool, time: float) -> Kind | None:
        if changed:
            return "change"
        heartbeat = self.settings.heartbeat
        if heartbeat and time - self._last_event >= heartbeat:
            return "heartbeat"
        return "frame" if self._every_frame else None
