"""The page about settings that were tuned."""

import math
from collections.abc import Mapping
from typing import NamedTuple

from edgekit import __version__
from edgekit.inference.events import timestamp
from edgekit.offline.tuning import summary
from edgekit.offline.tuning.trade_off import Point, TradeOff
from edgekit.offline.tuning.tuner import Tuned
from edgekit.report.page import Figure, render
from edgekit.text import clock

# Of the drawing, in its own units.
_WIDTH, _HEIGHT = 640, 260
_TICKS = 5


class Mark(NamedTuple):
    """A setting in the drawing.

    Attributes:
        x, y: where, in its units.
        title: what it is.
    """

    x: float
    y: float
    title: str


class Axis(NamedTuple):
    """Where an axis has lines, in the drawing's units, and what they mean."""

    ticks: list[tuple[float, str]]
    maximum: float


def render_tuning(
    tuned: Tuned, found: TradeOff, model: str, toml: str, facts: Mapping[str, str]
) -> str:
    """The page: one file that runs no script and loads nothing.

    Args:
        tuned: what was found.
        found: where settings lie.
        model: its name.
        toml: the settings as a configuration.
        facts: how it was found, by name.
    """
    recordings = tuned.parts.recordings
    points = [*found.front, found.before, found.after]
    late = _axis(max(point.late for point in points), _WIDTH)
    vain = _axis(max(point.vain for point in points), _HEIGHT)

    def mark(point: Point, name: str) -> Mark:
        one = point.settings
        values = f"smoothing {one.smoothing}, enter {one.enter:g}, leave {one.leave:g}"
        return Mark(
            _WIDTH * point.late / late.maximum,
            _HEIGHT * (1 - point.vain / vain.maximum),
            f"{name}{values}, hold {one.hold:g}: {point.late:.2f} s late, "
            f"{summary.per_hour(point.vain)}",
        )

    span = sum(one.span for one in recordings)
    return render(
        "edgekit.offline",
        "tuning.html.j2",
        {
            "tuned": tuned,
            "model": model,
            "toml": toml,
            "verdict": summary.verdict(tuned),
            "figures": _figures(tuned),
            "settings": summary.settings_lines(tuned),
            "lines": summary.figures_lines(tuned),
            "width": _WIDTH,
            "height": _HEIGHT,
            "across": late.ticks,
            "upwards": [(_HEIGHT - place, text) for place, text in vain.ticks],
            "front": [mark(point, "") for point in found.front],
            "before": mark(found.before, "now: "),
            "after": mark(found.after, "recommended: "),
            "facts": {
                "Objective": str(tuned.cost),
                "Recordings": ", ".join(
                    f"{one.name} ({len(one.events)} events, {clock(one.span)})"
                    for one in recordings
                ),
                "Parts": f"{tuned.parts.count}, of {clock(span)} in all",
                "Tried": f"{len(tuned.tried.settings):,} settings",
                **facts,
                "Made": f"{timestamp()} by edgekit {__version__}",
            },
        },
    )


def _axis(maximum: float, length: float) -> Axis:
    """Round numbers up to one that is not below `maximum`."""
    step = 10 ** math.floor(math.log10(maximum / _TICKS)) if maximum else 0.2
    step = next(step * many for many in (1, 2, 5, 10) if step * many * _TICKS >= maximum)
    ticks = [(length * tick / _TICKS, f"{step * tick:g}") for tick in range(_TICKS + 1)]
    return Axis(ticks, step * _TICKS)


def _figures(tuned: Tuned) -> list[Figure]:
    before, after = tuned.before, tuned.after

    def delay(value: float | None) -> str:
        return "–" if value is None else f"{value:.2f} s"

    return [
        Figure("Events found", f"{after.found} of {after.events}", f"now {before.found}"),
        Figure("False", f"{after.false}", f"now {before.false}"),
        Figure("Told again", f"{after.repeated}", f"now {before.repeated}"),
        Figure("Median delay", delay(after.median_delay), f"now {delay(before.median_delay)}"),
        Figure("Cost an event", f"{after.cost:.3g}", f"now {before.cost:.3g}"),
    ]
