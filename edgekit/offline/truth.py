"""What a recording shows, as a person says: intervals with a label, in CSV or JSON."""

import csv
import difflib
import io
import itertools
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from types import NoneType
from typing import Any, NamedTuple, TypeAlias

from edgekit.errors import DatasetError
from edgekit.files import decode_json, read_text
from edgekit.inference.events import UNKNOWN
from edgekit.inference.frame import Frame
from edgekit.model.labels import class_called

# Where it stands, and its cells by column.
_Row: TypeAlias = tuple[str, dict[str, Any]]
_SECONDS, _FRAMES = ("start", "end", "label"), ("start_frame", "end_frame", "label")
_CLOCK = re.compile(r"(?:(\d{1,6}):)?(\d{1,2}):(\d{1,2}(?:\.\d+)?)")


class Interval(NamedTuple):
    """A stretch of a recording that shows one thing.

    Attributes:
        start, end: where it begins, and where it is over: seconds, or frames.
        label: a class of the model, or `unknown`.
        place: where the file says so: `line 3`.
    """

    start: float
    end: float
    label: str
    place: str


class Truth(NamedTuple):
    """Intervals in order, none of which overlaps another.

    Attributes:
        intervals: what lies between them is not judged.
        in_frames: whether they count frames, from 0, and not seconds.
        frames: how many frames the file has a label for, or null; None where it has intervals.
    """

    intervals: list[Interval]
    in_frames: bool
    frames: int | None = None

    def at(self, frame: Frame) -> float:
        """Where a frame lies, in the unit of the intervals."""
        return frame.position if self.in_frames else frame.time


class Course:
    """Finds the intervals of frames that come in their order."""

    def __init__(self, truth: Truth) -> None:
        self._truth = truth
        # The interval that the last frame lies in, or the next one.
        self._place = 0

    def at(self, frame: Frame) -> Interval | None:
        """The interval in which the next frame lies; None where it is not judged."""
        intervals, where = self._truth.intervals, self._truth.at(frame)
        while self._place < len(intervals) and intervals[self._place].end <= where:
            self._place += 1
        if self._place == len(intervals) or intervals[self._place].start > where:
            return None
        return intervals[self._place]


def read_truth(path: Path, labels: Sequence[str]) -> Truth:
    """Read a file of labelled intervals.

    CSV with the columns `start,end,label`, where times are seconds or `[hours:]minutes:seconds`,
    or `start_frame,end_frame,label`; or a JSON list of objects with those keys. An interval
    includes its start, and not its end. A JSON list of labels is understood, too: one for each
    frame, null where it is not judged.

    Args:
        path: the file.
        labels: the model's class names.

    Raises:
        DatasetError: the file cannot be read, or an interval is wrong; names its line.
    """
    return parse_truth(path, read_text(path, DatasetError, "labels"), labels)


def parse_truth(path: Path, text: str, labels: Sequence[str]) -> Truth:
    """Understand the text of such a file; `path` is for messages.

    Raises:
        DatasetError: an interval is wrong; names its line.
    """
    rows: Iterable[_Row]
    frames = None
    if text.lstrip()[:1] in ("[", "{"):
        rows, frames = _json_rows(path, text)
    else:
        rows = _csv_rows(path, text)
    intervals, in_frames = [], False
    for place, row in rows:
        in_frames = "start_frame" in row
        intervals.append(_interval(path, place, row, in_frames, labels))
    if not intervals:
        raise DatasetError(f"{path} has no intervals")
    intervals.sort(key=lambda one: one.start)
    for one, other in pairwise(intervals):
        if other.start < one.end:
            raise DatasetError(
                f"{path}, {other.place}: {other.label} from {other.start:g} overlaps "
                f"{one.label} until {one.end:g} ({one.place})"
            )
    return Truth(intervals, in_frames, frames)


