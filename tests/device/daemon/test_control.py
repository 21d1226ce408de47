"""What a daemon can be asked for, by whoever may, and what it then does."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from edgekit_device.control import Name, Outcome
from edgekit_device.daemon import control as control_module
from edgekit_device.daemon.control import Allowance
from edgekit_device.health import headline
from edgekit_device.installed import InstalledModel
from edgekit_device.sinks.clip.folder import ClipFolder

from edgekit.errors import SettingsError
from edgekit.offline.clip import Clip
from tests.device.daemon.test_daemon import SETTINGS, Bench, endless, with_settings
from tests.device.daemon.test_daemon import bench as bench  # a fixture
from tests.device.fakes import FakeSource, Gate
from tests.device.sinks.samples import until

LIVE = with_settings(source="test:")
ME = "192.0.2.7 over HTTP"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What systemd gives the daemon to keep things in."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("STATE_DIRECTORY", str(folder))
    return folder


def ask(running: Bench, name: Name, **arguments: Any) -> Outcome:
    return running.daemon._control.perform(name, arguments, ME)


def state(running: Bench) -> str:
    return running.daemon.health().state


class TestReload:
    def test_it_reads_the_settings_again(self, bench: Callable[..., Bench]) -> None:
        running = bench(LIVE, endless(0)).start()
        running.reload = lambda: with_settings(source="test:", top_k=1)
        assert ask(running, "reload") == Outcome(True, "the configuration was read again")
        assert running.daemon.settings.top_k == 1
        assert running.stop() is None

    def test_it_says_what_was_wrong(self, bench: Callable[..., Bench]) -> None:
        def wrong() -> Any:
            raise SettingsError("top-k: too small")

        running = bench(LIVE, endless(0)).start()
        running.reload = wrong
        told = "top-k: too small; going on with the one before"
        assert ask(running, "reload") == Outcome(False, told)
        assert f"control: reload, asked by {ME}: failed: {told}" in running.wait_for("control: ")
        assert running.stop() is None


class TestSnapshot:
    def test_it_is_an_event_of_the_next_frame(self, bench: Callable[..., Bench]) -> None:
        running = bench(LIVE, endless(0)).start()
        until(lambda: state(running) == "running")
        outcome = ask(running, "snapshot")
        event = running.sink.events[-1]
        assert event.event == "snapshot" and outcome.done
        assert outcome.message == (
            f"event {event.id}; its picture stays here, because pictures.size is off"
        )
        assert running.stop() is None

    def test_without_a_frame_it_says_so(
        self, bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(control_module, "WITHIN", 0.1)
        gate = Gate()
        running = bench(LIVE, FakeSource(gate, live=True)).start()
        outcome = ask(running, "snapshot")
        assert outcome == Outcome(False, "no frame was answered after 0.1 s; it may still happen")
        gate.open()
        running.wait()


class TestPause:
    def test_the_camera_is_closed_and_nothing_is_told(
        self, bench: Callable[..., Bench], folder: Path
    ) -> None:
        camera = endless(0)
        running = bench(LIVE, camera, endless(1)).start()
        running.manager.wait_for("READY=1")
        assert ask(running, "pause") == Outcome(True, "paused: the camera is closed")
        assert camera.closed
        count = len(running.sink.results)
        assert "STATUS=paused · model 000000000000" in running.manager.wait_for("STATUS=paused")
        # The wait was asked for: that is no stall.
        for _ in range(3):
            running.manager.wait_for("WATCHDOG=1")
        health = running.daemon.health()
        assert (health.state, health.fps, health.frame_age_s) == ("paused", 0.0, None)
        assert len(running.sink.results) == count
        assert headline(health) == "paused · model 000000000000"
        assert ask(running, "resume") == Outcome(True, "resumed")
        until(lambda: state(running) == "running")
        # The decision began afresh.
        event = running.sink.events[-1]
        assert (event.event, event.label, event.previous) == ("change", "dog", None)
        assert running.stop() is None

    def test_a_restart_stays_paused(self, bench: Callable[..., Bench], folder: Path) -> None:
        running = bench(LIVE, endless(0)).start()
        until(lambda: state(running) == "running")
        assert ask(running, "pause").done
        assert running.stop() is None
        assert ME in (folder / "paused").read_text()
        again = bench(LIVE, endless(0)).start()
        told = again.wait_for("paused: ")
        assert f"nobody can while [control] is off: remove {folder / 'paused'}" in told
        again.manager.wait_for("READY=1")
        until(lambda: state(again) == "paused")
        assert again.sources.settings == []
        assert ask(again, "resume").done
        assert not (folder / "paused").exists()
        until(lambda: state(again) == "running")
        assert again.stop() is None

    def test_without_a_folder_a_restart_ends_it_and_that_is_told(
        self, bench: Callable[..., Bench]
    ) -> None:
        running = bench(LIVE, endless(0)).start()
        until(lambda: state(running) == "running")
        assert ask(running, "pause") == Outcome(
            True,
            "paused: the camera is closed; a restart ends it, because this daemon has no folder of "
            "its own",
        )
        assert ask(running, "pause") == Outcome(True, "it is paused already")
        assert running.stop() is None

    def test_where_that_cannot_be_kept_it_is_told(
        self, bench: Callable[..., Bench], folder: Path
    ) -> None:
        running = bench(LIVE, endless(0), endless(0)).start()
        until(lambda: state(running) == "running")
        folder.rmdir()
        assert "a restart ends it: cannot write" in ask(running, "pause").message
        # Nor can what is there be removed.
        (folder / "paused").mkdir(parents=True)
        assert "a restart pauses it again: cannot remove" in ask(running, "resume").message
        assert running.stop() is None

    def test_a_recording_is_not_paused(self, bench: Callable[..., Bench]) -> None:
        gate = Gate()
        running = bench(with_settings(source="a.avi"), FakeSource(0, gate)).start()
        assert gate.reached.wait(30)
        outcome = ask(running, "pause")
        assert not outcome.done and "only a camera can be paused" in outcome.message
        gate.open()
        assert running.wait() is None

    def test_a_worker_that_waits_no_more_is_stalled(
        self, bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The watchdog is not fed blindly."""
        running = bench(LIVE, endless(0)).start()
        until(lambda: state(running) == "running")
        assert ask(running, "pause").done
        monkeypatch.setattr("edgekit_device.daemon.statistics._RESTS_WITHIN", 0.0)
        monkeypatch.setattr("edgekit_device.daemon.worker._POLL", 2.0)
        running.daemon._settings = with_settings(
            source="test:", health=type(SETTINGS.health)(interval=1000, stall_after=0.5)
        )
        until(lambda: state(running) == "stalled")
        assert running.stop() is None

    def test_what_needs_frames_is_refused_meanwhile(self, bench: Callable[..., Bench]) -> None:
        running = bench(LIVE, endless(0)).start()
        until(lambda: state(running) == "running")
        assert ask(running, "pause").done
        for name in ("snapshot", "record", "rollback"):
            assert ask(running, name) == Outcome(False, "it is paused: resume it first")  # type: ignore[arg-type]
        assert running.stop() is None


