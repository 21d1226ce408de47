"""How figures are written."""

import json

import click
import pytest

from edgekit.text import clock, encodable, listed, one_line, percent, printable


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


def test_what_utf8_cannot_write_is_a_question_mark() -> None:
    assert encodable("caf\udce9 猫") == "caf? 猫"


def test_a_percentage_has_as_many_digits_as_are_asked_for() -> None:
    assert percent(0.99214, digits=2) == "99.21%"
    assert percent(0.99999, digits=2) == "99.99%"
    assert percent(0.000001, digits=2) == "0.01%"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("down\nWATCHDOG=1", "down WATCHDOG=1"),
        ("a\r\n\t b\x85c\u2028d", "a b c d"),
        ("\x1b[31mred\x1b[0m\x07", "[31mred [0m"),
        ("nul\0byte \udcff", "nul byte"),
        ("größer · 5 °C", "größer · 5 °C"),
    ],
)
def test_words_of_others_are_one_line_that_steers_nothing(text: str, line: str) -> None:
    assert one_line(text) == line


def test_a_line_has_an_end() -> None:
    assert one_line("a" * 1000) == "a" * 1000
    assert one_line("a" * 1001) == "a" * 999 + "…"


def test_of_many_names_the_first_are_listed() -> None:
    assert listed(["a", "b", "c"], 2) == "a, b, …"
    assert listed(["a", "b"], 2) == "a, b"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\tb\nc\n", "a\tb\nc\n"),
        ("\x1b[2Jgone\x07\x9b1m\r", "\\u001b[2Jgone\\u0007\\u009b1m\\u000d"),
        ("\x1b]0;title\x1b\\", "\\u001b]0;title\\u001b\\"),
        ("\u202etac\u2066\u200f", "\\u202etac\\u2066\\u200f"),
        ("one\u2028two\x85three", "one\\u2028two\\u0085three"),
        ("größer \U0001f468\u200d\U0001f469", "größer \U0001f468\u200d\U0001f469"),
    ],
)
def test_what_steers_a_terminal_is_shown(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_what_is_shown_so_is_the_same_json() -> None:
    said = json.dumps("\x9b\u202e\u2028", ensure_ascii=False)
    assert printable(said) != said
    assert json.loads(printable(said)) == json.loads(said)


def test_our_own_colours_stay() -> None:
    coloured = click.style("ok", fg="bright_red", bold=True)
    assert printable(coloured) == coloured
    assert printable("\x1b[8mhidden") == "\\u001b[8mhidden"
