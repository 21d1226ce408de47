"""When a part is tried again, and when it is given up."""

import random

from edgekit_device import retry
from edgekit_device.retry import Retry, RetryPolicy
from hypothesis import given
from hypothesis import strategies as st


def test_delays_double_up_to_the_maximum() -> None:
    policy = RetryPolicy(1, 10, jitter=0)
    assert [policy.delay(failures) for failures in range(1, 7)] == [1, 2, 4, 8, 10, 10]


def test_without_a_failure_there_is_nothing_to_wait_for() -> None:
    assert RetryPolicy(1, 10).delay(0) == 0


def test_the_factor_is_the_growth() -> None:
    policy = RetryPolicy(1, 10, factor=3, jitter=0)
    assert [policy.delay(failures) for failures in (1, 2, 3)] == [1, 3, 9]


def test_the_jitter_is_taken_off_a_delay() -> None:
    policy = RetryPolicy(8, 8, jitter=0.25)
    assert [policy.delay(1, lambda drawn=drawn: drawn) for drawn in (0, 0.5, 1)] == [8, 7, 6]


@given(st.floats(0.001, 100), st.floats(0.001, 100), st.integers(1, 10**6))
def test_a_delay_is_never_nothing_and_never_too_long(first: float, maximum: float, n: int) -> None:
    assert min(first, maximum) / 2 <= RetryPolicy(first, maximum).delay(n) <= maximum


def test_restarts_of_the_service_come_at_once_and_then_up_to_two_minutes_apart() -> None:
    delays = [retry.SERVICE_RESTART.delay(earlier) for earlier in range(8)]
    assert delays == [0, 4, 8, 16, 32, 64, 120, 120]


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def retrying(timeout: float, clock: Clock) -> Retry:
    return Retry(RetryPolicy(1.0, 8.0, jitter=0.0), timeout, steady=30.0, clock=clock)


def test_it_waits_longer_each_time_and_gives_up() -> None:
    clock = Clock()
    tries, delays = retrying(20, clock), []
    while (delay := tries.failed()) is not None:
        delays.append(delay)
        clock.now += delay
    assert delays == [1, 2, 4, 8]


def test_with_no_time_at_all_it_gives_up_at_once() -> None:
    assert retrying(0, Clock()).failed() is None


def test_a_delay_that_would_end_at_the_timeout_is_still_waited_for() -> None:
    clock = Clock()
    tries = retrying(3, clock)
    assert tries.failed() == 1
    clock.now += 1
    assert tries.failed() == 2
    clock.now += 2
    assert tries.failed() is None


def test_working_for_a_moment_is_no_recovery() -> None:
    clock = Clock()
    tries = retrying(20, clock)
    for expected in (1, 2, 4):
        assert tries.failed() == expected
        clock.now += expected
        tries.worked()
        clock.now += 1
    clock.now += 10
    assert tries.failed() is None


def test_after_a_steady_stretch_it_begins_afresh() -> None:
    clock = Clock()
    tries = retrying(20, clock)
    assert tries.failed() == 1
    clock.now += 1
    tries.worked()
    clock.now += 29
    tries.worked()
    clock.now += 1
    assert tries.failed() == 1
    clock.now += 1
    assert tries.failed() == 2


def test_devices_that_lose_the_same_broker_come_back_one_after_the_other() -> None:
    draw = random.Random(0).random
    for failures in range(1, 8):
        delays = [retry.BROKER.delay(failures, draw) for _ in range(1000)]
        busiest = max(sum(second <= d < second + 1 for d in delays) for second in range(60))
        assert busiest < 300
