"""From the scores of single frames to a label that stays put: a pure state machine.

Scores are smoothed over frames. A label is entered when its smoothed score reaches one threshold
and left when it falls below a lower one (hysteresis), and is kept for a while at least. While no
class is sure enough, the answer is explicitly unknown. Time is the frames' own, so the same frames
give the same events, however fast they are worked through.
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from edgekit.inference.events import Kind
from edgekit.settings import Section


class DecisionSettings(Section, frozen=True):
    """How the scores of frames become a label."""

    smoothing: Annotated[
        int, Meta(ge=1, description="Frames that scores are averaged over; 1 for none.")
    ] = 5
    enter: Annotated[
        float, Meta(ge=0, le=1, description="Smoothed score from which a label is taken.")
    ] = 0.6
    leave: Annotated[
        float, Meta(ge=0, le=1, description="Smoothed score below which it is given up.")
    ] = 0.4
    hold: Annotated[
        float, Meta(ge=0, description="Seconds for which a label is kept at least.")
    ] = 0.5
    heartbeat: Annotated[
        float,
        Meta(ge=0, description="Seconds after which an unchanged label is told again; 0: never."),
    ] = 60.0

    def __post_init__(self) -> None:
        if self.leave > self.enter:
            raise ValueError(f"leave ({self.leave:g}) is above enter ({self.enter:g})")


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


class Decision:
    """Holds the smoothed scores and the decided label."""

    def __init__(self, settings: DecisionSettings, every_frame: bool = False) -> None:
        self._settings = settings
        self._every_frame = every_frame
        # In the scores' own type, so that every NumPy compares alike.
        self._enter = np.float32(settings.enter)
        self._leave = np.float32(settings.leave)
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
        if self._smoothed is None or self._settings.smoothing == 1:
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
        shown = self._smoothed.max() if self._index is None else self._smoothed[self._index]
        return Verdict(self._index, float(shown), event, previous if changed else None, first)

    def _next(self, smoothed: NDArray[np.float32], time: float) -> int | None:
        best = int(smoothed.argmax())
        sure = smoothed[best] >= self._enter
        if self._index is None:
            return best if sure else None
        if time - self._entered < self._settings.hold:
            return self._index
        # Equal scores are no reason to change.
        if sure and smoothed[best] > smoothed[self._index]:
            return best
        return self._index if smoothed[self._index] >= self._leave else None

    def _event(self, changed: bool, time: float) -> Kind | None:
        if changed:
            return "change"
        heartbeat = self._settings.heartbeat
        if heartbeat and time - self._last_event >= heartbeat:
            return "heartbeat"
        return "frame" if self._every_frame else None
