"""What was tuned, in words and as JSON."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from edgekit.model.decision import LABEL_KEYS, DecisionSettings
from edgekit.offline.tuning.candidates import KEYS
from edgekit.offline.tuning.figures import Figures
from edgekit.offline.tuning.trade_off import TradeOff
from edgekit.offline.tuning.tuner import Tuned


class Line(NamedTuple):
    """A row of a table: what it says of now, and of the recommendation."""

    name: str
    before: str
    after: str


def settings_lines(tuned: Tuned) -> list[Line]:
    """Every key that there is to choose, for all labels and for those that differ."""
    base, new = tuned.base, tuned.settings
    lines = [_line(key, getattr(base, key), getattr(new, key)) for key in KEYS]
    for label in dict.fromkeys([*base.labels, *new.labels]):
        own, its = base.of(label), new.of(label)
        if own.ignore:
            continue
        lines += [
            _line(f"{label}: {key}", getattr(own, key), getattr(its, key)) for key in LABEL_KEYS
        ]
    return lines


def _line(name: str, before: float, after: float) -> Line:
    return Line(name, f"{before:g}", f"{after:g}")


def figures_lines(tuned: Tuned) -> list[Line]:
    """The figures before and after."""
    rows = [_texts(one) for one in (tuned.before, tuned.after)]
    return [Line(name, rows[0][name], rows[1][name]) for name in rows[0]]


def _texts(one: Figures) -> dict[str, str]:
    delay = one.median_delay
    return {
        "events found": f"{one.found} of {one.events} ({_percents(one.found_interval())})",
        "answers right": f"{one.right} of {one.answers} ({_percents(one.right_interval())})",
        "false": f"{one.false} ({per_hour(one.false / one.hours)})",
        "told again": f"{one.repeated} ({per_hour(one.repeated / one.hours)})",
        "missed": str(one.missed),
        "median delay": "–"
        if delay is None or one.delay_interval is None
        else f"{delay:.2f} s ({one.delay_interval[0]:.2f}–{one.delay_interval[1]:.2f})",
        "cost an event": f"{one.cost:.3g} ({one.cost_interval[0]:.3g}–{one.cost_interval[1]:.3g})",
    }


def per_hour(rate: float) -> str:
    """So many an hour, in words."""
    return f"{rate:,.0f} an hour" if rate >= 10 else f"{rate:.2g} an hour"


def _percents(interval: tuple[float, float]) -> str:
    return f"{100 * interval[0]:.0f}–{100 * interval[1]:.0f}%"


def verdict(tuned: Tuned) -> str:
    """What to make of it, in a sentence or two."""
    if not tuned.is_better:
        return (
            "Nothing is better than the settings that hold now by more than chance explains, so "
            "they stay."
        )
    return (
        f"The recommended settings cost {tuned.gain.value:.3g} less an event (standard error "
        f"{tuned.gain.error:.2g}), on parts that did not tune them."
    )


def table(lines: Sequence[Line], heads: tuple[str, str, str]) -> str:
    """Rows in columns, for a terminal."""
    rows = [Line(*heads), *lines]
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    return "\n".join(
        f"{row.name:<{widths[0]}}  {row.before:<{widths[1]}}  {row.after}".rstrip() for row in rows
    )


def as_json(tuned: Tuned, found: TradeOff, toml: str) -> dict[str, Any]:
    """All of it, as JSON has it."""
    return {
        "objective": {
            "name": tuned.cost.name or None,
            "cost_false": tuned.cost.false,
            "cost_missed": tuned.cost.missed,
            "cost_second": tuned.cost.second,
        },
        "recordings": [
            {
                "name": one.name,
                "frames": one.frames,
                "judged": one.judged,
                "model": round(one.right, 6),
                "events": len(one.events),
                "span_s": round(one.span, 3),
            }
            for one in tuned.parts.recordings
        ],
        "parts": tuned.parts.count,
        "tried": len(tuned.tried.settings),
        "labels_with_enough_events": tuned.labels,
        "settings_before": _settings(tuned.base),
        "settings": _settings(tuned.settings),
        "before": tuned.before.summary(),
        "after": tuned.after.summary(),
        "gain": round(tuned.gain.value, 6),
        "gain_standard_error": round(tuned.gain.error, 6),
        "trade_off": [
            {
                "late_s": round(point.late, 6),
                "in_vain_per_hour": round(point.vain, 3),
                **{key: getattr(point.settings, key) for key in KEYS},
            }
            for point in found.front
        ],
        "changed": [line.name for line in settings_lines(tuned) if line.before != line.after],
        "toml": toml,
    }


def _settings(settings: DecisionSettings) -> dict[str, Any]:
    labels = {
        label: {"ignore": True} if rule.ignore else {key: getattr(rule, key) for key in LABEL_KEYS}
        for label, rule in settings.labels.items()
    }
    return {**{key: getattr(settings, key) for key in KEYS}, "labels": labels}
