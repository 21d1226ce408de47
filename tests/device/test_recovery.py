"""When a part is tried again, and when it is given up."""

from edgekit_device.backoff import Backoff
from edgekit_device.recovery import Ladder


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def ladder(patience: float, clock: Clock, steady: float = 30.0) -> Ladder:
    return Ladder(patience, steady, Backoff(1.0, 8.0, jitter=0.0), clock)


def test_it_waits_longer_each_time_and_gives_up() -> None:
    clock = Clock()
    steps, delays = ladder(20, clock), []
    while (delay := steps.failed()) is not None:
        delays.append(delay)
        clock.now += delay
    assert delays == [1, 2, 4, 8]


def test_without_patience_it_gives_up_at_once() -> None:
    assert ladder(0, Clock()).failed() is None


def test_working_for_a_moment_is_no_recovery() -> None:
    clock = Clock()
    steps = ladder(20, clock)
    for expected in (1, 2, 4):
        assert steps.failed() == expected
        clock.now += expected
        steps.worked()
        clock.now += 1
    clock.now += 10
    assert steps.failed() is None


def test_after_a_steady_stretch_it_begins_afresh() -> None:
    clock = Clock()
    steps = ladder(20, clock)
    assert steps.failed() == 1
    clock.now += 1
    steps.worked()
    clock.now += 29
    steps.worked()
    clock.now += 1
    assert steps.failed() == 1
    clock.now += 1
    assert steps.failed() == 2
