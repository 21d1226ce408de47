"""What is kept, for how long, and in how much room."""

import contextlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from edgekit_device.history.age import AgeClock
from edgekit_device.history.downloads import shown
from edgekit_device.history.entries import Note
from edgekit_device.history.folder import Claim, check_folder, damaged_in
from edgekit_device.history.layout import FILE, SCHEMA
from edgekit_device.history.reader import Kept, Reader, Span
from edgekit_device.history.store import Store
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.errors import OutputError, SettingsError, SourceError
from tests.device.history.samples import MINUTE, NOON, make_item

DAY = 24 * 3600


class Clocks:
    """The clock on the wall, and the time that passes; in seconds."""

    def __init__(self, wall: float = NOON / 1000) -> None:
        self.wall, self.passed = wall, 0.0

    def run(self, seconds: float) -> None:
        self.wall += seconds
        self.passed += seconds

    def age(self, last: float | None) -> AgeClock:
        return AgeClock(last, lambda: self.wall, lambda: self.passed)


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def store(tmp_path: Path, clocks: Clocks) -> Iterator[Store]:
    store = open_store(tmp_path, clocks)
    yield store
    store.close()


def open_store(folder: Path, clocks: Clocks, days: int = 30, megabytes: int = 10) -> Store:
    return Store(folder, days, megabytes, clocks.age)


def kept(folder: Path, limit: int = 500) -> list[Kept]:
    with Reader(folder) as reader:
        return reader.events(Span(), limit)


def numbers(folder: Path) -> list[int]:
    """Of the frames whose events are kept, as they came."""
    return [int(one.id.rpartition("-")[2]) for one in reversed(kept(folder, limit=100_000))]


