"""The state machine that makes a label that stays put of single scores."""

from itertools import pairwise

import msgspec
import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgekit.inference.decision import Decision, Verdict
from edgekit.model.decision import DecisionSettings, LabelSettings

PLAIN = DecisionSettings(smoothing=1, enter=0.6, leave=0.4, hold=0, heartbeat=0)


def names(frame: NDArray[np.float32]) -> list[str]:
    """Of as many classes as a frame has scores."""
    return [f"class {index}" for index in range(len(frame))]


def scores(best: int, score: float, classes: int = 3) -> NDArray[np.float32]:
    """`score` for one class, the rest shared by the others."""
    values = np.full(classes, (1 - score) / (classes - 1), np.float32)
    values[best] = score
    return values


def decide(
    settings: DecisionSettings, frames: list[NDArray[np.float32]], seconds: float = 1.0
) -> list[Verdict]:
    decision = Decision(settings, names(frames[0]))
    return [decision.update(frame, i * seconds) for i, frame in enumerate(frames)]


def test_the_first_frame_is_always_told() -> None:
    sure, unsure = decide(PLAIN, [scores(1, 0.9)]), decide(PLAIN, [scores(1, 0.5)])
    assert (sure[0].index, sure[0].event, sure[0].first) == (1, "change", True)
    assert (unsure[0].index, unsure[0].event, unsure[0].first) == (None, "change", True)


def test_a_label_is_entered_high_and_left_low() -> None:
    course = [0.59, 0.61, 0.41, 0.39, 0.59, 0.61]
    verdicts = decide(PLAIN, [scores(0, score) for score in course])
    assert [verdict.index for verdict in verdicts] == [None, 0, 0, None, None, 0]
    assert [verdict.event for verdict in verdicts] == [
        "change", "change", None, "change", None, "change",
    ]  # fmt: skip
    assert [verdict.previous for verdict in verdicts] == [None, None, None, 0, None, None]


def test_unknown_shows_the_score_of_the_best_class() -> None:
    (verdict,) = decide(PLAIN, [scores(2, 0.5)])
    assert verdict.index is None
    assert verdict.score == 0.5


def test_smoothing_outlives_a_single_odd_frame() -> None:
    settings = DecisionSettings(smoothing=5, enter=0.6, leave=0.4, hold=0, heartbeat=0)
    steady = [scores(0, 0.95)] * 8
    verdicts = decide(settings, [*steady, scores(1, 0.95), *steady])
    assert [verdict.event for verdict in verdicts] == ["change"] + [None] * 16


def test_smoothing_is_an_exponential_moving_average() -> None:
    # Over three frames each new one weighs 2 / (3 + 1).
    settings = DecisionSettings(smoothing=3, enter=0, leave=0, hold=0, heartbeat=0)
    seen = [np.float32([score, 0]) for score in (0.875, 0.125, 0.75, 0.125)]
    assert [v.score for v in decide(settings, seen)] == [0.875, 0.5, 0.625, 0.375]


def test_an_equal_score_is_no_reason_to_change() -> None:
    seen = [np.float32([0.1, 0.7]), np.float32([0.7, 0.7]), np.float32([0.8, 0.7])]
    assert [verdict.index for verdict in decide(PLAIN, seen)] == [1, 1, 0]


def test_a_label_is_held_and_unknown_is_not() -> None:
    settings = DecisionSettings(smoothing=1, enter=0.6, leave=0.4, hold=3, heartbeat=0)
    seen = [scores(0, 0.9), scores(1, 0.9), scores(1, 0.9), scores(1, 0.9), scores(1, 0.9)]
    assert [verdict.index for verdict in decide(settings, seen)] == [0, 0, 0, 1, 1]
    assert [v.index for v in decide(settings, [scores(0, 0.5), scores(1, 0.9)])] == [None, 1]


def test_a_heartbeat_follows_silence() -> None:
    settings = DecisionSettings(smoothing=1, enter=0.6, leave=0.4, hold=0, heartbeat=3)
    seen = [scores(0, 0.9)] * 5 + [scores(1, 0.9)] * 4
    assert [verdict.event for verdict in decide(settings, seen)] == [
        "change", None, None, "heartbeat", None, "change", None, None, "heartbeat",
    ]  # fmt: skip


