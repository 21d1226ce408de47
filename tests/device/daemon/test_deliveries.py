"""What is said of sinks that are away, and what they lost is counted."""

import re
from collections.abc import Callable

import pytest
from edgekit_device.daemon.deliveries import QUIET, Deliveries
from edgekit_device.health import SinkHealth
from edgekit_device.sinks.base import Sink


class Counting(Sink):
    """A sink that reports what the test says."""

    owes_events = True

    def __init__(self, name: str = "mqtt") -> None:
        self.name = name
        self.counts = SinkHealth(sent=0, dropped=0, queued=0)

    def set(
        self, problem: str | None = None, *, sent: int = 0, lost: int = 0, queued: int = 0
    ) -> None:
        self.counts = SinkHealth(sent, lost, queued, problem)

    def report(self) -> SinkHealth:
        return self.counts


class Watch:
    """A live daemon's deliveries of one sink, looked at at times the test says."""

    def __init__(self) -> None:
        self.time = 0.0
        self.said: list[str] = []
        self.sink = Counting()
        self.deliveries = Deliveries(self.said.append, clock=lambda: self.time)

    def after(self, seconds: float, problem: str | None = None, lost: int = 0) -> list[str]:
        """What is said when it is like this so many seconds later."""
        self.time += seconds
        self.said.clear()
        self.sink.set(problem, lost=lost)
        self.deliveries.look([self.sink], live=True)
        return self.said.copy()


@pytest.fixture
def watch() -> Watch:
    return Watch()


def test_that_it_is_away_is_said_once_and_that_it_is_back_with_what_was_lost(watch: Watch) -> None:
    assert watch.after(0) == []
    assert watch.after(1, "refused") == ["mqtt: refused"]
    for _ in range(100):
        assert watch.after(60, "refused", lost=7) == []
    assert watch.after(1, lost=7) == ["mqtt: delivers again; 7 events were lost"]
    assert watch.after(100, lost=7) == []
    assert watch.after(100, "refused", lost=7) == ["mqtt: refused"]
    assert watch.after(1, lost=7) == ["mqtt: delivers again; no event was lost"]


def test_events_lost_before_the_first_look_count_as_lost_while_it_was_away(watch: Watch) -> None:
    assert watch.after(0, "answers 404", lost=1) == ["mqtt: answers 404"]
    assert watch.after(1, lost=1) == ["mqtt: delivers again; 1 event was lost"]


def test_another_reason_is_said_too(watch: Watch) -> None:
    assert watch.after(0, "refused") == ["mqtt: refused"]
    assert watch.after(QUIET, "not authorized") == ["mqtt: not authorized"]


def test_one_that_comes_and_goes_does_not_flood_a_journal(watch: Watch) -> None:
    said = []
    for lost in range(100):
        said += watch.after(QUIET / 100, f"away {lost}", lost=lost)
        said += watch.after(QUIET / 100, lost=lost)
    # Away and back, two lines in each of the two stretches and the one that follows.
    assert len(said) <= 6
    said += watch.after(QUIET, "away", lost=99)
    said += watch.after(0, lost=120)
    # Nothing is left out or counted twice.
    assert sum(map(int, re.findall(r"(\d+) events? w", " ".join(said)))) == 120


def test_a_loss_between_two_looks_is_said_without_a_problem(watch: Watch) -> None:
    assert watch.after(0, lost=3) == ["mqtt: 3 events were lost"]
    assert watch.after(1, lost=5) == []
    assert watch.after(QUIET, lost=5) == ["mqtt: 2 events were lost"]


def test_a_recording_says_nothing_before_its_end() -> None:
    said: list[str] = []
    sink, deliveries = Counting(), Deliveries(said.append)
    sink.set("refused", lost=2)
    deliveries.look([sink], live=False)
    assert said == []


def lost_in(*sinks: Sink) -> list[str]:
    said: list[str] = []
    assert Deliveries(said.append).conclude(None, sinks, stopped=True) is None
    return said


def test_what_was_dropped_and_what_still_waits_is_lost_in_the_end() -> None:
    mqtt, webhook, fine = Counting(), Counting("webhook"), Counting("stdout")
    mqtt.set("cannot reach it: refused", sent=4, lost=36, queued=2)
    webhook.set(sent=1_000, queued=1_200)
    fine.set(sent=42)
    assert lost_in(mqtt, webhook, fine) == [
        "mqtt: 38 of 42 events were not delivered: cannot reach it: refused",
        "webhook: 1,200 of 2,200 events were not delivered: they were not taken in time",
    ]


def test_the_last_reason_is_remembered_when_it_is_back_at_the_end() -> None:
    said: list[str] = []
    sink, deliveries = Counting(), Deliveries(said.append)
    sink.set("refused", lost=2)
    deliveries.look([sink], live=False)
    sink.set(sent=3, lost=2)
    deliveries.conclude(None, [sink], stopped=True)
    assert said == ["mqtt: 2 of 5 events were not delivered: refused"]


def test_a_sink_that_was_exchanged_counts_with_the_one_that_took_its_place() -> None:
    said: list[str] = []
    old, new, deliveries = Counting(), Counting(), Deliveries(said.append)
    old.set("refused", sent=1, lost=2, queued=3)
    deliveries.close([old], live=True)
    assert said == ["mqtt: 5 events were lost as it was closed"]
    new.set(sent=4)
    deliveries.look([new], live=True)
    deliveries.conclude(None, [new], stopped=True)
    assert said[1:] == ["mqtt: 5 of 10 events were not delivered: refused"]


@pytest.mark.parametrize(
    "excuse",
    [
        lambda sink: setattr(sink, "owes_events", False),
        lambda sink: setattr(sink, "failure", BrokenPipeError()),
    ],
    ids=["a sink of frames", "a reader that had enough"],
)
def test_what_nobody_waits_for_is_not_lost(excuse: Callable[[Sink], None]) -> None:
    sink = Counting()
    sink.set(lost=9)
    excuse(sink)
    assert lost_in(sink) == []
