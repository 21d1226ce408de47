"""The decision of many settings at once: `edgekit.inference.decision.Decision`, side by side."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from edgekit.model.decision import DecisionSettings
from edgekit.offline.tuning.scores import UNDECIDED, Scores

# Labels that are held at once, of all frames and of some settings: 64 MiB.
_HELD = 1 << 25


def replay(scores: Scores, settings: Sequence[DecisionSettings]) -> NDArray[np.int16]:
    """What each of some settings decides after every frame, to the last bit as `Decision` does.

    Args:
        scores: of a recording; the decision begins afresh where it says so.
        settings: none of them needs the frames that `scores` left out.

    Returns:
        (settings, frames) int16, classes among `scores.labels`, or `UNDECIDED`.
    """
    decided = np.full((len(settings), scores.frames), UNDECIDED, np.int16)
    if scores.labels:
        rules = _Rules(settings, scores.labels)
        for frame in range(scores.frames):
            if scores.fresh[frame]:
                rules.begin()
            decided[:, frame] = rules.update(scores.scores[frame], scores.times[frame])
    return decided


def in_parts(
    scores: Scores, settings: Sequence[DecisionSettings]
) -> Iterator[tuple[slice, NDArray[np.int16]]]:
    """`replay` of some settings after others, so that memory has a bound."""
    step = max(1, _HELD // max(1, scores.frames))
    for start in range(0, len(settings), step):
        part = slice(start, min(start + step, len(settings)))
        yield part, replay(scores, settings[part])


class _Rules:
    """Settings side by side, each with its decided class and when that was entered."""

    def __init__(self, settings: Sequence[DecisionSettings], labels: Sequence[str]) -> None:
        rules = [[one.of(label) for label in labels] for one in settings]
        # In the types of `Decision`, so that all compares alike.
        self._enter = np.array([[rule.enter for rule in row] for row in rules], np.float32)
        self._leave = np.array([[rule.leave for rule in row] for row in rules], np.float32)
        self._hold = np.array([[rule.hold for rule in row] for row in rules], np.float64)
        # Scores are smoothed once for all settings that smooth alike.
        lengths = sorted({one.smoothing for one in settings})
        place = {length: index for index, length in enumerate(lengths)}
        self._row = np.array([place[one.smoothing] for one in settings])
        self._weight = np.array([np.float32(2 / (length + 1)) for length in lengths])[:, None]
        self._raw = np.array(lengths) == 1
        self._number = np.arange(len(settings))
        self.begin()

    def begin(self) -> None:
        """Forget all frames."""
        self._smoothed: NDArray[np.float32] | None = None
        self._index = np.full(len(self._number), UNDECIDED)
        self._entered = np.zeros(len(self._number))

    def update(self, scores: NDArray[np.float32], time: float) -> NDArray[np.int64]:
        """The classes that are decided after the next frame, (settings,)."""
        if self._smoothed is None:
            self._smoothed = np.repeat(scores[None], len(self._weight), axis=0)
        else:
            self._smoothed += self._weight * (scores - self._smoothed)
            self._smoothed[self._raw] = scores
        smoothed, number, index = self._smoothed, self._number, self._index
        best_of_row = smoothed.argmax(axis=1)
        best = best_of_row[self._row]
        highest = smoothed.max(axis=1)[self._row]
        sure = highest >= self._enter[number, best]
        # Of what is undecided these are another class's, and not looked at.
        own, leave = smoothed[self._row, index], self._leave[number, index]
        held = time - self._entered < self._hold[number, index]
        new = np.where(own >= leave, index, UNDECIDED)
        # Equal scores are no reason to change.
        new = np.where(sure & (highest > own), best, new)
        new = np.where(held, index, new)
        new = np.where(index == UNDECIDED, np.where(sure, best, UNDECIDED), new)
        self._entered = np.where(new != index, time, self._entered)
        self._index = new
        return new
