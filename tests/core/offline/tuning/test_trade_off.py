"""What else can be had: the settings than which none is both quicker and quieter, drawn."""

from itertools import pairwise

import pytest

from edgekit.model.decision import DecisionSettings
from edgekit.offline.tuning.objective import PREFERENCES
from edgekit.offline.tuning.trade_off import Point, TradeOff, drawn, trade_off
from edgekit.offline.tuning.tuner import tune
from tests.core.offline.tuning.courses import scores_of
from tests.core.offline.tuning.test_tuner import scene

ANY = DecisionSettings()


def test_none_of_the_front_is_beaten() -> None:
    found = tune([scores_of(*scene(1, wrong=0.2))], ANY, PREFERENCES["balanced"])
    where = trade_off(found)
    assert len(where.front) > 1
    for one, other in pairwise(where.front):
        assert one.late < other.late
        assert one.vain > other.vain
    for point in (where.before, where.after):
        assert any(one.late <= point.late and one.vain <= point.vain for one in where.front)
    assert where.before.settings == ANY
    assert where.after.settings == found.settings


def test_a_missed_event_is_late_by_its_length() -> None:
    course, shown = scene(2, wrong=0.2)
    deaf = DecisionSettings(enter=1, leave=1)
    found = tune([scores_of(course, shown)], deaf, PREFERENCES["balanced"])
    events = found.parts.recordings[0].events
    mean = sum(event.end - event.start for event in events) / len(events) / 10
    assert trade_off(found).before[:2] == pytest.approx((mean, 0))


def test_a_drawing_has_its_ends_named() -> None:
    front = [Point(0, 1200, ANY), Point(0.5, 0, ANY)]
    lines = drawn(TradeOff(Point(0.25, 600, ANY), Point(0.5, 0, ANY), front)).splitlines()
    assert lines[0] == "1,200 |·"
    assert lines[7] == "      |" + " " * 30 + "o"
    assert lines[14] == "    0 |" + " " * 60 + "x"
    assert lines[-1].split() == ["0", "0.50", "s"]


def test_where_nothing_goes_wrong_there_is_a_drawing_too() -> None:
    point = Point(0, 0, ANY)
    assert "|o" in drawn(TradeOff(point, point, [point]))
