"""What writes a history: few writes, within its bounds, and as whole after a power cut as before.

One thread uses a `Store`. Whatever goes wrong with the disk is an `OutputError`, and what was in
hand is then not kept; it may be tried again.
"""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

from edgekit.errors import OutputError
from edgekit_device.history.age import IMPOSSIBLE, AgeClock
from edgekit_device.history.entries import Item, Note
from edgekit_device.history.folder import damaged_in, set_aside
from edgekit_device.history.layout import FILE, SQLITE_ERRORS, bytes_of, open_for_writing

_PAGE = 4096
_MB = 1_000_000
_DAY = 24 * 3600
# Bytes of SQLite's log at which they are written into the database, and of the shared memory.
_CHECKPOINT, _SHM = 4 * _MB, 64 * 1024
# Events, and pages that are given back, in one step: some milliseconds of an SD card.
_STEP, _PAGES = 50, 256
# Milliseconds: from one time to the next that the daemon is known to watch, at least, and at most;
# a clock that is put on or back by more has jumped.
_JUMP, _LONGEST_STEP = 60_000, 3_600_000
# Times of watching that are kept: a camera that comes and goes makes many.
_PERIODS = 20_000
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class Store:
    """A history that is open for writing; used by one thread, which has a `Claim` to the folder.

    Args:
        folder: where it is.
        days: for which events are kept.
        megabytes: that all of it may take, SQLite's log and a damaged file included.
        clock: makes that by which events age, of its last time that is known here.

    Attributes:
        largest: bytes that entries which are written together may have; see `Item.size`.

    Raises:
        SettingsError: the file is another program's, or of a later edgekit.
        OutputError: it cannot be opened; one that is damaged is kept aside, and not in the way of
            another try.
    """

    def __init__(
        self,
        folder: Path,
        days: int,
        megabytes: int,
        clock: Callable[[float | None], AgeClock] = AgeClock,
    ) -> None:
        self._path = folder / FILE
        self._days = days
        # A quarter for the log, which holds what is written for a while beside the database.
        self._log = min(8 * _CHECKPOINT, megabytes * _MB // 4)
        self.largest = self._log // 4
        self._limit = megabytes * _MB - self._log - _SHM
        self._connection: sqlite3.Connection | None = None
        # Its row, and until when it is known to have watched.
        self._watching: tuple[int, int] | None = None
        self._leap = 0
        with self._explained():
            self._connection = self._open()
            self._inode = self._path.stat().st_ino
            (newest,) = self._one("SELECT max(seq) FROM events")
            query = "SELECT aged FROM events UNION ALL SELECT aged FROM watching"
            # Damage may leave another kind of value, which is no time.
            (last,) = self._one(f"SELECT max(aged) FROM ({query}) WHERE typeof(aged) = 'integer'")
        self._first = (newest or 0) + 1
        self._clock = clock(last)

    def write(self, entries: Sequence[Item | Note], at: int) -> None:
        """Keep what happened: all of it, or nothing.

        Args:
            entries: in the order in which they came.
            at: milliseconds since 1970, now.

        Raises:
            OutputError: that is not possible now; close it.
        """
        with self._transaction():
            self._make_room(sum(entry.size for entry in entries))
            for entry in entries:
                if isinstance(entry, Item):
                    self._insert(entry)
                else:
                    self._note(entry)
            if self._watching is not None:
                self._saw_until(at)

    def tidy(self) -> bool:
        """Remove some of what is beyond the bounds; whether there may be more.

        Raises:
            OutputError: that is not possible now; close it.
        """
        with self._transaction():
            oldest = round(self._clock.now) - self._days * _DAY
            gone = self._remove(_STEP, before=oldest)
            self._execute("DELETE FROM watching WHERE aged < ?", oldest)
            self._execute("DELETE FROM watching WHERE seq <= "
                          "(SELECT max(seq) FROM watching) - ?", _PERIODS)  # fmt: skip
            while self._used() > self._limit and gone < _STEP and self._remove_oldest():
                gone += 1
            beyond = self._pages() * _PAGE > self._limit
            if beyond:
                # Each row is a page that was given back.
                self._execute(f"PRAGMA incremental_vacuum({_PAGES})").fetchall()
        return beyond or gone == _STEP

    def close(self) -> None:
        """Let go of the file; may be called twice."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(*SQLITE_ERRORS):
                connection.close()

    def _open(self) -> sqlite3.Connection:
        connection = open_for_writing(self._path)
        connection.execute(
            f"PRAGMA wal_autocheckpoint = {min(_CHECKPOINT, self._log // 2) // _PAGE}"
        )
        connection.execute(f"PRAGMA journal_size_limit = {self._log}")
        return connection

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        watching = self._watching
        with self._explained():
            if self._path.stat().st_ino != self._inode:
                raise OutputError(f"{self._path} was replaced; another is begun")
            self._bound_log()
            self._execute("BEGIN IMMEDIATE")
            try:
                self._age()
                yield
                self._execute("COMMIT")
            except BaseException:
                self._watching = watching
                with contextlib.suppress(*SQLITE_ERRORS):
                    self._execute("ROLLBACK")
                raise
        self._leap = 0

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Errors as `OutputError`; what is damaged is kept aside."""
        try:
            yield
        except OSError as error:
            self.close()
            reason = error.strerror or error
            raise OutputError(f"{self._path} cannot be written: {reason}") from error
        except SQLITE_ERRORS as error:
            self.close()
            if not _is_damage(error):
                raise OutputError(f"{self._path} cannot be written: {error}") from error
            aside = set_aside(self._path)
            raise OutputError(
                f"{self._path} is damaged ({error}); it is kept as {aside.name}, and another begun"
            ) from error

    def _bound_log(self) -> None:
        """Empty a log that grew too long because somebody read for long.

        Raises:
            OutputError: somebody still does.
        """
        if bytes_of(self._path.with_name(f"{FILE}-wal")) <= self._log:
            return
        (busy, _, _) = self._one("PRAGMA wal_checkpoint(TRUNCATE)")
        if busy:
            raise OutputError(
                f"{self._path} is read by a program that does not come to its end, so that its log "
                "cannot be emptied; end that program"
            )

    # Within a transaction.

    def _insert(self, item: Item) -> None:
        seq = self._execute(
            "INSERT INTO events (id, at, aged, label, event, sees) VALUES (?, ?, ?, ?, ?, ?)",
            item.id,
            item.at,
            round(self._clock.now),
            item.label,
            item.event,
            item.sees,
        ).lastrowid
        if item.jpeg is not None:
            self._execute("INSERT INTO pictures VALUES (?, ?)", seq, item.jpeg)

    def _note(self, note: Note) -> None:
        if self._watching is not None:
            self._saw_until(note.at, note.why)
        elif note.why is None:
            self._begin(note.at)

    def _begin(self, at: int) -> None:
        seq = self._execute(
            "INSERT INTO watching (since, until, aged) VALUES (?, ?, ?)",
            at,
            at,
            round(self._clock.now),
        ).lastrowid
        assert seq is not None
        self._watching = seq, at

    def _saw_until(self, at: int, why: str | None = None) -> None:
        """Note until when it watched; where the clock jumped, another time of watching begins."""
        assert self._watching is not None
        seq, until = self._watching
        jumped = not -_JUMP <= at - until <= _LONGEST_STEP
        if why is None and 0 <= at - until < _JUMP:
            return
        self._execute(
            "UPDATE watching SET until = max(until, ?), aged = ?, why = ? WHERE seq = ?",
            until if jumped else at,
            round(self._clock.now),
            "clock" if jumped else why,
            seq,
        )
        self._watching = (seq, max(at, until)) if why is None else None
        if jumped and why is None:
            self._begin(at)

    def _age(self) -> None:
        """Follow the clock; where another is believed, so do the ages of what came by the other."""
        self._leap += round(self._clock.look())
        if not self._leap:
            return
        self._execute("UPDATE events SET aged = aged + ? WHERE seq >= ?", self._leap, self._first)
        now = round(self._clock.now)
        for table in ("events", "watching"):
            self._execute(
                f"UPDATE {table} SET aged = ? WHERE aged < ? OR aged > ?", now, IMPOSSIBLE, now
            )

    def _make_room(self, size: int) -> None:
        while self._used() + size > self._limit and self._remove_oldest():
            pass

    def _remove_oldest(self) -> int:
        """Remove what is oldest, a damaged file before an event; how many."""
        for damaged in damaged_in(self._path.parent):
            damaged.unlink(missing_ok=True)
            return 1
        return self._remove(1)

    def _remove(self, count: int, before: int | None = None) -> int:
        """Remove the oldest events, so many or until one is of `before` or later; how many."""
        rows = self._execute("SELECT seq, aged FROM events ORDER BY seq LIMIT ?", count).fetchall()
        old = [*takewhile(lambda row: before is None or _is_before(row[1], before), rows)]
        if old:
            for table in ("pictures", "events"):
                self._execute(f"DELETE FROM {table} WHERE seq <= ?", old[-1][0])
        return len(old)

    def _used(self) -> int:
        """Bytes in use of the database, and those of damaged ones."""
        (free,) = self._one("PRAGMA freelist_count")
        return (self._pages() - int(free)) * _PAGE + bytes_of(*damaged_in(self._path.parent))

    def _pages(self) -> int:
        return int(self._one("PRAGMA page_count")[0])

    def _one(self, statement: str) -> tuple[Any, ...]:
        row: tuple[Any, ...] = self._execute(statement).fetchone()
        return row

    def _execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        if self._connection is None:
            raise OutputError(f"{self._path} is closed")
        return self._connection.execute(statement, values)


def _is_before(aged: object, before: int) -> bool:
    """Whether a row is that old; one without a time, which damage may leave, goes first."""
    return not isinstance(aged, int) or aged < before


def _is_damage(error: Exception) -> bool:
    if isinstance(error, UnicodeDecodeError):
        return True
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED
