"""Settings for whole recordings: what pays is changed, what does not stays."""

import random
import re
from collections.abc import Sequence

import numpy as np
import pytest

from edgekit.errors import ConfigurationError, DatasetError
from edgekit.inference.events import UNKNOWN
from edgekit.model.decision import DecisionSettings, LabelSettings
from edgekit.offline.tuning import candidates
from edgekit.offline.tuning import tuner as module
from edgekit.offline.tuning.objective import PREFERENCES, Cost
from edgekit.offline.tuning.parts import Parts, turns
from edgekit.offline.tuning.scores import Scores
from edgekit.offline.tuning.selection import Gain
from edgekit.offline.tuning.tuner import Tried, Tuned, tune
from tests.core.offline.tuning.courses import evaluated, scores_of, surely

BASE = DecisionSettings()
Shown = list[str | None]
Course = list[list[float]]


def scene(seed: int, events: int = 24, wrong: float = 0.0, late: int = 0) -> tuple[Course, Shown]:
    """Mugs and cups that come and go, each for two or three seconds.

    Args:
        seed: of what is random.
        events: number of intervals.
        wrong: fraction of frames with a wrong answer, a sure one.
        late: frames at which the model is unsure when something comes.
    """
    rng = random.Random(seed)
    course: Course = []
    shown: Shown = []
    for event in range(events):
        label = "nothing" if event % 2 else rng.choice(["mug", "cup"])
        for frame in range(rng.randint(20, 30)):
            other = rng.choice([one for one in ("mug", "cup", "nothing") if one != label])
            sure = surely(other if rng.random() < wrong else label)
            course.append(surely(label, 0.5) if frame < late else sure)
            shown.append(label)
    return course, shown


def mugs_and_cups() -> tuple[Course, Shown]:
    """Cups are false alarms up to 0.8, and mugs are never surer than that."""
    course: Course = []
    shown: Shown = []
    for _ in range(14):
        for label, score, truth, frames in (
            ("mug", 0.65, "mug", 20), (None, 0, UNKNOWN, 15), ("cup", 0.75, UNKNOWN, 12),
            (None, 0, UNKNOWN, 15), ("cup", 0.97, "cup", 20), (None, 0, UNKNOWN, 15),
        ):  # fmt: skip
            course += [surely(label, score)] * frames
            shown += [truth] * frames
    return course, shown


def tuned(
    scenes: Sequence[tuple[Course, Shown]], cost: Cost, base: DecisionSettings = BASE
) -> Tuned:
    lowest = candidates.lowest_enter(base)
    return tune([scores_of(*one, lowest=lowest) for one in scenes], base, cost)


def test_a_model_that_errs_in_single_frames_is_smoothed() -> None:
    base = DecisionSettings(smoothing=1, hold=0)
    found = tuned([scene(1, wrong=0.15)], PREFERENCES["few-false"], base)
    assert found.is_better
    assert found.gain.pays
    assert found.settings.smoothing > 1 or found.settings.hold > 0
    assert found.after.false + found.after.repeated < found.before.false + found.before.repeated
    assert found.after.cost < found.before.cost


def test_a_slow_decision_is_made_fast_where_that_costs_nothing() -> None:
    base = DecisionSettings(smoothing=20, hold=2)
    found = tuned([scene(2, wrong=0.01)], PREFERENCES["fast"], base)
    assert found.settings.smoothing < 20
    before, after = found.before.median_delay, found.after.median_delay
    assert before is not None
    assert after is not None
    assert after < before


def test_what_does_not_matter_stays() -> None:
    # No label is held for less than two seconds, so that holding it for longer changes nothing.
    found = tuned([scene(3, wrong=0.15)], PREFERENCES["few-false"], DecisionSettings(smoothing=1))
    assert found.settings.leave == found.base.leave or found.settings.enter == found.base.enter


def test_nothing_is_changed_where_nothing_is_better() -> None:
    first = tuned([scene(4, wrong=0.1)], PREFERENCES["balanced"])
    again = tuned([scene(4, wrong=0.1)], PREFERENCES["balanced"], first.settings)
    assert not again.is_better
    assert again.settings == first.settings
    assert again.before == again.after
    assert again.gain.value == 0


def test_a_label_with_events_enough_gets_a_threshold_of_its_own() -> None:
    found = tuned([mugs_and_cups()], PREFERENCES["balanced"])
    assert found.labels == ["mug", "cup"]
    assert found.settings.of("mug").enter <= 0.65
    assert 0.75 < found.settings.of("cup").enter <= 0.97
    assert list(found.settings.labels) in (["cup"], ["mug"])
    assert (found.before.false, found.after.false) == (14, 0)
    assert found.after.found == found.after.events == 14 * 4


def test_a_label_that_is_ignored_stays_ignored() -> None:
    course, shown = scene(5, wrong=0.2)
    base = DecisionSettings(labels={"cup": LabelSettings(0.6, 0.4, 0.5, ignore=True)})
    scores = scores_of(course, shown, ignored=["cup"])
    found = tune([scores], base, PREFERENCES["balanced"])
    assert found.settings.of("cup").ignore
    assert "cup" not in found.labels
    assert found.before.answers == evaluated(course, shown, base).answers