def _csv_rows(path: Path, text: str) -> Iterator[_Row]:
    reader = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True)
    header: tuple[str, ...] | None = None
    try:
        lines = [(f"line {reader.line_num}", cells) for cells in reader]
    except csv.Error as error:
        raise DatasetError(f"{path}, line {reader.line_num}: {error}") from error
    for place, cells in lines:
        if not any(cell.strip() for cell in cells):
            continue
        values = [cell.strip() for cell in cells]
        if header is None:
            header = tuple(value.lower() for value in values)
            if sorted(header) not in (sorted(_SECONDS), sorted(_FRAMES)):
                raise DatasetError(
                    f"{path}, {place}: the columns are start,end,label (seconds) or "
                    f"start_frame,end_frame,label, not {','.join(values)}"
                )
            continue
        if len(values) != len(header):
            raise DatasetError(f"{path}, {place} has {len(values)} cells, not {len(header)}")
        yield place, dict(zip(header, values, strict=True))


def _json_rows(path: Path, text: str) -> tuple[list[_Row], int | None]:
    """The intervals, and how many frames there are where each has its label."""
    try:
        rows = decode_json(text.encode(), Any)
    except ValueError as error:
        raise DatasetError(f"{path} is not valid JSON: {error}") from error
    if isinstance(rows, list) and all(isinstance(row, (str, NoneType)) for row in rows):
        return list(_of_each_frame(rows)), len(rows)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DatasetError(
            f"{path} is {_shape(rows)}; it has to be a JSON list of objects with the keys "
            f"{', '.join(_SECONDS)}, or of one label for each frame"
        )
    wanted = _FRAMES if rows and "start_frame" in rows[0] else _SECONDS
    for number, row in enumerate(rows, start=1):
        if set(row) != set(wanted):
            raise DatasetError(f"{path}, interval {number}: its keys are not {', '.join(wanted)}")
    return [(f"interval {number}", row) for number, row in enumerate(rows, start=1)], None


def _of_each_frame(labels: list[str | None]) -> Iterator[_Row]:
    """Intervals of the frames that have the same label, one after another."""
    start = 0
    for label, frames in itertools.groupby(labels):
        end = start + len(list(frames))
        if label is not None:
            yield f"item {start + 1}", {"start_frame": start, "end_frame": end, "label": label}
        start = end


def _shape(value: Any) -> str:
    """What JSON holds, in words."""
    if isinstance(value, dict):
        return f"a JSON object with the keys {', '.join(map(str, list(value)[:5]))}"
    if isinstance(value, list):
        kinds = sorted({type(one).__name__ for one in value})
        return f"a JSON list of {' and '.join(kinds)}"
    return f"JSON of type {type(value).__name__}"


def _interval(
    path: Path, place: str, row: dict[str, Any], in_frames: bool, labels: Sequence[str]
) -> Interval:
    suffix = "_frame" if in_frames else ""
    start, end = (_number(path, place, row[f"{name}{suffix}"]) for name in ("start", "end"))
    label = unicodedata.normalize("NFC", str(row["label"]))
    if start < 0:
        raise DatasetError(f"{path}, {place}: the start {start:g} is negative")
    if end <= start:
        raise DatasetError(f"{path}, {place}: the end {end:g} is not after the start {start:g}")
    if in_frames and (start % 1 or end % 1):
        raise DatasetError(f"{path}, {place}: frames are whole numbers")
    if label not in labels and (label != UNKNOWN or class_called(UNKNOWN) in labels):
        if class_called(label) in labels:
            raise DatasetError(
                f"{path}, {place}: {label!r} alone means that no class is sure enough, and the "
                f"model has a class of that name; write {class_called(label)!r} for the class, and "
                "leave out what is to be undecided"
            )
        near = difflib.get_close_matches(label, labels, n=1)
        remedy = f"did you mean {near[0]}?" if near else f"it knows {', '.join(labels[:5])}, …"
        raise DatasetError(f"{path}, {place}: the model has no class {label!r}; {remedy}")
    return Interval(start, end, label, place)


def _number(path: Path, place: str, value: Any) -> float:
    clock = _CLOCK.fullmatch(str(value))
    if clock:
        hours, minutes, seconds = clock.groups(default="0")
        return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = float("nan")
    if not abs(number) < 1e9:
        raise DatasetError(f"{path}, {place}: {value!r} is neither a number nor minutes:seconds")
    return number
