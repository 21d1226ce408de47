"""The sink that keeps a history."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from edgekit_device.config.settings import HistorySettings, Settings
from edgekit_device.history.folder import Claim, damaged_in
from edgekit_device.history.layout import FILE
from edgekit_device.history.reader import Gap, Kept, Reader, Span
from edgekit_device.history.store import Store
from edgekit_device.pictures import EventPicture
from edgekit_device.sinks import SINKS
from edgekit_device.sinks.base import Host
from edgekit_device.sinks.history import History

from edgekit.errors import OutputError, SettingsError
from edgekit.inference.events import Event
from tests.device.sinks.player import HEALTH, make_change, make_result
from tests.device.sinks.samples import until


def make(
    folder: Path, *, memory: int = 8 << 20, lossless: bool = False, **settings: Any
) -> History:
    chosen = HistorySettings(folder=folder, **settings)
    return History(chosen, gather=0.0, memory=memory, lossless=lossless)


@contextmanager
def started(sink: History) -> Iterator[History]:
    sink.start()
    try:
        yield sink
    finally:
        sink.close(30)


def change(number: int) -> Event:
    ts = f"2026-11-27T01:31:{number % 60:02}.123Z"
    return msgspec.structs.replace(
        make_change(number), ts=ts, id=f"20261127T0131{number % 60:02}123Z-{number}"
    )


def show(sink: History, number: int = 0) -> Event:
    """A frame that changes the label."""
    result, event = make_result(number), change(number)
    sink.frame(result)
    sink.event(event, EventPicture(result, "off"))
    return event


def kept(folder: Path) -> list[Kept]:
    with Reader(folder) as reader:
        return reader.events(Span(), 500)


def gaps(folder: Path) -> list[Gap]:
    with Reader(folder) as reader:
        return reader.gaps(None, None, 4_000_000_000_000)


def test_keeps_a_change_with_the_picture_and_what_the_model_saw(tmp_path: Path) -> None:
    with started(make(tmp_path)) as sink:
        event = show(sink)
    (found,) = kept(tmp_path)
    assert msgspec.json.decode(found.event, type=Event) == event
    # The fake's input is square, of a picture of 320x240.
    assert found.sees == (0.125, 0.0, 0.75, 1.0)
    with Reader(tmp_path) as reader:
        jpeg = reader.picture(found.seq)
    assert jpeg == EventPicture(make_result(0), "off").jpeg("full", marked=False)
    assert sink.report().sent == 1


def test_keeps_no_heartbeat_and_no_single_frame(tmp_path: Path) -> None:
    with started(make(tmp_path)) as sink:
        for kind in ("heartbeat", "frame"):
            sink.event(msgspec.structs.replace(make_change(), event=kind))
    assert kept(tmp_path) == []


@pytest.mark.parametrize(("size", "largest"), [("off", 0), ("small", 20_000), ("full", 200_000)])
def test_keeps_pictures_as_large_as_is_wanted(tmp_path: Path, size: str, largest: int) -> None:
    with started(make(tmp_path, pictures=size)) as sink:
        show(sink)
    (found,) = kept(tmp_path)
    assert (found.sees is None) == (size == "off")
    with Reader(tmp_path) as reader:
        assert len(reader.picture(found.seq) or b"") <= largest


def test_what_happens_within_seconds_is_written_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    real = Store.write

    def write(self: Store, entries: Any, at: int) -> None:
        written.append(len(entries))
        real(self, entries, at)

    monkeypatch.setattr(Store, "write", write)
    sink = History(HistorySettings(folder=tmp_path), gather=60)
    sink.start()
    for number in range(10):
        show(sink, number)
    sink.close(30)
    # The beginning of watching and its end go with them.
    assert sum(written) >= 12
    assert len(written) <= 3


def test_when_nobody_watched(tmp_path: Path) -> None:
    clock = iter(range(1_000_000_000, 4_000_000_000, 100))
    sink = History(HistorySettings(folder=tmp_path), gather=0, clock=lambda: float(next(clock)))
    with started(sink):
        for state in ("running", "paused", "degraded", "stalled"):
            sink.frame(make_result())
            sink.health(msgspec.structs.replace(HEALTH, state=state))
        until(lambda: sink._store is not None and not sink._waiting)
    assert [gap.why for gap in gaps(tmp_path)] == ["paused", "stalled"]


def test_memory_is_bounded_in_bytes_while_nothing_can_be_written(tmp_path: Path) -> None:
    sink = make(tmp_path, memory=100_000)
    for number in range(100):
        show(sink, number)
    report = sink.report()
    assert report.queued < 20
    assert report.queued + report.dropped == 100
    assert "oldest" in (report.problem or "")
    with started(sink):
        until(lambda: sink.report().queued == 0)
    # The newest are those that are kept.
    assert kept(tmp_path)[0].id.endswith("-99")
    assert sink.report().problem is None


def test_a_recording_waits_rather_than_lose_an_event(tmp_path: Path) -> None:
    with started(make(tmp_path, memory=50_000, lossless=True)) as sink:
        for number in range(60):
            show(sink, number)
        until(lambda: sink.report().queued == 0)
    assert len(kept(tmp_path)) == 60
    assert sink.report().dropped == 0


class TestTroubles:
    @pytest.fixture
    def failing(self, monkeypatch: pytest.MonkeyPatch) -> list[Exception]:
        """What writing raises, one after the other, before it works."""
        failures: list[Exception] = []
        real = Store.write

        def write(self: Store, entries: Any, at: int) -> None:
            if failures:
                raise failures[0]
            real(self, entries, at)

        monkeypatch.setattr(Store, "write", write)
        return failures

    def test_goes_on_when_there_is_room_again(
        self, tmp_path: Path, failing: list[Exception]
    ) -> None:
        failing.append(OutputError("it is full"))
        with started(make(tmp_path)) as sink:
            show(sink)
            until(lambda: sink.report().problem == "it is full")
            assert sink.failure is None
            assert sink.report().queued == 1
            failing.clear()
            until(lambda: sink.report().queued == 0 and sink.report().problem is None)
        assert len(kept(tmp_path)) == 1

    def test_what_waits_as_it_is_closed_is_counted(
        self, tmp_path: Path, failing: list[Exception]
    ) -> None:
        failing.append(RuntimeError("unheard of"))
        with started(make(tmp_path)) as sink:
            show(sink)
            until(lambda: "unheard of" in (sink.report().problem or ""))
        report = sink.report()
        assert (report.sent, report.dropped, report.queued) == (0, 1, 0)

    def test_a_disk_that_is_really_full(self, tmp_path: Path) -> None:
        with started(make(tmp_path)) as sink:
            show(sink, 0)
            until(lambda: sink.report().sent == 1)
            store = sink._store
            assert store is not None and store._connection is not None
        connection = sqlite3.connect(tmp_path / FILE)
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.close()
        limited = Store(tmp_path, 30, 10)
        limited._execute(f"PRAGMA max_page_count = {pages}")
        from tests.device.history.samples import NOON, make_item

        with pytest.raises(OutputError, match="disk is full"):
            limited.write([make_item(size=100_000)], NOON)

    def test_a_damaged_file_is_told_for_as_long_as_it_lies_there(self, tmp_path: Path) -> None:
        (tmp_path / FILE).write_bytes(b"garbage" * 1000)
        with started(make(tmp_path)) as sink:
            show(sink)
            until(lambda: sink.report().sent == 1)
            until(lambda: "another was begun" in (sink.report().problem or ""))
            (aside,) = damaged_in(tmp_path)
            aside.unlink()
            show(sink, 1)
            until(lambda: sink.report().problem is None)
        assert len(kept(tmp_path)) == 2

    def test_a_folder_that_is_removed_is_begun_again(self, tmp_path: Path) -> None:
        with started(make(tmp_path)) as sink:
            show(sink)
            until(lambda: sink.report().sent == 1)
            for file in tmp_path.iterdir():
                file.unlink()
            show(sink, 1)
            until(lambda: sink.report().sent == 2)
        assert len(kept(tmp_path)) == 1

    def test_a_picture_that_is_too_large_is_left_out_and_told(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(EventPicture, "jpeg", lambda *_, **__: bytes(2_000_000))
        with started(make(tmp_path, megabytes=10)) as sink:
            show(sink)
            until(lambda: sink.report().sent == 1)
            assert "1 pictures were left out" in (sink.report().problem or "")
        assert kept(tmp_path)[0].sees is None


class TestSetting:
    def test_nothing_is_written_unless_a_folder_is_set(self) -> None:
        (entry,) = (entry for entry in SINKS if entry.name == "history")
        assert not entry.wanted(Settings())
        assert entry.wanted(Settings(history=HistorySettings(folder=Path("x"))))

    def test_check_writes_nothing(self, tmp_path: Path) -> None:
        assert str(tmp_path / "new") in make(tmp_path / "new").check()
        assert not (tmp_path / "new").exists()

    def test_another_edgekit_that_writes_there_is_refused_before_work_starts(
        self, tmp_path: Path
    ) -> None:
        claim = Claim(tmp_path)
        with pytest.raises(SettingsError, match="another edgekit"):
            make(tmp_path).start()
        claim.release()

    def test_other_bounds_take_over_from_one_that_is_closed(self, tmp_path: Path) -> None:
        def health() -> Any:
            raise NotImplementedError

        (entry,) = (entry for entry in SINKS if entry.name == "history")
        before = Settings(source="test:", history=HistorySettings(folder=tmp_path))
        after = msgspec.structs.replace(before, history=HistorySettings(folder=tmp_path, days=1))
        assert entry.made_from(before) != entry.made_from(after)
        for settings in (before, after):
            sink = entry.open(settings, Host(health))
            assert isinstance(sink, History)
            with started(sink):
                show(sink)
        assert len(kept(tmp_path)) == 2