def test_figures_before_are_those_of_evaluate() -> None:
    course, shown = scene(6, wrong=0.2, late=3)
    found = tuned([(course, shown)], PREFERENCES["balanced"]).before
    expected = evaluated(course, shown, BASE)
    assert (found.found, found.events) == (len(expected.delays), len(expected.found))
    assert (found.answers, found.right) == (expected.answers, expected.right_answers)
    assert found.median_delay == pytest.approx(expected.median_delay())
    assert found.found_interval() == pytest.approx(expected.recall()[1])
    assert found.right_interval() == pytest.approx(expected.precision()[1])


def test_figures_after_are_not_of_what_was_tuned_on() -> None:
    """Where each part alone recommends something else, nothing is recommended by the others."""
    found = tuned([scene(seed, events=4, wrong=0.3) for seed in range(6)], PREFERENCES["balanced"])
    whole = [candidate.sum() for candidate in found.tried.costs]
    best = min(whole) / len(found.parts.events)
    assert found.after.cost >= best


def test_recordings_on_which_nothing_goes_wrong_are_refused() -> None:
    with pytest.raises(DatasetError, match="no setting, however quick, gives a false event"):
        tuned([scene(7)], PREFERENCES["balanced"])


def test_a_model_that_is_never_sure_is_refused() -> None:
    course = [[0.2, 0.1, 0.1]] * 10 + [[0.1, 0.2, 0.1]] * 10
    with pytest.raises(DatasetError, match="never sure enough"):
        tuned([(course, ["mug"] * 10 + ["cup"] * 10)], PREFERENCES["balanced"])


@pytest.mark.parametrize("events", [10, 25, 200])
def test_one_recording_is_cut_between_events(events: int) -> None:
    scores = scores_of(*scene(8, events=events))
    parts = Parts([scores])
    assert parts.count == {10: 5, 25: 12, 200: 20}[events]
    found = parts.outcomes([BASE])
    each = np.bincount(found.part_of, minlength=parts.count)
    assert each.sum() == events
    assert each.min() >= 2
    assert each.max() - each.min() <= 1


def test_many_recordings_are_parts_themselves() -> None:
    scenes: list[Scores] = [scores_of(*scene(seed, events=4)) for seed in range(5)]
    assert Parts(scenes).count == 5
    assert Parts(scenes[:4]).count == 8


@pytest.mark.parametrize("parts", [3, 10, 27])
def test_each_part_is_left_out_once(parts: int) -> None:
    found = np.concatenate(turns(parts))
    assert sorted(found) == list(range(parts))
    assert len(turns(parts)) == min(parts, 10)


@pytest.mark.parametrize(
    ("costs", "said"),
    [
        ((0, 1, 1), "--cost-false is 0, not a number above 0"),
        ((1, 0, 1), "--cost-missed is 0, not a number above 0"),
        ((1e308, 1, 1), "--cost-false is 1e+308, not a number above 0, to 1e+06"),
        ((-1, 1, 1), "--cost-false is -1"),
        ((1, 1, -1), "--cost-second is -1, not a number from 0 to 1e+06"),
        ((float("nan"), 1, 1), "--cost-false is nan"),
        ((1, 1, float("nan")), "--cost-second is nan"),
        ((1, float("inf"), 1), "--cost-missed is inf"),
    ],
)
def test_costs_that_leave_nothing_to_choose_are_refused(
    costs: tuple[float, float, float], said: str
) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(said)):
        Cost(*costs)


def test_a_late_event_costs_no_more_than_a_missed_one() -> None:
    course, shown = scene(9, late=10)
    scores = scores_of(course, shown)
    cheap, dear = (
        Cost(1, 1, second).of(Parts([scores]).outcomes([BASE])).sum() for second in (0.1, 1000)
    )
    assert cheap < dear <= 24


PAYS, DOES_NOT = Gain(2, 1), Gain(1, 2)


def test_what_does_not_pay_on_parts_left_out_is_not_recommended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    base = DecisionSettings(smoothing=1, hold=0)
    one = scene(1, wrong=0.15)
    assert tuned([one], PREFERENCES["few-false"], base).is_better
    monkeypatch.setattr(module, "gain", lambda *_: DOES_NOT)
    found = tuned([one], PREFERENCES["few-false"], base)
    assert found.settings == base
    assert found.after == found.before


def test_thresholds_of_labels_have_to_pay_beside_the_best_without_any(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # First asked is what labels gain, then what all of it does.
    answers = [DOES_NOT, PAYS, PAYS]
    monkeypatch.setattr(module, "gain", lambda *_: answers.pop(0))
    found = tuned([mugs_and_cups()], PREFERENCES["balanced"])
    assert found.settings.labels == {}
    assert answers == []


def test_each_part_is_judged_by_what_is_chosen_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = 8

    def choose(tried: Tried, chosen_on: np.ndarray) -> DecisionSettings:
        """Another setting for each part that is left out."""
        out = set(range(parts)) - set(chosen_on.tolist())
        return tried.settings[1 + min(out, default=parts)]

    monkeypatch.setattr(Tried, "choose", choose)
    monkeypatch.setattr(module, "gain", lambda *_: PAYS)
    found = tuned([scene(10, events=16, wrong=0.3)], PREFERENCES["balanced"])
    assert found.parts.count == parts
    own = [found.tried.costs[1 + part, part] for part in range(parts)]
    assert found.after.cost == pytest.approx(sum(own) / 16)
