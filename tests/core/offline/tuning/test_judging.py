"""Events of many settings are counted as `edgekit evaluate` counts those of one."""

import hypothesis
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.inference.events import UNKNOWN
from edgekit.model.decision import DecisionSettings
from edgekit.offline.tuning.judging import judge, together
from tests.core.offline.tuning.courses import (
    LABELS,
    PLAIN,
    STEP,
    evaluated,
    scores_of,
    surely,
)
from tests.core.offline.tuning.test_replay import frames, settings


@hypothesis.settings(max_examples=60)
@given(course=frames, several=st.lists(settings(), min_size=1, max_size=4), data=st.data())
def test_figures_of_each_setting_are_those_of_evaluate(
    course: list[list[float]], several: list[DecisionSettings], data: st.DataObject
) -> None:
    some = st.sampled_from([*LABELS, UNKNOWN, None])
    shown = data.draw(st.lists(some, min_size=len(course), max_size=len(course)))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(course)), max_size=3)))
    jumps = st.lists(st.integers(0, 1), min_size=len(course), max_size=len(course))
    stretches = np.cumsum(data.draw(jumps)).tolist()
    lowest = min(rule.enter for one in several for rule in map(one.of, LABELS))
    scores = scores_of(course, shown, stretches=stretches, lowest=lowest)
    outcomes = judge(scores, several, cuts)
    for place, one in enumerate(several):
        expected = evaluated(course, shown, one, stretches=stretches)
        delays = [None if np.isnan(delay) else round(delay, 6) for delay in outcomes.delays[place]]
        assert delays == [found.delay for found in expected.found]
        assert outcomes.answers[place].sum() == expected.answers
        assert outcomes.right[place].sum() == expected.right_answers
        assert (outcomes.repeated[place] <= outcomes.right[place]).all()


def _outcomes(said: str, shown: str, cuts: tuple[int, ...] = ()) -> dict[str, list[list[int]]]:
    """Of letters, one a frame: m, c, n for labels, ? for unknown, a blank for no judgement."""
    names = {name[0]: name for name in LABELS} | {"?": UNKNOWN, " ": None}
    course = [surely(None if letter == "?" else names[letter]) for letter in said]
    scores = scores_of(course, [names[letter] for letter in shown])
    found = judge(scores, [PLAIN], cuts)
    return {
        "false": found.false.tolist(),
        "repeated": found.repeated.tolist(),
        "right": found.right.tolist(),
    }


@pytest.mark.parametrize(
    ("said", "shown", "false", "repeated", "right"),
    [
        ("nnmmnn", "nnmmnn", 0, 0, 3),
        ("nnmcmn", "nnmmmn", 1, 1, 4),  # the second m tells what was told
        ("nnm?mn", "nnmmmn", 0, 1, 4),  # and so it does where it was given up
        ("nnm?mn", "nnm nn", 1, 0, 3),  # here the interval is over
        ("nnm?mn", "nnm mn", 0, 0, 4),  # and here there are two
        ("??m???", "??    ", 0, 0, 0),  # where nothing is judged
        ("??m???", "??????", 1, 0, 0),
    ],
)
def test_what_is_told_twice_is_told_in_vain(
    said: str, shown: str, false: int, repeated: int, right: int
) -> None:
    assert _outcomes(said, shown) == {
        "false": [[false]],
        "repeated": [[repeated]],
        "right": [[right]],
    }


def test_an_answer_counts_in_the_part_in_which_it_begins() -> None:
    found = _outcomes("nncnmm", "nnnnmm", cuts=(2, 4))
    assert found == {"false": [[0, 1, 0]], "repeated": [[0, 1, 0]], "right": [[1, 1, 1]]}


def test_a_delay_is_from_the_first_frame_of_an_interval_to_the_first_right_answer() -> None:
    course = [surely(label) for label in ["nothing"] * 3 + ["mug"] * 3]
    shown = ["nothing"] + ["mug"] * 5
    scores = scores_of(course, shown)
    found = judge(scores, [PLAIN, DecisionSettings(enter=0.95)], [])
    assert found.delays[0] == pytest.approx([0, 2 * STEP])
    assert np.isnan(found.delays[1]).all()


def test_recordings_are_put_one_after_another() -> None:
    course = [surely("mug"), surely("cup")] * 2
    one = judge(scores_of(course, ["mug", "cup", "mug", "cup"]), [PLAIN], [2])
    both = together([one, one])
    assert both.part_of.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert both.answers.tolist() == [[2, 2, 2, 2]]
    assert both.per_part(np.ones((1, 8))).tolist() == [[2, 2, 2, 2]]