class TestRecord:
    def test_a_clip_is_written(self, bench: Callable[..., Bench], folder: Path) -> None:
        running = bench(LIVE, endless(0)).start()
        until(lambda: state(running) == "running")
        outcome = ask(running, "record", seconds=1)
        assert outcome.done
        recording = running.daemon._control.recording
        assert recording is not None and outcome.message == f"recording 1 s as {recording.clip}"
        assert "is being recorded until" in ask(running, "record").message
        until(lambda: running.daemon._control.recording is None)
        (clip,) = ClipFolder(folder / "clips").clips()
        assert clip.name == recording.clip
        assert running.wait_for("recorded: ").startswith(f"recorded: {clip.name}, ")
        assert running.stop() is None
        assert Clip(folder / "clips" / clip.name).header.device == "pi"

    def test_a_pause_ends_it(self, bench: Callable[..., Bench], folder: Path) -> None:
        running = bench(LIVE, endless(0)).start()
        until(lambda: state(running) == "running")
        assert ask(running, "record", seconds=600).done
        until(lambda: any(sink.report().sent for sink in running.daemon._recorder.sinks))
        assert ask(running, "pause").done
        assert "it ended early: the daemon was paused" in running.wait_for("recorded: ")
        assert running.stop() is None

    def test_the_end_of_the_daemon_ends_it(self, bench: Callable[..., Bench], folder: Path) -> None:
        running = bench(LIVE, endless(0)).start()
        until(lambda: state(running) == "running")
        assert ask(running, "record", seconds=600).done
        until(lambda: any(sink.report().sent for sink in running.daemon._recorder.sinks))
        assert running.stop() is None
        assert "the daemon was stopped" in running.wait_for("recorded: ")

    def test_without_a_folder_it_says_why_not(self, bench: Callable[..., Bench]) -> None:
        running = bench(LIVE, endless(0)).start()
        outcome = ask(running, "record")
        assert not outcome.done and "no folder to record to" in outcome.message
        assert running.stop() is None


