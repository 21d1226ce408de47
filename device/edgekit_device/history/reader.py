"""What reads a history: on a connection of its own, which never delays who writes it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import msgspec

from edgekit.errors import SourceError
from edgekit.vision.view import WHOLE, Region
from edgekit_device.history.corrections import Corrections
from edgekit_device.history.folder import damaged_in
from edgekit_device.history.layout import FILE, SQLITE_ERRORS, bytes_of, files_of, open_for_reading
from edgekit_device.history.times import Moment, milliseconds, rfc3339

# Milliseconds without watching that are no gap: a restart.
_NO_GAP = 5_000
# The daemon that writes says at least so often that it still watches.
_STILL = 1_000_000


class Span(NamedTuple):
    """Which events: each condition may be absent.

    Attributes:
        since, until: milliseconds since 1970; `until` is no part of it.
        label: the decided label.
    """

    since: int | None = None
    until: int | None = None
    label: str | None = None

    @property
    def where(self) -> tuple[str, list[Any]]:
        """As an SQL condition, and its values."""
        terms = [("at >= ?", self.since), ("at < ?", self.until), ("label = ?", self.label)]
        used = [(term, value) for term, value in terms if value is not None]
        return " AND ".join(term for term, _ in used) or "1", [value for _, value in used]

    def holds(self, at: int, label: str) -> bool:
        """Whether an event at a time is one of them."""
        return (
            (self.since is None or self.since <= at)
            and (self.until is None or at < self.until)
            and self.label in (None, label)
        )


class Kept(NamedTuple):
    """An event that is kept.

    Attributes:
        seq: its place in the order in which events came.
        id: of the event.
        at: milliseconds since 1970.
        label: the decided label.
        event: all of it, as JSON.
        sees: what the model saw, in fractions of the picture; None without one.
    """

    seq: int
    id: str
    at: int
    label: str
    event: str
    sees: Region | None


class Gap(msgspec.Struct, frozen=True, rename={"since": "from", "until": "to"}):
    """A time in which nobody watched; RFC 3339 in UTC.

    Attributes:
        since, until: its begin and end.
        why: `paused`, `stalled`, `stopping` and the like, `off`, `lost` with the power, `clock`
            where that was wrong, `before` what is kept.
    """

    since: str
    until: str
    why: str


class Reader:
    """A history that is open for reading, by one thread; a context closes it.

    Where none is begun yet, it is empty.

    Args:
        folder: where it is.

    Raises:
        SourceError: it cannot be read, is another program's or of a later edgekit.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.corrections = Corrections(folder)
        self._path = folder / FILE
        self._connection = open_for_reading(self._path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._connection is not None:
            self._connection.close()

    def events(self, span: Span, limit: int, before: int | None = None) -> list[Kept]:
        """Events, newest first, in the order in which they came.

        Args:
            span: which.
            limit: how many at most.
            before: of `Kept.seq`; only events that came before that one.
        """
        where, values = span.where
        if before is not None:
            where, values = f"{where} AND seq < ?", [*values, before]
        query = f"SELECT {_COLUMNS} FROM events WHERE {where} ORDER BY seq DESC LIMIT ?"
        return [_kept(row) for row in self._rows(_Row, query, *values, limit)]

    def event(self, event_id: str) -> Kept | None:
        """An event by its id; None where it is not kept."""
        try:
            at = milliseconds(_time_of(event_id))
        except ValueError:
            return None
        query = f"SELECT {_COLUMNS} FROM events WHERE at = ? AND id = ? ORDER BY seq DESC LIMIT 1"
        return next((_kept(row) for row in self._rows(_Row, query, at, event_id)), None)

    def picture(self, seq: int) -> bytes | None:
        """The JPEG of an event, without marks; None where none is kept."""
        rows = self._rows(tuple[bytes], "SELECT jpeg FROM pictures WHERE seq = ?", seq)
        return rows[0][0] if rows else None

    def pictures(self, span: Span, limit: int | None = None) -> list[int]:
        """`Kept.seq` of the events that have a picture, oldest first."""
        where, values = span.where
        query = f"SELECT seq FROM events WHERE sees IS NOT NULL AND {where} ORDER BY seq LIMIT ?"
        wanted = -1 if limit is None else limit
        return [seq for (seq,) in self._rows(tuple[int], query, *values, wanted)]

    def by_seq(self, seq: int) -> Kept | None:
        """An event by its place; None where it is not kept any more."""
        rows = self._rows(_Row, f"SELECT {_COLUMNS} FROM events WHERE seq = ?", seq)
        return _kept(rows[0]) if rows else None

    def bytes_of_pictures(self, span: Span) -> int:
        """How many bytes the pictures of events have."""
        where, values = span.where
        query = (
            "SELECT coalesce(sum(length(jpeg)), 0) FROM events JOIN pictures USING (seq) "
            f"WHERE {where}"
        )
        rows = self._rows(tuple[int], query, *values)
        return rows[0][0] if rows else 0

    def labels(self, span: Span) -> dict[str, int]:
        """How many events there are of each label, the most first."""
        where, values = span.where
        query = (
            f"SELECT label, count(*) FROM events WHERE {where} GROUP BY label ORDER BY 2 DESC, 1"
        )
        return dict(self._rows(tuple[str, int], query, *values))

    def first_and_last(self, span: Span) -> tuple[str, str] | None:
        """RFC 3339 times of the first and the last event; None without one."""
        where, values = span.where
        query = f"SELECT min(at), max(at) FROM events WHERE {where} HAVING count(*)"
        rows = self._rows(tuple[Moment, Moment], query, *values)
        return (rfc3339(rows[0][0]), rfc3339(rows[0][1])) if rows else None

    def bytes(self) -> int:
        """Bytes that it takes on the disk, without corrections."""
        return bytes_of(*files_of(self._path), *damaged_in(self.folder))

    def gaps(self, since: int | None, until: int | None, now: int) -> list[Gap]:
        """When nobody watched, from the first that is known until now, or in between.

        Args:
            since, until: milliseconds since 1970; None for all.
            now: milliseconds since 1970.
        """
        query = "SELECT since, until, why FROM watching ORDER BY since, until"
        rows = self._rows(tuple[Moment, Moment, str | None], query)
        if not rows:
            return []
        newest = self._rows(tuple[Moment | None], "SELECT max(at) FROM events")[0][0]
        end = min(now, now if until is None else until)
        watched = [list(row) for row in rows]
        # The one that has no end yet goes on, as far as is known.
        last = watched[-1]
        if last[2] is None and 0 <= now - max(last[1], newest or 0) < _STILL:
            last[1] = max(last[1], now)
        begin = watched[0][0] if since is None else since
        edges = [[begin, begin, "before"], *watched, [end, end, None]]
        return [*_between(edges, begin, end)]

    def _rows(self, kind: Any, query: str, *values: Any) -> list[Any]:
        """Rows of a kind; SQLite keeps what it is given, and damage may leave another."""
        if self._connection is None:
            return []
        with self._explained():
            rows = self._connection.execute(query, values).fetchall()
            return [msgspec.convert(row, kind, builtin_types=(bytes,)) for row in rows]

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except SQLITE_ERRORS as error:
            raise SourceError(f"cannot read the history {self._path}: {error}") from error
        except msgspec.ValidationError as error:
            raise SourceError(f"the history {self._path} is damaged: {error}") from error


_COLUMNS = "seq, id, at, label, event, sees"
_Row = tuple[int, str, Moment, str, str, str | None]


def _kept(row: _Row) -> Kept:
    seq, event_id, at, label, event, sees = row
    return Kept(seq, event_id, at, label, event, _region(sees))


def _region(sees: str | None) -> Region | None:
    if sees is None:
        return None
    try:
        return Region(*msgspec.json.decode(sees, type=tuple[float, float, float, float]))
    except msgspec.MsgspecError:
        return WHOLE


def _time_of(event_id: str) -> str:
    """The RFC 3339 time in an event's id: `20261127T013107123Z-4711`."""
    day, clock = event_id[:8], event_id[9:18]
    return f"{day[:4]}-{day[4:6]}-{day[6:]}T{clock[:2]}:{clock[2:4]}:{clock[4:6]}.{clock[6:]}Z"


def _between(watched: list[list[Any]], begin: int, end: int) -> Iterator[Gap]:
    """The times between those of watching that are long enough, within begin and end."""
    reached, why = begin, watched[0][2]
    for since, until, then in watched[1:]:
        start, stop = max(reached, begin), min(since, end)
        if stop - start >= _NO_GAP:
            yield Gap(rfc3339(start), rfc3339(stop), why or "lost")
        if until >= reached:
            reached, why = until, then
