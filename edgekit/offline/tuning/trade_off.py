"""Events told in vain against how late events are told: what can be had, and drawn as text."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekit.model.decision import DecisionSettings
from edgekit.offline.tuning.judging import Outcomes
from edgekit.offline.tuning.parts import Parts
from edgekit.offline.tuning.tuner import Tuned

_COLUMNS, _ROWS = 60, 14


class Point(NamedTuple):
    """What a setting does on all recordings.

    Attributes:
        late: seconds until an event is told, on average; one that is missed is late by its length.
        vain: false and repeated events an hour.
        settings: the setting.
    """

    late: float
    vain: float
    settings: DecisionSettings


class TradeOff(NamedTuple):
    """Where settings lie.

    Attributes:
        before, after: the one that holds now, and the recommended one.
        front: those than which none is better in both, the latest last.
    """

    before: Point
    after: Point
    front: list[Point]


def trade_off(tuned: Tuned) -> TradeOff:
    """Where the settings that were tried lie, on the recordings that also tuned."""
    tried = tuned.tried
    before, after = _points(
        tuned.parts,
        [tuned.base, tuned.settings],
        tuned.parts.outcomes([tuned.base, tuned.settings]),
    )
    points = _points(tuned.parts, tried.settings, tried.outcomes)
    front: list[Point] = []
    for point in sorted(points, key=lambda one: one[:2]):
        if not front or point.vain < front[-1].vain:
            front.append(point)
    return TradeOff(before, after, front)


def _points(parts: Parts, settings: Sequence[DecisionSettings], outcomes: Outcomes) -> list[Point]:
    lengths = np.concatenate(
        [
            [(event.end - event.start) * one.span / one.frames for event in one.events]
            for one in parts.recordings
        ]
    )
    late: NDArray[np.float64] = np.where(np.isnan(outcomes.delays), lengths, outcomes.delays)
    hours = sum(one.span for one in parts.recordings) / 3600
    vain = (outcomes.false + outcomes.repeated).sum(axis=1) / hours
    return [
        Point(float(seconds), float(events), one)
        for seconds, events, one in zip(late.mean(axis=1), vain, settings, strict=True)
    ]


def drawn(found: TradeOff) -> str:
    """The trade-off as a plot of letters, for a terminal."""
    points = [*found.front, found.before, found.after]
    right, top = max(one.late for one in points) or 1.0, max(one.vain for one in points) or 1.0
    canvas = [[" "] * (_COLUMNS + 1) for _ in range(_ROWS + 1)]

    def put(point: Point, letter: str) -> None:
        column = round(_COLUMNS * point.late / right)
        canvas[_ROWS - round(_ROWS * point.vain / top)][column] = letter

    for point in found.front:
        put(point, "·")
    put(found.before, "o")
    put(found.after, "x" if found.after[:2] != found.before[:2] else "o")
    highest = f"{top:,.0f}" if top >= 10 else f"{top:.2g}"
    width = len(highest)
    lines = [
        f"{highest if row == 0 else '0' if row == _ROWS else '':>{width}} |{''.join(line)}"
        for row, line in enumerate(canvas)
    ]
    axis = f"{' ' * width} +{'-' * (_COLUMNS + 1)}"
    ends = f"{' ' * width}  0{f'{right:.2f} s':>{_COLUMNS}}"
    return "\n".join(line.rstrip() for line in [*lines, axis, ends])
