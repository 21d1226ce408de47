"""Many settings side by side decide what each of them decides alone."""

from typing import Any

import hypothesis
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.inference.events import UNKNOWN
from edgekit.model.decision import DecisionSettings, LabelSettings
from edgekit.offline.tuning import replay as module
from edgekit.offline.tuning.replay import in_parts, replay
from edgekit.offline.tuning.scores import UNDECIDED
from tests.core.offline.tuning.courses import LABELS, decided, scores_of

# Eighths are exact in float32, so that scores and thresholds meet often.
eighths = st.integers(0, 8).map(lambda number: number / 8)


@st.composite
def thresholds(draw: Any) -> tuple[float, float, float]:
    leave, enter = sorted((draw(eighths), draw(eighths)))
    return enter, leave, draw(st.sampled_from([0.0, 0.1, 0.25, 1.0]))


@st.composite
def settings(draw: Any) -> DecisionSettings:
    enter, leave, hold = draw(thresholds())
    names = draw(st.lists(st.sampled_from(LABELS), unique=True))
    return DecisionSettings(
        smoothing=draw(st.sampled_from([1, 2, 3, 5, 20])),
        enter=enter,
        leave=leave,
        hold=hold,
        labels={name: LabelSettings(*draw(thresholds())) for name in names},
    )


frames = st.lists(
    st.lists(eighths | st.floats(0, 1, width=32), min_size=3, max_size=3), min_size=1, max_size=40
)


@hypothesis.settings(max_examples=60)
@given(course=frames, several=st.lists(settings(), min_size=1, max_size=6), data=st.data())
def test_every_setting_decides_as_the_daemon_does(
    course: list[list[float]], several: list[DecisionSettings], data: st.DataObject
) -> None:
    jumps = st.lists(st.integers(0, 1), min_size=len(course), max_size=len(course))
    stretches = np.cumsum(data.draw(jumps)).tolist()
    ignored = data.draw(st.lists(st.sampled_from(LABELS), unique=True))
    lowest = min(rule.enter for one in several for rule in map(one.of, LABELS))
    scores = scores_of(
        course, [None] * len(course), stretches=stretches, ignored=ignored, lowest=lowest
    )
    never = {name: LabelSettings(1, 1, 0, ignore=True) for name in ignored}
    together = replay(scores, several)
    for one, own in zip(several, together, strict=True):
        names = [UNKNOWN if index == UNDECIDED else scores.labels[index] for index in own]
        alone = msgspec.structs.replace(one, labels={**one.labels, **never})
        assert names == decided(course, alone, stretches=stretches)


def _agrees(course: list[list[float]], one: DecisionSettings) -> list[str]:
    """What a setting decides, alone and side by side."""
    scores = scores_of(course, [None] * len(course), lowest=one.enter)
    (own,) = replay(scores, [one])
    names = [UNKNOWN if index == UNDECIDED else scores.labels[index] for index in own]
    assert names == decided(course, one)
    return names


def test_an_equal_score_is_no_reason_to_change() -> None:
    one = DecisionSettings(smoothing=1, enter=0.25, leave=0.25, hold=0)
    course = [[0.0, 0.5, 0.0], [0.5, 0.5, 0.0], [0.6, 0.5, 0.0]]
    assert _agrees(course, one) == ["cup", "cup", "mug"]


def test_unsmoothed_scores_are_not_rounded() -> None:
    # 0.08 + (0.33 - 0.08) is less than 0.33, as float32 has them.
    one = DecisionSettings(smoothing=1, enter=0.33, leave=0.33, hold=0)
    assert _agrees([[0.08, 0.0, 0.0], [0.33, 0.0, 0.0]], one) == [UNKNOWN, "mug"]


def test_a_model_that_is_never_sure_decides_nothing() -> None:
    scores = scores_of([[0.2, 0.2, 0.2]] * 3, [None] * 3)
    assert scores.labels == []
    assert replay(scores, [DecisionSettings()]).tolist() == [[UNDECIDED] * 3]


def test_a_long_recording_is_replayed_with_some_settings_after_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scores = scores_of([[0.9, 0.1, 0]] * 4 + [[0, 0.9, 0.1]] * 4, [None] * 8)
    several = [DecisionSettings(smoothing=number) for number in range(1, 6)]
    monkeypatch.setattr(module, "_HELD", 2 * scores.frames)
    parts = list(in_parts(scores, several))
    assert [len(part) for _, part in parts] == [2, 2, 1]
    whole = replay(scores, several)
    for place, part in parts:
        assert (part == whole[place]).all()
