"""Delays between tries."""

from edgekit_device.backoff import Backoff
from hypothesis import given
from hypothesis import strategies as st


def test_delays_double_up_to_the_most() -> None:
    backoff = Backoff(1, 10, jitter=0)
    assert [backoff.next() for _ in range(6)] == [1, 2, 4, 8, 10, 10]


def test_reset_begins_again() -> None:
    backoff = Backoff(1, 10, factor=3, jitter=0)
    assert [backoff.next(), backoff.next()] == [1, 3]
    backoff.reset()
    assert backoff.next() == 1


def test_the_jitter_is_part_of_the_delay() -> None:
    draws = iter([0.0, 0.5, 1.0])
    backoff = Backoff(8, 8, jitter=0.25, draw=lambda: next(draws))
    assert [backoff.next() for _ in range(3)] == [8, 7, 6]


@given(st.floats(0.001, 100), st.floats(0.001, 100), st.integers(1, 2000))
def test_a_delay_is_never_nothing_and_never_too_long(first: float, most: float, n: int) -> None:
    backoff = Backoff(first, most)
    for _ in range(n):
        delay = backoff.next()
    assert min(first, most) / 2 <= delay <= most
