"""The fleet as people read it."""

import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from textwrap import wrap
from typing import NamedTuple

import click

from edgekit_device.fleet.devices import OFFLINE, SILENT, UNKNOWN, Device

_COLOURS = {
    "running": "green", "starting": "cyan", "paused": "cyan", "degraded": "yellow",
    "stalled": "red", OFFLINE: "red", SILENT: "red", UNKNOWN: "red",
}  # fmt: skip
_GAP = 2
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))


class _Column(NamedTuple):
    """A column: its title, what stands in it, its widest, and when it is left out: 0 never."""

    title: str
    text: Callable[[Device], str]
    widest: int
    rank: int = 0


def age(seconds: float | None) -> str:
    """Seconds as `12 s`, `3 min`, `5 h` or `40 d`; `-` where they are not known."""
    if seconds is None:
        return "-"
    for length, unit in _UNITS:
        if abs(seconds) >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _degrees(temperature: float | None) -> str:
    return "-" if temperature is None else f"{temperature:.0f} °C"


_COLUMNS = (
    _Column("NAME", lambda d: d.name, 32),
    _Column("STATE", lambda d: d.state, 10),
    _Column("LABEL", lambda d: d.label or "-", 20, 4),
    _Column("MODEL", lambda d: d.model or "-", 28, 3),
    _Column("HASH", lambda d: d.model_sha256[:12] or "-", 12, 6),
    _Column("SIGNER", lambda d: d.model_signer.partition(",")[0] or "-", 24, 9),
    _Column("SINCE", lambda d: age(d.model_age_s), 8, 7),
    _Column("VERSION", lambda d: d.version or "-", 14, 5),
    _Column("FRAME", lambda d: age(d.frame_age_s), 8, 8),
    _Column("TEMP", lambda d: _degrees(d.temperature_c), 8, 2),
    _Column("SEEN", lambda d: age(d.last_seen_s), 8, 1),
)  # fmt: skip


def width(text: str) -> int:
    """Columns that a text takes on a terminal."""
    return sum(
        0 if unicodedata.combining(letter) else 2 if _is_wide(letter) else 1 for letter in text
    )


def _is_wide(letter: str) -> bool:
    return unicodedata.east_asian_width(letter) in "WF"


def fit(text: str, columns: int) -> str:
    """A text with exactly so many columns: with blanks behind it, or cut, with … at its end."""
    if width(text) > columns:
        kept, room = "", columns - 1
        for letter in text:
            if (room := room - width(letter)) < 0:
                break
            kept += letter
        text = f"{kept}…"
    return text + " " * (columns - width(text))


def render(devices: Sequence[Device], columns: int | None, lines: int | None = None) -> str:
    """A table, with what is wrong below each device.

    Args:
        devices: in their order.
        columns: that there are; without an end if None.
        lines: that there are; what does not fit is counted. Without an end if None.

    Returns:
        Lines; the last says which columns are left out, where some are.
    """
    shown = list(_COLUMNS)
    widths = {
        column: min(
            column.widest,
            max(width(text) for text in (column.title, *map(column.text, devices))),
        )
        for column in shown
    }
    while columns is not None and sum(widths[c] + _GAP for c in shown) - _GAP > columns:
        last = max(shown, key=lambda column: column.rank)
        if not last.rank:
            break
        shown.remove(last)
    if columns is not None:
        # The name gives way to the state.
        rest = sum(widths[column] + _GAP for column in shown[1:])
        widths[shown[0]] = max(1, min(widths[shown[0]], columns - rest))
    rows = ["  ".join(fit(column.title, widths[column]) for column in shown).rstrip()]
    blocks = [_block(device, shown, widths, columns) for device in devices]
    left = [column.title for column in _COLUMNS if column not in shown]
    foot: list[str] = []
    if left and columns is not None:
        told = f"left out for want of room: {', '.join(left)}; see --json"
        # Where lines are counted, it has one.
        foot = wrap(told, columns) if lines is None else [fit(told, columns).rstrip()]
    room = None if lines is None else lines - len(rows) - len(foot)
    for number, block in enumerate(blocks):
        # The last line is for those that have no room.
        last_one = number == len(blocks) - 1
        if room is not None and len(block) > room - (0 if last_one else 1):
            rows.append(f"… and {len(blocks) - number:,} more")
            break
        rows += block
        room = None if room is None else room - len(block)
    return "\n".join([*rows, *foot])


def _block(
    device: Device, shown: Sequence[_Column], widths: dict[_Column, int], columns: int | None
) -> list[str]:
    cells = []
    for column in shown:
        cell = fit(column.text(device), widths[column])
        if column.title == "STATE":
            cell = click.style(cell, fg=_COLOURS.get(device.state, "red"))
        cells.append(cell)
    below = [*device.problems, *([f"drift: {device.drift}"] if device.drift else [])]
    room = None if columns is None else max(8, columns - 4)
    return [
        "  ".join(cells).rstrip(),
        *(
            f"    {text if room is None or width(text) <= room else fit(text, room)}"
            for text in below
        ),
    ]


def summary(devices: Sequence[Device]) -> str:
    """How many there are, in which states and with which models, in a line or two."""
    if not devices:
        return "no device fits"
    states = Counter(device.state for device in devices)
    models = Counter(f"{d.model} {d.model_sha256[:12]}" for d in devices if d.model)
    versions = Counter(device.version for device in devices if device.version)
    unwell = sum(device.unwell for device in devices)
    lines = [
        f"{len(devices):,} device(s): {_counted(states)}; "
        + (f"{unwell:,} unwell" if unwell else "all are well")
    ]
    if models:
        lines.append(f"models: {_counted(models)}")
    if versions:
        lines.append(f"versions: {_counted(versions)}")
    return "\n".join(lines)


def _counted(counter: Counter[str], maximum: int = 6) -> str:
    parts = [f"{count:,} {what}" for what, count in counter.most_common(maximum)]
    rest = len(counter) - maximum
    return ", ".join([*parts, *([f"and {rest:,} others"] if rest > 0 else [])]) or "none"


def line(device: Device) -> str:
    """A device in one line, for what changes."""
    parts = [device.name, device.state]
    if device.label:
        parts.append(device.label)
    if device.model:
        parts.append(f"{device.model} {device.model_sha256[:12]}")
    if device.version:
        parts.append(device.version)
    parts += device.problems
    if device.drift:
        parts.append(f"drift: {device.drift}")
    return " · ".join(parts)