def test_every_frame_can_be_told() -> None:
    decision = Decision(PLAIN, ["ant", "bee", "cat"], every_frame=True)
    seen = [scores(0, 0.9), scores(0, 0.9), scores(1, 0.9)]
    events = [decision.update(frame, float(i)).event for i, frame in enumerate(seen)]
    assert events == ["change", "frame", "change"]


def with_labels(settings: DecisionSettings, **labels: LabelSettings) -> DecisionSettings:
    """The same with other settings for classes, `class_1` and so on."""
    named = {name.replace("_", " "): label for name, label in labels.items()}
    return msgspec.structs.replace(settings, labels=named)


def test_a_label_is_entered_left_and_held_by_its_own_settings() -> None:
    settings = with_labels(PLAIN, class_1=LabelSettings(0.9, 0.2, 3))
    course = [scores(1, 0.8), scores(0, 0.7), scores(1, 0.95), scores(0, 0.9), scores(0, 0.9)]
    assert [v.index for v in decide(settings, course)] == [None, 0, 1, 1, 1]
    low = [scores(1, 0.95), *[scores(1, 0.35)] * 4, *[scores(1, 0.1)] * 2]
    assert [v.index for v in decide(settings, low)] == [1, 1, 1, 1, 1, None, None]


def test_one_that_is_not_sure_enough_for_itself_keeps_no_other_from_going() -> None:
    settings = with_labels(PLAIN, class_1=LabelSettings(0.9, 0.1, 0))
    seen = [np.float32([0.7, 0.2, 0.1]), np.float32([0.3, 0.6, 0.1])]
    assert [v.index for v in decide(settings, seen)] == [0, None]


def test_an_ignored_label_leaves_its_place_to_the_next() -> None:
    settings = with_labels(PLAIN, class_1=LabelSettings(0.6, 0.4, 0, ignore=True))
    seen = [np.float32([0.3, 0.7, 0.0]), np.float32([0.65, 0.7, 0.0]), np.float32([0.5, 0.9, 0.0])]
    verdicts = decide(settings, seen)
    assert [v.index for v in verdicts] == [None, 0, 0]
    # While unknown, the score is that of the best class that may be decided.
    assert verdicts[0].score == np.float32(0.3)


def test_the_scores_that_come_in_are_left_alone() -> None:
    first = scores(0, 0.9)
    kept = first.copy()
    decide(PLAIN, [first, scores(1, 0.9)])
    assert np.array_equal(first, kept)


fractions = st.floats(0, 1, width=32)
frame_scores = st.lists(fractions, min_size=3, max_size=3).map(
    lambda values: np.array(values, np.float32)
)
histories = st.lists(
    st.tuples(frame_scores, st.floats(0, 5, allow_nan=False)), min_size=1, max_size=60
)


@st.composite
def any_settings(draw: st.DrawFn) -> DecisionSettings:
    def thresholds() -> tuple[float, float, float]:
        low, high = sorted((draw(fractions), draw(fractions)))
        return high, low, draw(st.floats(0, 10))

    enter, leave, hold = thresholds()
    own = draw(st.sets(st.integers(0, 2)))
    return DecisionSettings(
        smoothing=draw(st.integers(1, 20)), enter=enter, leave=leave, hold=hold,
        heartbeat=draw(st.floats(0, 10)),
        labels={
            f"class {index}": LabelSettings(*thresholds(), ignore=draw(st.booleans()))
            for index in own
        },
    )  # fmt: skip


def rule(settings: DecisionSettings, verdict: Verdict) -> LabelSettings:
    """What holds for the label that is decided."""
    return settings.of(f"class {verdict.index}")


def _course(
    settings: DecisionSettings, history: list[tuple[NDArray[np.float32], float]]
) -> list[tuple[float, Verdict]]:
    decision, time, course = Decision(settings, names(history[0][0])), 0.0, []
    for frame, step in history:
        time += step
        course.append((time, decision.update(frame, time)))
    return course


