"""Sinks that are exchanged while they work: nothing is counted twice, or not at all."""

import threading
from collections.abc import Iterator

import pytest
from edgekit_device.config.settings import Settings
from edgekit_device.daemon.outputs import Outputs
from edgekit_device.sinks import SinkEntry
from edgekit_device.sinks.base import Outbox, Sink

from edgekit.inference.events import Event
from tests.device.sinks.samples import make_event, make_health, until


class _Slow(Sink):
    """Delivers when it is told to."""

    name = "slow"
    owes_events = True

    def __init__(self) -> None:
        self.free = threading.Semaphore(0)
        self._outbox = Outbox[Event]("slow", self._deliver, limit=10)
        self.start = self._outbox.start  # type: ignore[method-assign]
        self.event = self._outbox.put  # type: ignore[method-assign]
        self.report = self._outbox.report  # type: ignore[method-assign, assignment]
        self.close = self._outbox.close  # type: ignore[method-assign]

    def _deliver(self, event: Event) -> None:
        assert self.free.acquire(timeout=30)


_ENTRY = SinkEntry("slow", lambda s: True, lambda s: s.top_k, lambda s, snapshot: _Slow())


@pytest.fixture
def outputs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Outputs]:
    monkeypatch.setattr("edgekit_device.daemon.outputs.GRACE", 0.05)
    outputs = Outputs([_ENTRY], make_health, lambda text: None)
    outputs.open(Settings())
    _sink(outputs).start()
    yield outputs
    _sink(outputs).free.release(100)


def _sink(outputs: Outputs) -> _Slow:
    sink = outputs.by_name["slow"]
    assert isinstance(sink, _Slow)
    return sink


def _exchange(outputs: Outputs) -> _Slow:
    """Another sink in the place of the one that is returned."""
    before = _sink(outputs)
    outputs.exchange({"slow": _Slow()})
    return before


def _counts(outputs: Outputs) -> tuple[int, int, int]:
    report = outputs.reports()["slow"]
    return report.sent, report.dropped, report.queued


def test_an_event_that_comes_late_to_a_closed_sink_is_dropped_and_counted(
    outputs: Outputs,
) -> None:
    """The thread that answers frames has looked up its sinks before they were exchanged."""
    before = _exchange(outputs)
    before.event(make_event(0))
    assert _counts(outputs) == (0, 1, 0)
    _exchange(outputs)
    assert _counts(outputs) == (0, 1, 0)


def test_a_delivery_that_outlasts_its_sink_is_in_hand_until_it_ends(outputs: Outputs) -> None:
    for frame in range(3):
        _sink(outputs).event(make_event(frame))
    until(lambda: _sink(outputs).report().queued == 3)
    before = _exchange(outputs)
    # What waited is lost, and what is under way may still arrive: no count ever falls.
    assert _counts(outputs) == (0, 2, 1)
    before.free.release()
    until(lambda: _counts(outputs) == (1, 2, 0))


def test_what_is_in_hand_at_the_next_exchange_counts_as_dropped(outputs: Outputs) -> None:
    _sink(outputs).event(make_event(0))
    until(lambda: _sink(outputs).report().queued == 1)
    before = _exchange(outputs)
    assert _counts(outputs) == (0, 0, 1)
    _exchange(outputs)
    assert _counts(outputs) == (0, 1, 0)
    before.free.release()
    assert _counts(outputs) == (0, 1, 0)