def total(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


def tidy(store: Store) -> None:
    while store.tidy():
        pass


class TestKeeps:
    def test_the_whole_event_and_the_picture_as_it_was(self, store: Store, tmp_path: Path) -> None:
        item = make_item(3)
        store.write([item], NOON)
        with Reader(tmp_path) as reader:
            found = reader.event(item.id)
            assert found is not None
            assert (found.event, found.label, found.at) == (item.event, "cup", item.at)
            assert found.sees == (0.125, 0.0, 0.75, 1.0)
            assert reader.picture(found.seq) == item.jpeg

    def test_an_event_without_a_picture(self, store: Store, tmp_path: Path) -> None:
        store.write([make_item(size=0)], NOON)
        (found,) = kept(tmp_path)
        assert found.sees is None
        with Reader(tmp_path) as reader:
            assert reader.picture(found.seq) is None
            assert reader.pictures(Span()) == []

    def test_for_its_owner_alone(self, store: Store, tmp_path: Path) -> None:
        store.write([make_item()], NOON)
        modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
        assert set(modes) == {FILE, f"{FILE}-wal", f"{FILE}-shm"}
        assert set(modes.values()) == {0o600}

    def test_a_folder_of_its_own_is_for_its_owner_alone(self, tmp_path: Path) -> None:
        Claim(tmp_path / "new" / "history").release()
        assert (tmp_path / "new" / "history").stat().st_mode & 0o777 == 0o700

    def test_is_written_when_it_is_said_to_be(self, store: Store, tmp_path: Path) -> None:
        store.write([make_item()], NOON)
        copy = tmp_path / "copy"
        copy.mkdir()
        for file in (FILE, f"{FILE}-wal"):
            (copy / file).write_bytes((tmp_path / file).read_bytes())
        assert numbers(copy) == [0]


class TestBounds:
    def test_what_is_too_old_goes(self, store: Store, tmp_path: Path, clocks: Clocks) -> None:
        store.write([make_item(0)], NOON)
        for _ in range(3):
            clocks.run(10 * DAY)
            store.write([make_item(1)], NOON)
        clocks.run(60)
        tidy(store)
        assert numbers(tmp_path) == [1, 1, 1]

    @pytest.mark.parametrize(("size", "count"), [(0, 8000), (30_000, 400), (600_000, 30)])
    def test_never_takes_more_room_the_log_included(
        self, store: Store, tmp_path: Path, size: int, count: int
    ) -> None:
        items = [make_item(number, size=size) for number in range(count)]
        together = max(1, store.largest // items[0].size)
        largest = 0
        for first in range(0, count, together):
            store.write(items[first : first + together], NOON)
            largest = max(largest, total(tmp_path))
        assert largest <= 10_000_000
        found = numbers(tmp_path)
        assert found == [*range(found[0], count)]
        assert bool(found[0]) == bool(size)

    def test_room_is_used_again(self, store: Store, tmp_path: Path) -> None:
        for number in range(0, 200, 5):
            store.write([make_item(number + n, size=100_000) for n in range(5)], NOON)
        # Two thirds of the bound and more are pictures that are kept.
        assert len(numbers(tmp_path)) >= 60

    def test_a_lower_bound_gives_room_back_step_by_step(
        self, tmp_path: Path, clocks: Clocks
    ) -> None:
        before = open_store(tmp_path, clocks, megabytes=20)
        for number in range(0, 60, 5):
            before.write([make_item(number + n, size=200_000) for n in range(5)], NOON)
        before.close()
        assert total(tmp_path) > 12_000_000
        after = open_store(tmp_path, clocks, megabytes=10)
        steps = 1
        while after.tidy():
            steps += 1
        assert total(tmp_path) <= 10_000_000
        assert steps > 3
        assert numbers(tmp_path)[-1] == 59
        after.close()

    def test_a_reader_that_does_not_end_is_named_before_the_log_is_too_long(
        self, store: Store, tmp_path: Path
    ) -> None:
        store.write([make_item()], NOON)
        with Reader(tmp_path) as reader:
            connection = reader._connection
            assert connection is not None
            connection.execute("BEGIN")
            connection.execute("SELECT * FROM events").fetchone()
            store._connection.execute("PRAGMA busy_timeout = 1")  # type: ignore[union-attr]
            with pytest.raises(OutputError, match="end that program"):
                for number in range(100):
                    store.write([make_item(number, size=100_000)], NOON)
            assert total(tmp_path) <= 10_000_000


class TestClock:
    def test_a_board_that_begins_in_1970_loses_nothing_when_it_finds_the_time(
        self, tmp_path: Path
    ) -> None:
        clocks = Clocks(wall=5.0)
        store = open_store(tmp_path, clocks)
        store.write([make_item(0, at=5_000)], 5_000)
        clocks.run(60)
        clocks.wall = NOON / 1000
        store.write([make_item(1)], NOON)
        for _ in range(5):
            clocks.run(5 * DAY)
            tidy(store)
        assert numbers(tmp_path) == [0, 1]
        clocks.run(6 * DAY)
        tidy(store)
        assert numbers(tmp_path) == []
        store.close()

    @pytest.mark.parametrize("years", [-60, -1, 1, 70])
    def test_a_wrong_clock_for_some_hours_removes_nothing(
        self, store: Store, tmp_path: Path, clocks: Clocks, years: int
    ) -> None:
        store.write([make_item(0)], NOON)
        clocks.wall += years * 365 * DAY
        for _ in range(5):
            clocks.run(3600)
            store.write([make_item(1)], NOON)
            tidy(store)
        clocks.wall -= years * 365 * DAY
        clocks.run(DAY)
        tidy(store)
        assert numbers(tmp_path) == [0, 1, 1, 1, 1, 1]

    def test_a_clock_that_was_wrong_for_long_is_believed_and_left_again(
        self, store: Store, tmp_path: Path, clocks: Clocks
    ) -> None:
        clocks.wall += 70 * 365 * DAY
        for _ in range(10):
            clocks.run(3600)
            store.write([make_item(0)], NOON)
        clocks.wall -= 70 * 365 * DAY
        for _ in range(10):
            clocks.run(3600)
            store.write([make_item(1)], NOON)
        assert len(numbers(tmp_path)) == 20
        # They do not stay for seventy years either.
        for _ in range(31):
            clocks.run(DAY)
            tidy(store)
        assert numbers(tmp_path) == []

    def test_events_of_a_run_whose_clock_was_far_ahead_do_not_stay_for_ever(
        self, tmp_path: Path, clocks: Clocks
    ) -> None:
        clocks.wall += 70 * 365 * DAY
        before = open_store(tmp_path, clocks)
        before.write([make_item(0)], NOON)
        before.close()
        clocks.wall -= 70 * 365 * DAY
        after = open_store(tmp_path, clocks)
        for _ in range(7):
            clocks.run(3600)
            tidy(after)
        assert numbers(tmp_path) == [0]
        for _ in range(31):
            clocks.run(DAY)
            tidy(after)
        assert numbers(tmp_path) == []
        after.close()

    def test_after_weeks_without_power_age_counts_once_the_clock_has_gone_on_for_hours(
        self, tmp_path: Path, clocks: Clocks
    ) -> None:
        before = open_store(tmp_path, clocks)
        before.write([make_item(0)], NOON)
        before.close()
        clocks.wall += 40 * DAY
        after = open_store(tmp_path, clocks)
        tidy(after)
        assert numbers(tmp_path) == [0]
        for _ in range(7):
            clocks.run(3600)
            tidy(after)
        assert numbers(tmp_path) == []
        after.close()

    def test_the_order_is_that_in_which_events_came(self, store: Store, tmp_path: Path) -> None:
        for number, at in enumerate((NOON, 5_000, NOON + MINUTE)):
            store.write([make_item(number, at=at)], at)
        assert numbers(tmp_path) == [0, 1, 2]
        newest = kept(tmp_path)[0]
        with Reader(tmp_path) as reader:
            assert [one.at for one in reader.events(Span(), 9, newest.seq)] == [5_000, NOON]


class TestDamage:
    @pytest.mark.parametrize("content", [b"no database" * 50, b"\0" * 8192])
    def test_a_file_that_is_no_database_is_kept_aside(
        self, tmp_path: Path, clocks: Clocks, content: bytes
    ) -> None:
        (tmp_path / FILE).write_bytes(content)
        with pytest.raises(OutputError, match="is damaged"):
            open_store(tmp_path, clocks)
        (aside,) = damaged_in(tmp_path)
        assert aside.read_bytes() == content
        store = open_store(tmp_path, clocks)
        store.write([make_item()], NOON)
        assert numbers(tmp_path) == [0]
        store.close()

    def test_pages_that_were_overwritten(
        self, store: Store, tmp_path: Path, clocks: Clocks
    ) -> None:
        for number in range(40):
            store.write([make_item(number, size=50_000)], NOON)
        store.close()
        with (tmp_path / FILE).open("r+b") as file:
            file.seek(4096)
            file.write(os.urandom(200_000))
        with pytest.raises(OutputError, match="is damaged"):
            damaged = open_store(tmp_path, clocks)
            damaged.write([make_item()], NOON)
        again = open_store(tmp_path, clocks)
        again.write([make_item(7)], NOON)
        assert numbers(tmp_path) == [7]
        again.close()

    def test_a_name_that_is_no_text(self, tmp_path: Path, store: Store) -> None:
        store.close()
        content = (
            (tmp_path / FILE).read_bytes().replace(b"INDEX events_label", b"INDEX events\x80label")
        )
        content = content.replace(b"events_labelevents", b"events\x80labelevents")
        content = content.replace(b"ON events (label", b"NO events (label")
        (tmp_path / FILE).write_bytes(content)
        with pytest.raises(SourceError, match="cannot read the history"):
            Reader(tmp_path)
        with pytest.raises(OutputError, match="is damaged"):
            Store(tmp_path, 30, 10)
        assert damaged_in(tmp_path)

    @pytest.mark.parametrize("at", [b"", "noon", None, 10**18, 1.5])
    def test_a_time_that_is_none(self, tmp_path: Path, store: Store, at: object) -> None:
        store.write([make_item(), Note(NOON), Note(NOON + MINUTE, "off")], NOON)
        store.close()
        with sqlite3.connect(tmp_path / FILE) as connection:
            # As damage may leave it, which no constraint of a table looks at.
            connection.execute("PRAGMA ignore_check_constraints = 1")
            connection.execute("PRAGMA writable_schema = 1")
            connection.execute("UPDATE sqlite_master SET sql = replace(sql, 'INTEGER NOT', 'BLOB')")
        connection.close()
        with sqlite3.connect(tmp_path / FILE) as connection:
            connection.execute("UPDATE events SET at = ?", [at])
            connection.execute("UPDATE watching SET since = ?", [at])
        connection.close()
        with Reader(tmp_path) as reader:
            for attempt in (
                lambda: reader.events(Span(), 5),
                lambda: reader.first_and_last(Span()),
                lambda: reader.gaps(None, None, NOON),
            ):
                with pytest.raises(SourceError, match="is damaged"):
                    attempt()

    def test_an_age_that_is_none(self, tmp_path: Path, clocks: Clocks, store: Store) -> None:
        store.write([make_item(), Note(NOON)], NOON)
        store.close()
        with sqlite3.connect(tmp_path / FILE) as connection:
            for table in ("events", "watching"):
                connection.execute(f"UPDATE {table} SET aged = 'old'")
        connection.close()
        again = open_store(tmp_path, clocks)
        again.write([make_item(1)], NOON)
        tidy(again)
        again.close()
        with Reader(tmp_path) as reader:
            assert [kept.id for kept in reader.events(Span(), 5)] == [make_item(1).id]

    def test_a_damaged_file_goes_before_an_event(self, tmp_path: Path, store: Store) -> None:
        aside = tmp_path / f"{FILE}.damaged-2026"
        aside.write_bytes(bytes(6_000_000))
        for number in range(10):
            store.write([make_item(number, size=100_000)], NOON)
        assert aside.exists()
        for number in range(10, 30):
            store.write([make_item(number, size=100_000)], NOON)
        assert not aside.exists()
        assert numbers(tmp_path) == [*range(30)]

    def test_a_file_of_a_later_edgekit_is_left_alone(self, tmp_path: Path, clocks: Clocks) -> None:
        open_store(tmp_path, clocks).close()
        with sqlite3.connect(tmp_path / FILE) as connection:
            connection.execute(f"PRAGMA user_version = {SCHEMA + 1}")
        connection.close()
        before = (tmp_path / FILE).read_bytes()
        for attempt in (lambda: Claim(tmp_path), lambda: check_folder(tmp_path)):
            with pytest.raises(SettingsError, match="later edgekit; install that one"):
                attempt()
        with pytest.raises(SourceError, match="later edgekit"):
            Reader(tmp_path)
        assert (tmp_path / FILE).read_bytes() == before

    def test_a_database_of_another_program_is_left_alone(
        self, tmp_path: Path, clocks: Clocks
    ) -> None:
        connection = sqlite3.connect(tmp_path / FILE)
        connection.execute("CREATE TABLE notes (text)")
        connection.commit()
        connection.close()
        with pytest.raises(SettingsError, match="another program's"):
            open_store(tmp_path, clocks)
        with pytest.raises(SourceError, match="another program's"):
            Reader(tmp_path)

    def test_a_file_that_was_removed_under_it(self, store: Store, tmp_path: Path) -> None:
        store.write([make_item()], NOON)
        (tmp_path / FILE).unlink()
        with pytest.raises(OutputError, match="No such file"):
            store.write([make_item()], NOON)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with thirty events, every other with a picture.

    By its name, as hypothesis prints what an example was given.
    """
    folder = tmp_path_factory.mktemp("whole")
    store = Store(folder, 30, 10)
    store.write([make_item(number, size=100 * (number % 2)) for number in range(30)], NOON)
    store.write([Note(NOON), Note(NOON + MINUTE, "off")], NOON)
    store.close()
    return folder / FILE


class TestAnyDamage:
    @settings(max_examples=25, deadline=None)
    @given(
        st.lists(st.tuples(st.integers(0, 60_000), st.binary(min_size=1, max_size=40)), max_size=4),
        st.integers(0, 60_000),
    )
    def test_is_kept_aside_or_told_and_never_more(
        self, whole: Path, damages: list[tuple[int, bytes]], cut: int
    ) -> None:
        content = bytearray(whole.read_bytes())
        if cut % 3 == 0:
            del content[len(content) - cut % len(content) :]
        for at, what in damages:
            content[at : at + len(what)] = what
        with TemporaryDirectory() as name:
            folder = Path(name)
            (folder / FILE).write_bytes(content)
            with contextlib.suppress(SourceError), Reader(folder) as reader:
                for kept in reader.events(Span(label="cup"), 500):
                    shown(kept)
                    reader.picture(kept.seq)
                reader.labels(Span())
                reader.first_and_last(Span())
                reader.gaps(None, None, NOON)
            for _ in range(3):
                try:
                    store = Store(folder, 30, 10)
                    store.write([make_item(99)], NOON)
                    tidy(store)
                    store.close()
                except (OutputError, SettingsError):
                    continue


class TestFolder:
    def test_another_that_writes_there(self, tmp_path: Path) -> None:
        first = Claim(tmp_path)
        with pytest.raises(SettingsError, match="another edgekit keeps its history"):
            Claim(tmp_path, patience=0.01)
        first.release()
        Claim(tmp_path).release()

    def test_a_file(self, tmp_path: Path) -> None:
        file = tmp_path / "file"
        file.touch()
        for folder in (file, file / "below"):
            for attempt in (Claim, check_folder):
                with pytest.raises(SettingsError, match=r"history\.folder is .* another folder"):
                    attempt(folder)

    def test_check_makes_nothing(self, tmp_path: Path) -> None:
        assert check_folder(tmp_path / "a" / "b").endswith("0.0 MB so far")
        assert not [*tmp_path.iterdir()]


class TestWatching:
    def gaps(self, folder: Path, now: int) -> list[tuple[int, int, str]]:
        from edgekit_device.history.times import milliseconds

        with Reader(folder) as reader:
            return [
                (
                    (milliseconds(gap.since) - NOON) // MINUTE,
                    (milliseconds(gap.until) - NOON) // MINUTE,
                    gap.why,
                )
                for gap in reader.gaps(None, None, now)
            ]

    def test_gaps_have_their_reason(self, store: Store, tmp_path: Path, clocks: Clocks) -> None:
        def at(minute: int) -> int:
            return NOON + minute * MINUTE

        store.write([Note(at(0))], at(0))
        store.write([Note(at(10), "paused")], at(10))
        store.write([Note(at(20))], at(20))
        store.write([Note(at(30))], at(30))
        assert self.gaps(tmp_path, at(31)) == [(10, 20, "paused")]
        # The power fails; what is known last is minute 30.
        store.close()
        again = open_store(tmp_path, clocks)
        again.write([Note(at(50))], at(50))
        assert self.gaps(tmp_path, at(51)) == [(10, 20, "paused"), (30, 50, "lost")]
        again.write([Note(at(52), "off")], at(52))
        assert self.gaps(tmp_path, at(60))[-1] == (52, 60, "off")
        again.close()

    def test_before_what_is_kept_is_a_gap_where_it_is_asked_for(
        self, store: Store, tmp_path: Path
    ) -> None:
        store.write([Note(NOON)], NOON)
        with Reader(tmp_path) as reader:
            (gap,) = reader.gaps(NOON - 60 * MINUTE, NOON + MINUTE, NOON + MINUTE)
            assert gap.why == "before"
            assert reader.gaps(NOON, NOON + MINUTE, NOON + MINUTE) == []

    def test_a_clock_that_jumps_begins_another_time_of_watching(
        self, store: Store, tmp_path: Path
    ) -> None:
        store.write([Note(5_000)], 5_000)
        store.write([make_item(0)], NOON)
        store.write([make_item(1)], NOON + 2 * MINUTE)
        with Reader(tmp_path) as reader:
            (gap,) = reader.gaps(None, None, NOON + 3 * MINUTE)
        assert (gap.since[:4], gap.until, gap.why) == ("1970", "2025-06-01T12:00:00.000Z", "clock")


_WRITER = """
import sys
from pathlib import Path
from edgekit_device.history.store import Store
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.device.history.samples import NOON, make_item
store = Store(Path(sys.argv[1]), 30, 10)
for number in range(int(sys.argv[2]), 100000):
    store.write([make_item(number, size=30_000)], NOON)
    print(number, flush=True)
"""


def test_killed_in_the_middle_of_writing_keeps_all_that_was_said_to_be_written(
    tmp_path: Path,
) -> None:
    last = -1
    for round_number in range(6):
        with subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(tmp_path), str(last + 1)],
            stdout=subprocess.PIPE, text=True,
        ) as writer:  # fmt: skip
            assert writer.stdout is not None
            for _ in range(5 + 13 * round_number):
                last = int(writer.stdout.readline())
            writer.kill()
            last = max([last, *map(int, writer.stdout.read().split())])
        found = numbers(tmp_path)
        # One more may have been written, and not been said to be.
        assert found in ([*range(last + 1)], [*range(last + 2)])
        last = found[-1]
    with Reader(tmp_path) as reader:
        assert reader._connection is not None
        assert reader._connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
