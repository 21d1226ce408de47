"""How the report writes its figures."""

import math
from collections.abc import Callable

from edgekit_convert.quantize.recipes import EXACT_DB

_MIB = 1 << 20


def threshold(fraction: float) -> str:
    """A fraction as the user gave it: `99%`, `98.5%`."""
    return f"{100 * fraction:.6g}%"


def decibels(ratio: float | None, unit: str = "") -> str:
    """A ratio in dB with one digit; `exact` where there is no difference."""
    if ratio is None or ratio >= EXACT_DB:
        return "exact"
    return _minus(f"{ratio:.1f}") + unit.replace(" ", "\u202f")


def nats(divergence: float) -> str:
    """A divergence, or a change, with three digits: candidates often differ only in the third."""
    if 0 < divergence < 1e-4:
        return "<\u202f0.0001"
    if not 0 < divergence < 10:
        return f"{divergence:.2f}"
    return f"{divergence:.{2 - math.floor(math.log10(divergence))}f}"


def value(number: float) -> str:
    """A number with two digits; a small one with two significant digits."""
    return _minus(f"{number:.2f}" if abs(number) >= 0.1 or number == 0 else f"{number:.2g}")


def _minus(number: str) -> str:
    # A hyphen is narrower than a plus sign and the digits.
    return number.replace("-", "\u2212")


def size(count: int) -> str:
    """A number of bytes in KiB or MiB."""
    if count < _MIB // 10:
        return f"{count / 1024:,.1f}\u202fKiB"
    return f"{count / _MIB:,.{0 if count >= 100 * _MIB else 1}f}\u202fMiB"


def duration(seconds: float) -> str:
    """Seconds with tenths; from a minute on, minutes and seconds."""
    if seconds < 60:
        return f"{seconds:.1f}\u202fs"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}\u202fmin {rest}\u202fs"


def sentence(text: str) -> str:
    """The text with a capital letter and a full stop; what is no plain word keeps its spelling."""
    text = text.strip()
    if not text:
        return ""
    if text.split()[0].isalpha():
        text = text[0].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."


# For the templates.
FILTERS: dict[str, Callable[..., str]] = {
    "threshold": threshold,
    "db": decibels,
    "nats": nats,
    "size": size,
    "value": value,
    "duration": duration,
    "sentence": sentence,
}
