"""Recordings in parts: what some of them tune, the others judge."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgekit.model.decision import DecisionSettings
from edgekit.offline.tuning.judging import Outcomes, judge, together
from edgekit.offline.tuning.scores import Scores

# From as many recordings on, each is a part; fewer are cut.
_ENOUGH_RECORDINGS = 5
# Parts that fewer recordings are cut into, at most, and intervals of the truth in each, at least.
_PARTS, _EVENTS = 20, 2
# Parts are left out in as many turns.
_TURNS = 10


class Parts:
    """Recordings, cut into parts.

    The decision goes on over a cut as it does in the daemon: begun afresh behind it, it would be
    fast at once, however much it smooths. It knows no truth, so that nothing leaks.

    Args:
        recordings: their scores.

    Attributes:
        count: number of parts.
        events: (events,) labels of the intervals of the truth.
    """

    def __init__(self, recordings: Sequence[Scores]) -> None:
        self.recordings = recordings
        self._cuts = [_cuts(one, recordings) for one in recordings]
        self.count = sum(len(cuts) + 1 for cuts in self._cuts)
        self.events = [event.interval.label for one in recordings for event in one.events]

    def outcomes(self, settings: Sequence[DecisionSettings]) -> Outcomes:
        """What comes of settings in each part."""
        pairs = zip(self.recordings, self._cuts, strict=True)
        return together([judge(one, settings, cuts) for one, cuts in pairs])


def turns(parts: int) -> list[NDArray[np.intp]]:
    """The parts that are left out, turn by turn; each once."""
    return [np.arange(turn, parts, _TURNS) for turn in range(min(parts, _TURNS))]


def _cuts(one: Scores, recordings: Sequence[Scores]) -> list[int]:
    """The frames at which a recording is cut: half-way between two intervals of the truth."""
    if len(recordings) >= _ENOUGH_RECORDINGS:
        return []
    share = len(one.events) / sum(len(other.events) for other in recordings)
    parts = max(1, min(round(_PARTS * share), len(one.events) // _EVENTS))
    # The first events of all parts but the first.
    first = [math.ceil(part * len(one.events) / parts) for part in range(1, parts)]
    return [(one.events[place - 1].end + one.events[place].start) // 2 for place in first]
