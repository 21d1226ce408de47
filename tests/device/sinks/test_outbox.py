"""The queue between the daemon and a slow receiver."""

import threading
from collections.abc import Iterator

import pytest
from edgekit_device.sinks.base import OVERFLOW, STUCK, Outbox, Sink

from tests.device.sinks.samples import make_event, make_health, until


class Receiver:
    """Takes messages, each once the gate is open; refuses those that are negative."""

    def __init__(self) -> None:
        self.taken: list[int] = []
        self.entered = threading.Event()
        self.gate = threading.Event()
        self.errors: list[Exception] = []

    def deliver(self, message: int) -> None:
        self.entered.set()
        assert self.gate.wait(60)
        if message < 0:
            raise ValueError(message)
        self.taken.append(message)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.gate.set()  # lets the thread end


def _outbox(receiver: Receiver, limit: int = 3, lossless: bool = False) -> Outbox[int]:
    outbox = Outbox(
        "test", receiver.deliver, limit=limit, lossless=lossless, on_error=receiver.errors.append
    )
    outbox.start()
    return outbox


def _counts(outbox: Outbox[int]) -> tuple[int, int, int]:
    report = outbox.report()
    return report.sent, report.dropped, report.queued


def test_messages_are_delivered_in_order(receiver: Receiver) -> None:
    receiver.gate.set()
    outbox = _outbox(receiver, limit=100)
    for message in range(100):
        outbox.put(message)
    outbox.close(30)
    assert receiver.taken == list(range(100))
    assert _counts(outbox) == (100, 0, 0)


def test_the_oldest_is_dropped_while_a_delivery_is_stuck(receiver: Receiver) -> None:
    outbox = _outbox(receiver)
    outbox.put(0)
    assert receiver.entered.wait(30)
    for message in range(1, 8):
        outbox.put(message)
    assert _counts(outbox) == (0, 4, 4)
    receiver.gate.set()
    outbox.close(30)
    assert receiver.taken == [0, 5, 6, 7]
    assert _counts(outbox) == (4, 4, 0)


def test_that_messages_come_too_fast_is_its_problem_until_none_waits(receiver: Receiver) -> None:
    outbox = _outbox(receiver)
    for message in range(4):
        outbox.put(message)
    assert receiver.entered.wait(30)
    outbox.put(4)
    outbox.put(5)
    assert outbox.report().dropped > 0
    assert outbox.report().problem == OVERFLOW
    assert outbox.report("away").problem == "away"
    receiver.gate.set()
    until(lambda: not outbox.report().queued)
    assert outbox.report().problem is None
    outbox.close(30)


def test_a_message_that_fails_is_dropped_and_the_next_is_delivered(receiver: Receiver) -> None:
    receiver.gate.set()
    outbox = _outbox(receiver)
    for message in (1, -1, 2):
        outbox.put(message)
    outbox.close(30)
    assert receiver.taken == [1, 2]
    assert [str(error) for error in receiver.errors] == ["-1"]
    assert _counts(outbox) == (2, 1, 0)


def test_close_drops_what_a_stuck_delivery_holds_up(receiver: Receiver) -> None:
    outbox = _outbox(receiver)
    outbox.put(0)
    assert receiver.entered.wait(30)
    outbox.put(1)
    outbox.close(0.01)
    assert _counts(outbox) == (0, 1, 1)
    outbox.put(2)  # too late
    assert _counts(outbox) == (0, 2, 1)
    receiver.gate.set()
    until(lambda: _counts(outbox) == (1, 2, 0))
    outbox.close(30)


def test_close_does_not_wait_for_what_was_never_started() -> None:
    outbox = Outbox[int]("test", lambda message: None, limit=3)
    outbox.put(0)
    outbox.close(3600)
    assert _counts(outbox) == (0, 1, 0)


def test_a_lossless_put_returns_when_its_message_was_delivered(receiver: Receiver) -> None:
    receiver.gate.set()
    outbox = _outbox(receiver, lossless=True)
    for message in range(50):
        outbox.put(message)
        assert receiver.taken[-1] == message
    outbox.close(0)
    assert _counts(outbox) == (50, 0, 0)


def test_close_frees_a_lossless_put(receiver: Receiver) -> None:
    outbox = _outbox(receiver, lossless=True)
    putting = threading.Thread(target=outbox.put, args=(0,))
    putting.start()
    assert receiver.entered.wait(30)
    outbox.close(0.01)
    putting.join(30)
    assert not putting.is_alive()


def test_an_error_may_end_it(receiver: Receiver) -> None:
    def end(error: Exception) -> None:
        outbox.close(0)

    receiver.gate.set()
    outbox = Outbox("test", receiver.deliver, limit=3, lossless=True, on_error=end)
    outbox.start()
    for message in (1, -1, 2, 3):
        outbox.put(message)
    assert receiver.taken == [1]
    assert _counts(outbox) == (1, 3, 0)


def test_a_plain_sink_does_nothing() -> None:
    sink = Sink()
    sink.start()
    sink.event(make_event())
    sink.health(make_health())
    assert sink.report().sent == 0
    sink.close(0)
    assert sink.failure is None


def test_a_delivery_that_takes_too_long_is_a_problem(receiver: Receiver) -> None:
    now = [100.0]
    outbox = Outbox("test", receiver.deliver, limit=3, patience=5.0, clock=lambda: now[0])
    outbox.start()
    outbox.put(1)
    assert receiver.entered.wait(30)
    for later, problem in ((105.0, None), (105.1, STUCK), (500.0, STUCK)):
        now[0] = later
        assert outbox.report().problem == problem
    assert outbox.report("the broker is away").problem == "the broker is away"
    # That it drops events is worse.
    for message in range(2, 6):
        outbox.put(message)
    assert (outbox.report().problem, outbox.report().dropped) == (OVERFLOW, 1)
    receiver.gate.set()
    until(lambda: outbox.report().queued == 0)
    assert outbox.report().problem is None
