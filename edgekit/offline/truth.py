"""What a recording shows, as a person says: intervals with a label, in CSV or JSON."""

import csv
import difflib
import io
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from edgekit.errors import DatasetError
from edgekit.inference.events import UNKNOWN
from edgekit.inference.frame import Frame

_SECONDS, _FRAMES = ("start", "end", "label"), ("start_frame", "end_frame", "label")
_CLOCK = re.compile(r"(?:(\d+):)?(\d{1,2}):(\d{1,2}(?:\.\d+)?)")


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
    """

    intervals: list[Interval]
    in_frames: bool

    def at(self, frame: Frame) -> float:
        """Where a frame lies, in the unit of the intervals."""
        return frame.position if self.in_frames else frame.time


def read_truth(path: Path, labels: Sequence[str]) -> Truth:
    """Read a file of labelled intervals.

    CSV with the columns `start,end,label`, where times are seconds or `[hours:]minutes:seconds`,
    or `start_frame,end_frame,label`; or a JSON list of objects with those keys. An interval
    includes its start, and not its end.

    Args:
        path: the file.
        labels: the model's class names.

    Raises:
        DatasetError: the file cannot be read, or an interval is wrong; names its line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DatasetError(f"cannot read the labels {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path} is not UTF-8 text") from error
    rows = _json_rows(path, text) if text.lstrip().startswith("[") else _csv_rows(path, text)
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
    return Truth(intervals, in_frames)


def _csv_rows(path: Path, text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    reader = csv.reader(io.StringIO(text), skipinitialspace=True)
    header: tuple[str, ...] | None = None
    for cells in reader:
        place = f"line {reader.line_num}"
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


def _json_rows(path: Path, text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        rows = msgspec.json.decode(text.encode(), type=list[dict[str, float | str]])
    except msgspec.MsgspecError as error:
        raise DatasetError(
            f"{path} is not a JSON list of intervals {{start, end, label}}: {error}"
        ) from error
    wanted = _FRAMES if rows and "start_frame" in rows[0] else _SECONDS
    for number, row in enumerate(rows, start=1):
        if set(row) != set(wanted):
            raise DatasetError(f"{path}, interval {number}: its keys are not {', '.join(wanted)}")
        yield f"interval {number}", row


def _interval(
    path: Path, place: str, row: dict[str, Any], in_frames: bool, labels: Sequence[str]
) -> Interval:
    suffix = "_frame" if in_frames else ""
    start, end = (_number(path, place, row[f"{name}{suffix}"]) for name in ("start", "end"))
    label = str(row["label"])
    if start < 0:
        raise DatasetError(f"{path}, {place}: the start {start:g} is negative")
    if end <= start:
        raise DatasetError(f"{path}, {place}: the end {end:g} is not after the start {start:g}")
    if in_frames and (start % 1 or end % 1):
        raise DatasetError(f"{path}, {place}: frames are whole numbers")
    if label not in labels and label != UNKNOWN:
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
    except ValueError:
        number = float("nan")
    if not abs(number) < 1e9:
        raise DatasetError(f"{path}, {place}: {value!r} is neither a number nor minutes:seconds")
    return number
