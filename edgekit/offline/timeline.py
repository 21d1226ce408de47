"""Runs of labels as rows of a timeline: truth above, answer below, and what is wrong under both."""

import html
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from edgekit.inference.events import UNKNOWN
from edgekit.offline.evaluation import Run

# Seconds that a row may show; the shortest that makes few rows is taken.
_ROWS = (5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 43200, 86400)
_MOST_ROWS = 8
_TICKS = 5
# A segment that is narrower would not be seen, and a flickering answer makes very many.
_NARROWEST = 0.05  # percent of a row
# In a narrower one nobody could read its label.
_NARROWEST_TEXT = 4.0


class Span(NamedTuple):
    """From `start` to `end`, in seconds, a label; `wrong` when it is not what it should be."""

    start: float
    end: float
    label: str
    wrong: bool = False


def wrong_spans(truths: Sequence[Run], decisions: Sequence[Run]) -> list[Span]:
    """Where both are known and differ; `label` says how."""
    spans, place = [], 0
    for answer in decisions:
        while place < len(truths) and truths[place].end <= answer.start:
            place += 1
        for truth in truths[place:]:
            if truth.start >= answer.end:
                break
            if truth.label in (None, answer.label):
                continue
            start, end = max(truth.start, answer.start), min(truth.end, answer.end)
            spans.append(Span(start, end, f"{answer.label}, not {truth.label}", wrong=True))
    return spans


def render(truths: Sequence[Run], decisions: Sequence[Run], labels: Sequence[str]) -> str:
    """The timeline as HTML.

    Args:
        truths, decisions: runs that cover the same time.
        labels: those that get a colour of their own, in this order.
    """
    begin, end = decisions[0].start, decisions[-1].end
    seconds = next((row for row in _ROWS if (end - begin) / row <= _MOST_ROWS), _ROWS[-1])
    lanes = (
        ("truth", [Span(r.start, r.end, r.label) for r in truths if r.label is not None]),
        ("answer", [Span(r.start, r.end, r.label or UNKNOWN) for r in decisions]),
        ("wrong", wrong_spans(truths, decisions)),
    )
    if end - begin < seconds and end > begin:
        return _row(begin, end - begin, lanes, labels)
    rows, start = [], begin
    while start < end - 1e-9:
        rows.append(_row(start, float(seconds), lanes, labels))
        start += seconds
    return "\n".join(rows)


def _row(
    start: float, seconds: float, lanes: Iterable[tuple[str, list[Span]]], labels: Sequence[str]
) -> str:
    parts = [f'<div class="row" role="img" aria-label="from {clock(start)}">']
    parts.append("<span>truth</span><span>answer</span>")
    for name, spans in lanes:
        parts.append(f'<div class="lane {name}">')
        drawn = 0.0
        for span in spans:
            left = 100 * (max(span.start, start) - start) / seconds
            right = 100 * (min(span.end, start + seconds) - start) / seconds
            if right - max(left, drawn) < _NARROWEST and not (span.wrong and right > drawn):
                continue
            drawn = max(right, left + _NARROWEST)
            parts.append(_segment(span, left, right - left, labels))
        parts.append("</div>")
    parts.append('<div class="ticks">')
    for number in range(_TICKS + 1):
        at = 100 * number / _TICKS
        text = clock(start + seconds * number / _TICKS, fine=seconds < 60)
        parts.append(f'<span style="left:{at:.2f}%">{text}</span>')
    parts.append("</div></div>")
    return "".join(parts)


def _segment(span: Span, left: float, width: float, labels: Sequence[str]) -> str:
    text = html.escape(span.label)
    title = f"{text}, {clock(span.start, fine=True)} to {clock(span.end, fine=True)}"
    style = f"left:{left:.3f}%;width:{width:.3f}%"
    if span.wrong:
        return f'<i class="bad" style="{style}" title="{title}"></i>'
    colour = f"c{labels.index(span.label) % COLOURS}" if span.label in labels else "none"
    shown = text if width >= _NARROWEST_TEXT else ""
    return f'<b class="{colour}" style="{style}" title="{title}">{shown}</b>'


# Classes c0, c1, … of the style sheet.
COLOURS = 10


def clock(seconds: float, fine: bool = False) -> str:
    """As `1:02:03`, `2:03`, or with tenths `2:03.4`."""
    tenths = round(10 * seconds)
    whole, tenth = divmod(tenths, 10)
    hours, rest = divmod(whole, 3600)
    text = f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"
    return f"{text}.{tenth}" if fine else text
