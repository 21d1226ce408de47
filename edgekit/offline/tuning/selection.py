"""Which setting is chosen: the nearest to what holds now of those that nothing tells apart.

A key is changed only where that pays on parts of the recordings that did not choose its value, by
more than the standard error of the paired difference (the rule of one standard error: Breiman et
al. 1984, Classification and Regression Trees, 3.4.3).
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgekit.offline.tuning.parts import turns

# A difference of rounding errors is none.
_SLACK = 1e-9


@dataclass(frozen=True)
class Gain:
    """By how much one setting is cheaper than another in the same parts.

    Attributes:
        value: sum over the parts.
        error: its standard error.
    """

    value: float
    error: float

    @property
    def pays(self) -> bool:
        """Whether it is more than chance explains."""
        return self.value > self.error * (1 + _SLACK) + _SLACK


def gain(before: NDArray[np.float64], after: NDArray[np.float64]) -> Gain:
    """What is gained between two costs of the same parts, (parts,) each."""
    values, errors = _gains(before[None], after)
    return Gain(float(values[0]), float(errors[0]))


@dataclass(frozen=True)
class Family:
    """The settings that differ from what holds now in some keys alone.

    Attributes:
        keys: their number.
        allowed: (settings,) bool, which are of it.
    """

    keys: int
    allowed: NDArray[np.bool_]


def families(changed: Sequence[frozenset[str]]) -> list[Family]:
    """A family for each set of keys; `changed` says in which each setting differs."""
    keys = sorted(frozenset().union(*changed))
    return [
        Family(count, np.array([one <= set(some) for one in changed]))
        for count in range(len(keys) + 1)
        for some in itertools.combinations(keys, count)
    ]


def choose(costs: NDArray[np.float64], among: Sequence[Family]) -> int:
    """The setting to recommend.

    Args:
        costs: (settings, parts), the settings in the order of how near they are to the first, which
            holds now.
        among: the families of these settings.

    Returns:
        its place.
    """
    held_out = np.array([cross_validated(costs, family.allowed) for family in among])
    values, errors = _gains(held_out, held_out[held_out.sum(axis=1).argmin()])
    # The fewest keys with which a family is not beaten by the cheapest. Of as many keys, the
    # cheapest: that may be beaten, by a hair each time, where the other one only varies more.
    fewest = min(among[place].keys for place in np.flatnonzero(values <= _slack(errors)))
    best = min(
        (place for place, family in enumerate(among) if family.keys == fewest),
        key=lambda place: float(held_out[place].sum()),
    )
    return _nearest(costs, among[best].allowed)


def cross_validated(costs: NDArray[np.float64], allowed: NDArray[np.bool_]) -> NDArray[np.float64]:
    """What each part costs with the setting that the others choose among those allowed."""
    parts = costs.shape[1]
    found = np.empty(parts)
    for out in turns(parts):
        chosen = _nearest(np.delete(costs, out, axis=1), allowed)
        found[out] = costs[chosen, out]
    return found


def _nearest(costs: NDArray[np.float64], allowed: NDArray[np.bool_]) -> int:
    """The first of the allowed settings that pays, and that the cheapest of them does not beat.

    The one that holds now, which is the first of all, where none pays.
    """
    places = np.flatnonzero(allowed)
    there = costs[places]
    gained, errors = _gains(costs[0], there)
    lost, errors_of_lost = _gains(there, there[there.sum(axis=1).argmin()])
    good = (gained > _slack(errors)) & (lost <= _slack(errors_of_lost))
    return int(places[good.argmax()]) if good.any() else 0


def _slack(errors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard errors, with room for errors of rounding."""
    return errors * (1 + _SLACK) + _SLACK


def _gains(
    before: NDArray[np.float64], after: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sums of paired differences over parts, and their standard errors, for each row."""
    difference = before - after
    parts = difference.shape[1]
    if parts < 2:
        return difference.sum(axis=1), np.zeros(len(difference))
    return difference.sum(axis=1), difference.std(axis=1, ddof=1) * np.sqrt(parts)
