"""A setting is changed where that pays on parts that did not choose it, and else it stays."""

import numpy as np
import pytest

from edgekit.offline.tuning.selection import Gain, cross_validated, families, gain
from edgekit.offline.tuning.selection import choose as choose_among

NONE, ENTER, HOLD = frozenset[str](), frozenset({"enter"}), frozenset({"hold"})
PARTS = 10


def choose(costs: np.ndarray, changed: list[frozenset[str]]) -> int:
    """Of settings that differ from the first in these keys."""
    return choose_among(costs, families(changed))


def costs(*rows: float | list[float]) -> np.ndarray:
    """(settings, parts): one cost for all parts, or each."""
    return np.array([row if isinstance(row, list) else [row] * PARTS for row in rows], float)


def mixed(value: float, spread: float) -> list[float]:
    """Costs that vary from part to part around a mean."""
    return [value + spread * (-1) ** part for part in range(PARTS)]


def test_what_is_cheaper_everywhere_is_chosen() -> None:
    assert choose(costs(2, 1), [NONE, ENTER]) == 1


def test_equal_costs_leave_what_holds() -> None:
    assert choose(costs(1, 1, 1), [NONE, ENTER, HOLD]) == 0


def test_what_is_cheaper_by_less_than_its_standard_error_is_not_chosen() -> None:
    assert choose(costs(2, mixed(1.9, 0.2)), [NONE, ENTER]) == 1
    assert choose(costs(2, mixed(1.9, 0.4)), [NONE, ENTER]) == 0


def test_a_single_event_is_no_reason() -> None:
    once = [1.0] + [0.0] * (PARTS - 1)
    more = [1.0] * 4 + [0.0] * (PARTS - 4)
    assert choose(costs(once, 0), [NONE, ENTER]) == 0
    assert choose(costs(more, 0), [NONE, ENTER]) == 1


def test_of_settings_that_nothing_tells_apart_the_nearest_is_chosen() -> None:
    # Settings come in the order of how near they are.
    assert choose(costs(2, mixed(1.01, 0.2), 1), [NONE, ENTER, ENTER]) == 1


def test_a_setting_half_way_that_does_not_pay_itself_is_passed_over() -> None:
    # Nothing tells the second from the third, and nothing tells it from the first.
    half_way = mixed(1.9, 3.0)
    assert choose(costs(2, half_way, 1), [NONE, ENTER, ENTER]) == 2


def test_what_only_varies_more_is_not_preferred() -> None:
    # Two keys are best. Of the families of one, that of `hold` is dearer, but by so different
    # amounts that the best does not beat it; that of `enter` is beaten, by next to nothing.
    hold = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    found = choose(costs(9, 0.01, hold, 0), [NONE, ENTER, HOLD, ENTER | HOLD])
    assert found == 1


def test_a_second_key_has_to_pay_beside_the_first() -> None:
    both = ENTER | HOLD
    assert choose(costs(2, 1, 2, 1), [NONE, ENTER, HOLD, both]) == 1
    assert choose(costs(2, 1, 2, 0.5), [NONE, ENTER, HOLD, both]) == 3


def test_a_part_is_judged_by_what_the_others_choose() -> None:
    # The others choose the second, of which the first part alone would warn.
    own = costs(1, [5.0] + [0.0] * (PARTS - 1))
    held_out = cross_validated(own, np.ones(2, np.bool_))
    assert held_out[0] == 5


def test_noise_alone_seldom_changes_anything() -> None:
    noise = np.random.default_rng(1).normal(1, 0.3, (50, 400, PARTS))
    chosen = [choose(one, [NONE] + [ENTER] * 399) for one in noise]
    # Were all of them but one setting, chance would pass a standard error one time in six.
    assert sum(place != 0 for place in chosen) <= 12


@pytest.mark.parametrize(
    ("before", "after", "value", "error", "pays"),
    [
        ([3.0, 3.0], [1.0, 1.0], 4, 0, True),
        ([1.0, 1.0], [3.0, 3.0], -4, 0, False),
        ([3.0, 1.0], [1.0, 1.0], 2, 2, False),
        ([1.0], [1.0], 0, 0, False),
    ],
)
def test_a_gain_has_the_standard_error_of_paired_differences(
    before: list[float], after: list[float], value: float, error: float, pays: bool
) -> None:
    found = gain(np.array(before), np.array(after))
    assert found == Gain(pytest.approx(value), pytest.approx(error))
    assert found.pays is pays
