"""Figures and other programs' words, as people read them."""

import re
from collections.abc import Iterator, Sequence

# https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters; an escape is let through
# where it begins one of the sequences that `click.style` writes.
_STEERING = re.compile(
    r"[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
    r"|\x1b(?!\[(?:0|1|3[0-7]|9[0-7])m)"
)


def percent(fraction: float, digits: int = 1) -> str:
    """A fraction in [0, 1] as `99.2%`; what is not all, or not nothing, does not look like it.

    Args:
        fraction: the number.
        digits: behind the point.
    """
    everything = 100 * 10**digits
    steps = round(everything * fraction)
    if steps == everything and fraction < 1:
        steps -= 1
    elif steps == 0 and fraction > 0:
        steps = 1
    return f"{100 * steps / everything:.{digits}f}%"


def clock(seconds: float, fine: bool = False) -> str:
    """Seconds as `1:02:03` or `2:03`, or with tenths as `2:03.4`."""
    tenths = round(10 * seconds)
    whole, tenth = divmod(tenths, 10)
    hours, rest = divmod(whole, 3600)
    text = f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"
    return f"{text}.{tenth}" if fine else text


def one_line(text: object, maximum: int = 1000) -> str:
    """Words that came from a file or the network, as what may stand in a line of ours.

    Line breaks, and whatever else steers a terminal or cannot be encoded, become blanks; blanks
    are one each, and what is longer than `maximum` characters ends with `…`.
    """
    line = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    return line if len(line) <= maximum else f"{line[: maximum - 1]}…"


def encodable(text: str) -> str:
    """Text that can be written as UTF-8: bytes of a file's name that are none become `?`."""
    return text.encode("utf-8", "replace").decode("utf-8")


def printable(text: str) -> str:
    """Text of several lines that steers no terminal: what would is shown as JSON escapes it.

    Line breaks and tabs stay, and so do the colours and the bold print of our own commands. Also
    shown are marks that turn the direction of the text around them, and breaks of lines that are
    no line feeds.
    """
    return _STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def listed(names: Sequence[str], maximum: int) -> str:
    """The first `maximum` of some names, as `a, b, c, …`; without `…` where that is all."""
    return ", ".join([*names[:maximum], *(["…"] if len(names) > maximum else [])])


def first_line(text: object) -> str:
    """The first line that says something, of an exception's text say."""
    return next(_lines(str(text)), "no reason given")


def last_line(output: str | bytes) -> str:
    """The last line that says something: what a program that failed usually ends with."""
    text = output.decode("utf-8", "replace") if isinstance(output, bytes) else output
    return next(_lines(text, reverse=True), "no reason given")


def _lines(text: str, reverse: bool = False) -> Iterator[str]:
    lines = text.splitlines()
    return (line.strip() for line in (reversed(lines) if reverse else lines) if line.strip())