class TestModels:
    MODELS = (
        InstalledModel("toys-2", "2" * 64, "2026-01-02T03:04:05Z", True, False),
        InstalledModel("toys-1", "1" * 64, "2026-01-01T03:04:05Z", False, True),
    )

    @pytest.fixture
    def requests(self, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
        """What root was asked for."""
        asked: list[tuple[Any, ...]] = []

        def request_change(*wanted: Any) -> Outcome:
            asked.append(wanted)
            return Outcome(True, "it runs")

        monkeypatch.setattr(control_module, "installed_models", lambda: list(self.MODELS))
        monkeypatch.setattr(control_module, "request_change", request_change)
        return asked

    def test_root_is_asked(
        self, bench: Callable[..., Bench], requests: list[tuple[Any, ...]]
    ) -> None:
        running = bench(LIVE, endless(0)).start()
        assert ask(running, "model", sha256="1" * 64) == Outcome(True, "it runs")
        assert ask(running, "rollback").done
        assert requests == [("model", "1" * 64, ME), ("rollback", None, ME)]
        assert "no such model" in ask(running, "model", sha256="3" * 64).message
        assert len(requests) == 2
        assert running.stop() is None

    def test_outside_the_service_there_are_none(self, bench: Callable[..., Bench]) -> None:
        running = bench(LIVE, endless(0)).start()
        for name, arguments in (("model", {"sha256": "1" * 64}), ("rollback", {})):
            outcome = ask(running, name, **arguments)  # type: ignore[arg-type]
            assert "no models are installed here" in outcome.message
        assert running.stop() is None


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("record", {"seconds": 0}),
        ("record", {"seconds": 601}),
        ("record", {"seconds": 60.5}),
        ("record", {"seconds": True}),
        ("record", {"seconds": "60"}),
        ("record", {"second": 60}),
        ("pause", {"seconds": 60}),
        ("model", {}),
        ("model", {"sha256": "1" * 63}),
        ("model", {"sha256": "A" * 64}),
        ("model", {"sha256": "1" * 64 + "\n"}),
        ("model", {"sha256": "../" + "1" * 61}),
    ],
)
def test_wrong_arguments_are_refused_told_and_counted(
    bench: Callable[..., Bench], name: Name, arguments: dict[str, Any]
) -> None:
    running = bench(LIVE, endless(0)).start()
    outcome = ask(running, name, **arguments)
    assert (outcome.done, outcome.refused) == (False, "wrong")
    assert running.wait_for("control: ").startswith(f"control: {name}, asked by {ME}: refused: ")
    assert running.daemon.health().control == {name: {"refused": 1}}
    assert running.stop() is None


def test_a_flood_reaches_neither_the_journal_nor_the_daemon(bench: Callable[..., Bench]) -> None:
    running = bench(LIVE, endless(0)).start()
    until(lambda: state(running) == "running")
    running.reload = lambda: LIVE
    outcomes = [ask(running, "reload") for _ in range(200)]
    assert sum(outcome.done for outcome in outcomes) <= 12
    assert outcomes[-1].refused == "often"
    # Whoever wants to be unseen does not wait.
    assert ask(running, "pause").done
    running.daemon._control._lines = Allowance(1, 1000.0)
    assert "more requests came, and were not told one by one" in running.wait_for("more requests")
    told = running.messages.qsize()
    assert told <= 40
    counts = running.daemon.health().control["reload"]
    assert counts["done"] + counts["refused"] == 200
    assert running.stop() is None


def test_what_there_is_not_is_counted_as_other(bench: Callable[..., Bench]) -> None:
    running = bench(LIVE, endless(0)).start()
    for name in ("self-destruct", "x" * 5000, "\x1b[2J\n", "other"):
        running.daemon._control.refuse(name, ME, "wrong", "there is no such command")
        line = running.wait_for("control: ")
        assert len(line) < 300 and line.isprintable()
    assert running.daemon.health().control == {"other": {"refused": 4}}
    assert running.stop() is None


def test_nobody_waits_for_a_daemon_that_ends(bench: Callable[..., Bench]) -> None:
    running = bench(LIVE, endless(0)).start()
    assert running.stop() is None
    assert ask(running, "reload") == Outcome(False, "the daemon is ending")


def test_an_allowance_comes_back() -> None:
    now = [0.0]
    allowance = Allowance(2, 5.0, clock=lambda: now[0])
    assert [allowance.take() for _ in range(3)] == [True, True, False]
    now[0] = 4.9
    assert not allowance.take()
    now[0] = 5.1
    assert [allowance.take() for _ in range(2)] == [True, False]
    now[0] = 1000.0
    assert [allowance.take() for _ in range(3)] == [True, True, False]
