"""The settings that are tried."""

import itertools
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from edgekit.model.decision import LABEL_KEYS, DecisionSettings, LabelSettings

KEYS = ("smoothing", "enter", "leave", "hold")
_SMOOTHING = (1, 2, 3, 5, 8, 12, 20)
_ENTER = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
_LEAVE = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
_HOLD = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)


def lowest_enter(base: DecisionSettings) -> float:
    """The smallest threshold from which any candidate takes a label."""
    return min(*_ENTER, base.enter, *(one.enter for one in base.labels.values() if not one.ignore))


def for_all(base: DecisionSettings) -> list[DecisionSettings]:
    """Candidates for what holds for all labels; the first is `base` itself, the last the furthest.

    What `base` says of single labels stays.
    """
    found = [
        msgspec.structs.replace(base, smoothing=smoothing, enter=enter, leave=leave, hold=hold)
        for smoothing in _with(_SMOOTHING, base.smoothing)
        for enter, leave, hold in _thresholds(base.enter, base.leave, base.hold)
    ]
    return nearest_first(base, found)


def for_label(base: DecisionSettings, label: str) -> list[DecisionSettings]:
    """Candidates for what holds for one label, in the same order."""
    own = base.of(label)
    found = [
        with_label(base, label, LabelSettings(*rule))
        for rule in _thresholds(own.enter, own.leave, own.hold)
        if rule != (own.enter, own.leave, own.hold)
    ]
    return nearest_first(base, [base, *found], label)


def with_label(base: DecisionSettings, label: str, rule: LabelSettings) -> DecisionSettings:
    """Settings with another rule for one label."""
    return msgspec.structs.replace(base, labels={**base.labels, label: rule})


def changed(
    base: DecisionSettings, other: DecisionSettings, label: str | None = None
) -> frozenset[str]:
    """The keys in which two settings differ: in what holds for one label, or for all."""
    if label is None:
        return frozenset(key for key in KEYS if getattr(base, key) != getattr(other, key))
    own, its = base.of(label), other.of(label)
    return frozenset(key for key in LABEL_KEYS if getattr(own, key) != getattr(its, key))


def nearest_first(
    base: DecisionSettings, settings: Iterable[DecisionSettings], label: str | None = None
) -> list[DecisionSettings]:
    """Settings in the order of how far they are from `base`: in how many keys, then by how much."""

    def far(other: DecisionSettings) -> tuple[int, float]:
        one, two = (it if label is None else it.of(label) for it in (base, other))
        by = abs(one.enter - two.enter) + abs(one.leave - two.leave)
        by += abs(one.hold - two.hold) / _HOLD[-1]
        by += abs(base.smoothing - other.smoothing) / _SMOOTHING[-1]
        return len(changed(base, other, label)), by

    return sorted(settings, key=far)


def _thresholds(enter: float, leave: float, hold: float) -> Iterator[tuple[float, float, float]]:
    grid = itertools.product(_with(_ENTER, enter), _with(_LEAVE, leave), _with(_HOLD, hold))
    return (one for one in grid if one[1] <= one[0])


def _with(values: Sequence[float], own: float) -> list[float]:
    """The values in order, with that which holds now among them."""
    return sorted({*values, own})