@given(any_settings(), histories)
def test_the_same_frames_give_the_same_verdicts(
    settings: DecisionSettings, history: list[tuple[NDArray[np.float32], float]]
) -> None:
    assert _course(settings, history) == _course(settings, history)


@given(any_settings(), histories)
def test_changes_are_told_and_nothing_else_is_called_one(
    settings: DecisionSettings, history: list[tuple[NDArray[np.float32], float]]
) -> None:
    course = _course(settings, history)
    assert course[0][1].event == "change"
    for (_, before), (_, after) in pairwise(course):
        assert (after.event == "change") == (after.index != before.index)
        if after.event == "change":
            assert after.previous == before.index


@given(any_settings(), histories)
def test_a_label_is_never_left_before_its_time(
    settings: DecisionSettings, history: list[tuple[NDArray[np.float32], float]]
) -> None:
    entered = 0.0
    for (_, before), (time, after) in pairwise(_course(settings, history)):
        if after.index != before.index:
            assert before.index is None or time - entered >= rule(settings, before).hold
            entered = time


@given(any_settings(), histories)
def test_thresholds_hold_for_the_smoothed_score(
    settings: DecisionSettings, history: list[tuple[NDArray[np.float32], float]]
) -> None:
    course = [(0.0, Verdict(None, 0.0, None, None, False)), *_course(settings, history)]
    entered = 0.0
    for (_, before), (time, after) in pairwise(course):
        if after.index is None:
            continue
        if after.index != before.index:
            assert after.score >= np.float32(rule(settings, after).enter)
            entered = time
        elif time - entered >= rule(settings, after).hold:
            assert after.score >= np.float32(rule(settings, after).leave)


@given(any_settings(), histories)
def test_an_ignored_label_is_never_decided(
    settings: DecisionSettings, history: list[tuple[NDArray[np.float32], float]]
) -> None:
    for _, verdict in _course(settings, history):
        assert verdict.index is None or not rule(settings, verdict).ignore


@given(any_settings(), histories)
def test_the_same_said_of_each_label_decides_the_same_to_the_last_bit(
    settings: DecisionSettings, history: list[tuple[NDArray[np.float32], float]]
) -> None:
    general = msgspec.structs.replace(settings, labels={})
    each = LabelSettings(general.enter, general.leave, general.hold)
    own = with_labels(general, class_0=each, class_1=each, class_2=each)
    assert _course(own, history) == _course(general, history)


@given(any_settings(), histories)
def test_settings_of_a_label_that_never_leads_change_nothing(
    settings: DecisionSettings, history: list[tuple[NDArray[np.float32], float]]
) -> None:
    low = [(frame * np.float32([1, 1, 0]), step) for frame, step in history]
    history = [(np.maximum(frame, np.float32([1e-3, 0, 0])), step) for frame, step in low]
    general = msgspec.structs.replace(settings, labels={})
    own = with_labels(general, class_2=LabelSettings(0, 0, 9, ignore=True))
    assert _course(own, history) == _course(general, history)


@given(any_settings(), histories)
def test_silence_is_never_longer_than_a_heartbeat_and_a_frame(
    settings: DecisionSettings, history: list[tuple[NDArray[np.float32], float]]
) -> None:
    if not settings.heartbeat:
        return
    told = 0.0
    for time, verdict in _course(settings, history):
        if verdict.event is None:
            assert time - told < settings.heartbeat
        else:
            told = time


@given(histories)
@example([(np.float32([1, 1]), 0.0), (np.float32([0, 1e-15]), 0.0)])
def test_without_thresholds_and_smoothing_it_is_the_best_class(
    history: list[tuple[NDArray[np.float32], float]],
) -> None:
    settings = DecisionSettings(smoothing=1, enter=0, leave=0, hold=0, heartbeat=0)
    for (frame, _), (_, verdict) in zip(history, _course(settings, history), strict=True):
        assert verdict.index is not None
        assert frame[verdict.index] == frame.max()
