"""Two courses of labels over the same time, as rows of a timeline: one above the other."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from edgekit.inference.events import UNKNOWN
from edgekit.text import clock

# How many labels have a colour of their own: classes c0, c1, … of the style sheet.
COLOURS = 10
# Seconds that a row may show; the shortest that makes few rows is taken.
_ROWS = (5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 43200, 86400)
_MAX_ROWS = 8
_TICKS = 5
# A segment that is narrower would not be seen, and a flickering answer makes very many.
_MIN_WIDTH = 0.05  # percent of a row
# In a narrower one nobody could read its label.
_MIN_TEXT_WIDTH = 4.0


@dataclass
class Run:
    """Consecutive frames with the same label.

    Attributes:
        label: None where it is not known.
        start, end: seconds; the end is the next frame's time.
        frames: their number.
    """

    label: str | None
    start: float
    end: float
    frames: int = 0


class Span(NamedTuple):
    """From `start` to `end`, in seconds, what there is to say."""

    start: float
    end: float
    label: str


class Segment(NamedTuple):
    """A span in a row.

    Attributes:
        left, width: in percent of the row.
        title: what it is, and from when to when.
        text: what is written into it; nothing where it is narrow.
        colour: number of its label's colour; None for a label without one.
    """

    left: float
    width: float
    title: str
    text: str
    colour: int | None


class Row(NamedTuple):
    """A row of the timeline.

    Attributes:
        start: seconds.
        fine: whether its ticks are told with tenths of a second.
        upper, lower, different: what is drawn in its lanes.
        bands: below them, a lane for each of what else there is to show.
        ticks: where they stand, in percent of the row, and their times in seconds.
    """

    start: float
    fine: bool
    upper: list[Segment]
    lower: list[Segment]
    different: list[Segment]
    bands: list[list[Segment]]
    ticks: list[tuple[float, float]]


def extend(runs: list[Run], label: str | None, time: float) -> None:
    """Add a frame at a time in seconds; the last run's end is set by the next frame."""
    if runs:
        runs[-1].end = time
    if not runs or runs[-1].label != label:
        runs.append(Run(label, time, time))
    runs[-1].frames += 1


def span_of(frames: int, first: float, last: float) -> float:
    """Seconds that frames cover: the last lasts as long as one does on average."""
    return (last - first) * frames / (frames - 1) if frames > 1 else 0.0


def labels_of(*courses: Iterable[Run]) -> list[str]:
    """The labels that occur, apart from `unknown`; those of most frames first."""
    frames: dict[str, int] = {}
    for course in courses:
        for run in course:
            if run.label is not None and run.label != UNKNOWN:
                frames[run.label] = frames.get(run.label, 0) + run.frames
    return sorted(frames, key=lambda label: (-frames[label], label))


def differences(
    upper: Sequence[Run], lower: Sequence[Run], words: str = "{lower}, not {upper}"
) -> list[Span]:
    """Where both are known and differ; `words` say how."""
    spans, place = [], 0
    for below in lower:
        while place < len(upper) and upper[place].end <= below.start:
            place += 1
        for number in range(place, len(upper)):
            above = upper[number]
            if above.start >= below.end:
                break
            if above.label in (None, below.label):
                continue
            start, end = max(above.start, below.start), min(above.end, below.end)
            spans.append(Span(start, end, words.format(upper=above.label, lower=below.label)))
    return spans


def rows(
    upper: Sequence[Run],
    lower: Sequence[Run],
    labels: Sequence[str],
    words: str = "{lower}, not {upper}",
    bands: Sequence[Sequence[Span]] = (),
) -> list[Row]:
    """The timeline, cut into rows that a page has the width for.

    Args:
        upper, lower: runs that cover the same time.
        labels: those that get a colour, in this order.
        words: what is said about a difference.
        bands: what else there is to show, such as drift; each gets a lane of its own.
    """
    begin, end = lower[0].start, lower[-1].end
    seconds = float(next((row for row in _ROWS if (end - begin) / row <= _MAX_ROWS), _ROWS[-1]))
    if begin < end < begin + seconds:
        seconds = end - begin
    colours = {label: number % COLOURS for number, label in enumerate(labels)}
    above, below = _known(upper), _known(lower)
    different = differences(upper, lower, words)
    found, start = [], begin
    while start < end - 1e-9:
        ticks = [
            (100 * tick / _TICKS, start + seconds * tick / _TICKS) for tick in range(_TICKS + 1)
        ]
        found.append(
            Row(
                start,
                seconds < 60,
                _segments(above, start, seconds, colours),
                _segments(below, start, seconds, colours),
                _segments(different, start, seconds, None),
                [_segments(band, start, seconds, None) for band in bands],
                ticks,
            )
        )
        start += seconds
    return found


def _known(runs: Iterable[Run]) -> list[Span]:
    return [Span(run.start, run.end, run.label) for run in runs if run.label is not None]


def _segments(
    spans: Iterable[Span], start: float, seconds: float, colours: Mapping[str, int] | None
) -> list[Segment]:
    """The spans of a row; without colours they are differences, of which none is left out."""
    segments = []
    drawn = 0.0
    for span in spans:
        if span.end <= start or span.start >= start + seconds:
            continue
        left = 100 * (max(span.start, start) - start) / seconds
        right = 100 * (min(span.end, start + seconds) - start) / seconds
        if right - max(left, drawn) < _MIN_WIDTH and (colours is not None or right <= drawn):
            continue
        drawn = max(right, left + _MIN_WIDTH)
        title = f"{span.label}, {clock(span.start, fine=True)} to {clock(span.end, fine=True)}"
        shown = colours is not None and right - left >= _MIN_TEXT_WIDTH
        segments.append(
            Segment(
                left, right - left, title, span.label if shown else "",
                colours.get(span.label) if colours is not None else None,
            )
        )  # fmt: skip
    return segments
