"""How figures are written."""

import pytest

from edgekit.text import clock, percent


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00.0"), (59.96, "1:00.0"), (3725.31, "1:02:05.3")]
)
def test_times_are_written_as_clocks_do(seconds: float, text: str) -> None:
    assert clock(seconds, fine=True) == text


@pytest.mark.parametrize(
    ("fraction", "text"),
    [(0.0, "0.0%"), (0.00001, "0.1%"), (0.5, "50.0%"), (0.99999, "99.9%"), (1.0, "100.0%")],
)
def test_what_is_not_all_or_not_nothing_does_not_look_like_it(fraction: float, text: str) -> None:
    assert percent(fraction) == text


def test_a_percentage_has_as_many_digits_as_are_asked_for() -> None:
    assert percent(0.99214, digits=2) == "99.21%"
    assert percent(0.99999, digits=2) == "99.99%"
    assert percent(0.000001, digits=2) == "0.01%"
