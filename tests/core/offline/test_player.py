"""Frames of a recording through the daemon's pipeline and decision."""

from pathlib import Path
from unittest.mock import Mock

import pytest

from edgekit.inference.classifier import Classifier
from edgekit.inference.frame import Frame, FrameRecord
from edgekit.model.decision import DecisionSettings
from edgekit.offline.player import Player
from tests.core.offline.profiles import profile
from tests.recordings import picture

# No label is given up before its time, so that it shows where the decision begins afresh.
SETTINGS = DecisionSettings(smoothing=1, hold=100)


@pytest.fixture
def player(model: Path) -> Player:
    return Player("a.clip", None, Classifier.open(model), SETTINGS)


def _frame(position: int, colour: str, stretch: int = 0, event: str | None = None) -> Frame:
    number, time = 10 + position, position / 10
    record = FrameRecord(number, time, stretch, "", colour, 1.0, [], event) if stretch else None
    return Frame(
        number, picture(colour), time, 0.0, position=position, stretch=stretch, record=record
    )


def _played(player: Player, *frames: Frame) -> list[tuple[str, bool]]:
    """The label of each, and whether it gives an event."""
    played = [player.play(player.prepare(frame)) for frame in frames]
    return [(one.result.label, one.event is not None) for one in played]


def test_within_a_stretch_the_decision_goes_on(player: Player) -> None:
    assert _played(player, _frame(0, "red"), _frame(1, "green")) == [("red", True), ("red", False)]


def test_where_frames_were_left_out_it_begins_afresh_and_gives_no_event(player: Player) -> None:
    frames = (_frame(0, "red"), _frame(1, "green", stretch=1), _frame(2, "blue", stretch=1))
    assert _played(player, *frames) == [("red", True), ("green", False), ("green", False)]


def test_a_stretch_that_began_with_a_change_begins_with_one(player: Player) -> None:
    frames = (_frame(0, "red"), _frame(1, "green", stretch=1, event="change"))
    assert _played(player, *frames) == [("red", True), ("green", True)]


def test_events_have_the_number_in_the_camera_and_the_time_in_the_recording(
    player: Player,
) -> None:
    event = player.play(player.prepare(_frame(0, "red"))).event
    assert event is not None
    assert (event.frame, event.time, event.source) == (10, 0.0, "a.clip")


def test_drift_is_looked_for_in_what_the_model_was_given_and_begins_afresh_with_the_decision(
    player: Player, monkeypatch: pytest.MonkeyPatch
) -> None:
    course = Mock()
    monkeypatch.setattr(player, "drift", course)
    frames = (_frame(0, "red"), _frame(1, "green"), _frame(2, "blue", stretch=1))
    played = [player.play(player.prepare(frame)) for frame in frames]
    assert [call[0] for call in course.mock_calls] == ["add", "add", "begin", "add"]
    for one, call in zip(played, course.add.call_args_list, strict=True):
        tensor, scores, time = call.args
        assert tensor is one.result.tensor and scores is one.result.scores
        assert time == one.frame.time


def test_drift_changes_no_answer(model: Path) -> None:
    classifier = Classifier.open(model)
    answers = []
    for classifier.profile in (None, profile()):
        player = Player("a.clip", None, classifier, SETTINGS)
        played = [player.play(player.prepare(_frame(10 * number, "grey"))) for number in range(200)]
        answers.append([(one.result.label, one.scores, one.result.verdict) for one in played])
    assert player.drift.told
    assert answers[0] == answers[1]
