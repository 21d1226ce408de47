"""The daemon around a scripted source and scripted models: states, reloads, models, its end."""

import os
import queue
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from edgekit_device import retry
from edgekit_device.config.settings import (
    HealthSettings,
    RecoverySettings,
    Settings,
)
from edgekit_device.daemon import daemon as daemon_module
from edgekit_device.daemon import hot_swap, models, status_file
from edgekit_device.daemon.daemon import Daemon
from edgekit_device.daemon.models import Loaded
from edgekit_device.health import SinkHealth, Status, headline, read_status
from edgekit_device.retry import RetryPolicy
from edgekit_device.sinks import SINKS, SinkEntry

from edgekit.errors import (
    AcceleratorLostError,
    BrokerLostError,
    DeliveryError,
    EdgekitError,
    ModelFileError,
    OutputError,
    RuntimeUnavailableError,
    SettingsError,
    SourceError,
)
from edgekit.files import FileStamp
from edgekit.inference import drift
from edgekit.model.decision import DecisionOverrides, LabelOverrides
from edgekit.model.profile import PICTURE_FIGURES
from tests.device.fakes import (
    FakeClassifier,
    FakeSource,
    Gate,
    HangingClassifier,
    KeptSink,
    Sources,
    loaded,
)
from tests.device.profiles import BRIGHT, DARKER, make_profile
from tests.device.sinks.samples import until

SETTINGS = Settings(
    model=Path("m.tflite"),
    source="fake",
    name="pi",
    decision=DecisionOverrides(smoothing=1, enter=0.6, leave=0.4, hold=0, heartbeat=0),
    health=HealthSettings(interval=1000, drift=False),
)
# Of those settings, at each start.
TOLD = "decision: smoothing 1, enter 0.6, leave 0.4, hold 0, heartbeat 0 (from the configuration)"


class Manager:
    """systemd's end of the notification socket."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.settimeout(30)

    def wait_for(self, text: str) -> str:
        """The next message that contains `text`."""
        while text not in (message := self._socket.recv(4096).decode()):
            pass
        return message

    def hears(self, text: str, within: float) -> bool:
        """Whether a message that contains `text` comes within so many seconds."""
        self._socket.settimeout(within)
        try:
            self.wait_for(text)
        except TimeoutError:
            return False
        finally:
            self._socket.settimeout(30)
        return True

    def close(self) -> None:
        self._socket.close()


@dataclass
class Bench:
    """A daemon in a thread of its own."""

    settings: Settings
    sources: Sources
    manager: Manager
    sink: KeptSink = field(default_factory=KeptSink)
    messages: queue.SimpleQueue[str] = field(default_factory=queue.SimpleQueue)
    sinks: Sequence[SinkEntry] = ()
    reload: Callable[[], Settings] = lambda: SETTINGS
    read: Callable[[], FileStamp | None] = lambda: None
    failure: BaseException | None = None

    def start(self) -> "Bench":
        kept = SinkEntry("stdout", lambda _: True, lambda _: None, lambda *_: self.sink)
        self.daemon = Daemon(
            self.settings,
            self.sources,
            lambda: self.reload(),
            lambda text: None if text == TOLD else self.messages.put(text),
            self.sinks or (kept,),
            self.read,
        )
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def _run(self) -> None:
        try:
            self.daemon.run()
        except BaseException as error:
            self.failure = error

    def wait(self) -> BaseException | None:
        self._thread.join(30)
        assert not self._thread.is_alive()
        return self.failure

    def stop(self) -> BaseException | None:
        self.daemon.request_stop()
        return self.wait()

    def wait_for(self, text: str) -> str:
        """The next message that contains `text`."""
        while text not in (line := self.messages.get(timeout=30)):
            pass
        return line


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Bench]]:
    """Make daemons whose only sink keeps what it gets, and whose models are all alike."""
    path = tmp_path / "notify"
    manager = Manager(path)
    monkeypatch.setenv("NOTIFY_SOCKET", str(path))
    monkeypatch.setenv("WATCHDOG_USEC", "400000")
    monkeypatch.setattr(hot_swap, "LOOK_EVERY", 0.05)
    monkeypatch.setattr(daemon_module, "TICK", 0.02)
    made: list[Bench] = []

    set_models(monkeypatch, lambda settings: loaded())
    (tmp_path / "m.tflite").touch()
    monkeypatch.chdir(tmp_path)

    def make(settings: Settings, *sources: FakeSource | Exception) -> Bench:
        made.append(Bench(settings, Sources(list(sources)), manager))
        return made[-1]

    yield make
    manager.close()


def set_models(
    monkeypatch: pytest.MonkeyPatch,
    open_model: Callable[[Settings], Loaded],
    open_on_cpu: Callable[..., Loaded] = lambda settings, because: loaded(degraded=because),
) -> None:
    for module in (models, hot_swap):
        monkeypatch.setattr(module, "open_model", open_model)
        monkeypatch.setattr(module, "open_on_cpu", open_on_cpu)
    monkeypatch.setattr("edgekit_device.daemon.worker.open_on_cpu", open_on_cpu)


def endless(*shown: int) -> FakeSource:
    """A camera that shows some classes over and over."""
    source = FakeSource(live=True, name="camera")

    def refill() -> None:
        threading.Event().wait(0.005)
        source.script += [*shown, refill]

    source.script = [*shown, refill]
    return source


def with_settings(**changes: Any) -> Settings:
    return msgspec.structs.replace(SETTINGS, **changes)


def test_a_recording_is_worked_through_and_that_is_the_end(bench: Callable[..., Bench]) -> None:
    running = bench(SETTINGS, FakeSource(0, 0, 1)).start()
    assert running.wait() is None
    assert [event.label for event in running.sink.events] == ["cat", "dog"]
    summary = running.daemon.summary()
    assert summary.startswith("3 frames (0 dropped), 2 events")
    assert summary.endswith("(litert, cpu)")
    assert running.sink.healths[-1].state == "stopping"


def test_systemd_learns_when_it_is_ready_and_that_it_lives(bench: Callable[..., Bench]) -> None:
    running = bench(SETTINGS, endless(0)).start()
    running.manager.wait_for("STATUS=running · model 000000000000")
    running.manager.wait_for("READY=1")
    for _ in range(3):
        running.manager.wait_for("WATCHDOG=1")
    running.daemon.request_stop()
    running.manager.wait_for("STOPPING=1")
    assert running.wait() is None


def test_a_camera_that_is_silent_is_stalled_and_the_watchdog_is_not_fed(
    bench: Callable[..., Bench],
) -> None:
    silence = Gate()
    source = FakeSource(0, silence, 1, live=True)
    running = bench(
        with_settings(health=HealthSettings(interval=1000, stall_after=0.2)), source
    ).start()
    running.manager.wait_for("STATUS=stalled")
    assert running.daemon.health().state == "stalled"
    assert not running.manager.hears("WATCHDOG=1", within=0.5)
    silence.open()
    assert running.wait() is None
    assert "stalled" in [health.state for health in running.sink.healths]


def test_a_problem_of_a_sink_makes_it_degraded(bench: Callable[..., Bench]) -> None:
    running = bench(SETTINGS, endless(0))

    running.sink.report = lambda: SinkHealth(1, 2, 3, problem="away")  # type: ignore[method-assign]
    running.start()
    running.manager.wait_for("STATUS=degraded")
    health = running.daemon.health()
    assert health.problems == ["stdout: away"]
    assert health.sinks["stdout"].dropped == 2
    assert running.stop() is None


def test_drift_is_told_at_once_and_is_no_problem(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drift, "INTERVAL", 0.0)
    classifier, fits = FakeClassifier(), FakeClassifier()
    classifier.profile, fits.profile = BRIGHT, make_profile()  # type: ignore[assignment]
    fits.sha256 = "1" * 64
    set_models(monkeypatch, lambda _: loaded(classifier))
    source, gate = endless(0), Gate()
    source.script = [0, gate, *source.script]
    running = bench(with_settings(health=HealthSettings(interval=1000)), source).start()
    running.manager.wait_for("STATUS=running")
    gate.open()
    until(lambda: running.sink.healths[-1].drift)
    health = running.sink.healths[-1]
    assert headline(health).endswith(f" fps · drift: {DARKER}")
    assert health.drift_figures == list(PICTURE_FIGURES)
    assert (health.state, health.problems) == ("running", [])
    assert running.manager.hears("WATCHDOG=1", within=30)
    # A model that fits has nothing to tell.
    set_models(monkeypatch, lambda _: loaded(fits))
    Path("new").touch()
    Path("new").replace("m.tflite")
    running.manager.wait_for("STATUS=running · model 111111111111")
    until(lambda: running.daemon.health().drift_figures)
    assert running.daemon.health().drift is None
    assert running.stop() is None
    said = [running.messages.get() for _ in range(running.messages.qsize())]
    assert [line.startswith(f"drift: {DARKER}; ") for line in said].count(True) == 1
    assert not [line for line in said if "as usual again" in line]


def test_a_failure_of_a_part_is_the_end_and_its_own(bench: Callable[..., Bench]) -> None:
    source = FakeSource(0, SourceError("broke"), live=False)
    failure = bench(SETTINGS, source).start().wait()
    assert str(failure) == "broke"


def test_a_sink_that_can_no_longer_deliver_ends_it(bench: Callable[..., Bench]) -> None:
    running = bench(SETTINGS, endless(0)).start()
    running.manager.wait_for("READY")
    running.sink.failure = OutputError("disk full")
    assert str(running.wait()) == "disk full"


class OwingSink(KeptSink):
    """Delivers events when the test says; counts them."""

    name = "mqtt"
    owes_events = True

    def __init__(self) -> None:
        super().__init__()
        self.problem: str | None = None
        self.delivered = self.dropped = 0
        self.on_report: Callable[[], None] = lambda: None

    def report(self) -> SinkHealth:
        self.on_report()
        queued = len(self.events) - self.delivered - self.dropped
        return SinkHealth(self.delivered, self.dropped, queued, self.problem)


class TestDeliveries:
    """What became of the events is known at the end, and said."""

    @pytest.fixture
    def sink(self, monkeypatch: pytest.MonkeyPatch) -> OwingSink:
        monkeypatch.setattr(daemon_module, "FLUSH", 0.05)
        return OwingSink()

    @pytest.fixture
    def run(self, bench: Callable[..., Bench], sink: OwingSink) -> Callable[..., Bench]:
        def run(*script: Any, live: bool = False, **changes: Any) -> Bench:
            source = "test:" if live else "fake"
            running = bench(with_settings(source=source, **changes), *script)
            running.sink = sink
            return running.start()

        return run

    def test_a_recording_whose_events_did_not_arrive_fails_with_their_number(
        self, run: Callable[..., Bench], sink: OwingSink
    ) -> None:
        sink.problem = "cannot reach the broker: refused"
        running = run(FakeSource(0, 0, 1))
        failure = running.wait()
        assert isinstance(failure, DeliveryError)
        assert failure.exit_code == 1
        assert str(failure) == (
            "mqtt: 2 of 2 events were not delivered: cannot reach the broker: refused; see to "
            "that, and run it again"
        )
        assert running.messages.empty()

    def test_the_end_waits_for_as_long_as_events_go_through(
        self, run: Callable[..., Bench], sink: OwingSink
    ) -> None:
        def deliver() -> None:
            # One a look, once the last was told: together they take many times FLUSH.
            if len(sink.events) == 20 and sink.delivered < 20:
                threading.Event().wait(0.02)
                sink.delivered += 1

        sink.on_report = deliver
        assert run(FakeSource(*[0, 1] * 10)).wait() is None
        assert sink.delivered == 20

    def test_so_does_one_that_ended_because_it_had_its_frames(
        self, run: Callable[..., Bench]
    ) -> None:
        running = run(endless(0), live=True, max_frames=3)
        assert isinstance(running.wait(), DeliveryError)

    def test_one_that_was_stopped_says_what_was_lost(
        self, run: Callable[..., Bench], sink: OwingSink
    ) -> None:
        running = run(endless(0))
        running.manager.wait_for("READY")
        assert running.stop() is None
        assert running.wait_for("mqtt").startswith("mqtt: 1 of 1 events were not delivered: ")

    def test_a_failure_of_its_own_is_told_with_the_number_and_its_exit_code(
        self, run: Callable[..., Bench], sink: OwingSink
    ) -> None:
        running = run(endless(0), live=True)
        running.manager.wait_for("READY")
        sink.failure = BrokerLostError("refused; gave up after 3600 s")
        failure = running.wait()
        assert isinstance(failure, BrokerLostError)
        assert str(failure) == ("refused; gave up after 3600 s; 1 of 1 events were not delivered")

    def test_another_failure_is_told_behind_what_was_lost(self, run: Callable[..., Bench]) -> None:
        running = run(FakeSource(0, SourceError("broke")))
        assert str(running.wait()) == "broke"
        running.wait_for("mqtt: 1 of 1 events were not delivered")

    def test_a_failure_with_the_last_event_is_one(
        self, run: Callable[..., Bench], sink: OwingSink, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def close(timeout: float) -> None:
            sink.failure = OutputError("disk full")

        monkeypatch.setattr(sink, "close", close)
        running = run(FakeSource(0))
        assert str(running.wait()) == "disk full; 1 of 1 events were not delivered"

    def test_beside_a_camera_it_is_said_when_it_is_away_and_when_it_is_back(
        self, run: Callable[..., Bench], sink: OwingSink
    ) -> None:
        running = run(endless(0), live=True)
        running.manager.wait_for("READY")
        sink.problem = "refused"
        assert running.wait_for("mqtt") == "mqtt: refused"
        sink.problem, sink.dropped = None, 1
        assert running.wait_for("mqtt") == "mqtt: delivers again; 1 event was lost"
        assert running.stop() is None

    def test_what_a_sink_lost_that_a_reload_closed_is_not_forgotten(
        self, run: Callable[..., Bench], sink: OwingSink
    ) -> None:
        running = run(endless(0))
        entry = SinkEntry("stdout", lambda s: s.stdout, lambda s: s.stdout, lambda *_: sink)
        running.daemon._entries = (entry,)
        running.manager.wait_for("READY")
        running.reload = lambda: with_settings(stdout=False)
        running.daemon.request_reload()
        running.wait_for("read again")
        assert running.stop() is None
        assert "1 of 1 events were not delivered" in running.wait_for("mqtt")


def test_a_sink_that_cannot_start_ends_it(bench: Callable[..., Bench]) -> None:
    running = bench(SETTINGS, endless(0))

    def start() -> None:
        raise SettingsError("port taken")

    running.sink.start = start  # type: ignore[method-assign]
    assert str(running.start().wait()) == "port taken"


def test_a_hung_inference_is_left_behind_when_the_cpu_may_go_on(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    hung = Gate()
    set_models(monkeypatch, lambda settings: loaded(HangingClassifier(hung, "edgetpu")))
    settings = with_settings(
        delegate="edgetpu",
        allow_cpu_fallback=True,
        recovery=RecoverySettings(inference_timeout=1),
    )
    running = bench(settings, endless(1)).start()
    running.manager.wait_for("STATUS=degraded")
    health = running.daemon.health()
    assert health.restarts == {"accelerator": 1}
    assert "did not return" in health.problems[0]
    assert running.sink.events[0].state == "degraded"
    assert running.stop() is None
    # The process must not wait for it at its end.
    assert running.daemon.stuck
    hung.open()
    until(lambda: not running.daemon.stuck)


def test_a_hung_inference_is_the_end_otherwise(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    hung = Gate()
    set_models(monkeypatch, lambda settings: loaded(HangingClassifier(hung, "edgetpu")))
    settings = with_settings(delegate="edgetpu", recovery=RecoverySettings(inference_timeout=1))
    running = bench(settings, endless(1)).start()
    failure = running.wait()
    assert isinstance(failure, AcceleratorLostError)
    assert running.daemon.stuck
    hung.open()


def test_a_delegate_that_works_again_takes_over(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "DELEGATE_PROBE", RetryPolicy(0.1, 0.1))
    works = threading.Event()

    def open_model(settings: Settings) -> Loaded:
        if not works.is_set():
            raise RuntimeUnavailableError("gone")
        return loaded(FakeClassifier(accelerator="edgetpu"))

    set_models(monkeypatch, open_model)
    settings = with_settings(
        delegate="edgetpu", allow_cpu_fallback=True, recovery=RecoverySettings(delegate=0)
    )
    running = bench(settings, endless(1)).start()
    running.manager.wait_for("STATUS=degraded")
    works.set()
    running.manager.wait_for("STATUS=running")
    assert running.daemon.health().accelerator == "edgetpu"
    assert running.stop() is None


class TestModelFile:
    """The file that `model` names is replaced while the daemon runs."""

    @pytest.fixture
    def path(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A model file; its text is the label of the first class, and "bad" is no model."""
        path = tmp_path / "model.tflite"
        path.write_text("cat")

        def open_model(settings: Settings) -> Loaded:
            stamp, text = FileStamp.of(path), path.read_text()
            if text == "bad":
                raise ModelFileError("damaged")
            return Loaded(FakeClassifier([text, "dog"]), stamp)  # type: ignore[arg-type]

        set_models(monkeypatch, open_model)
        return path

    def replace(self, path: Path, text: str) -> None:
        (path.parent / "new").write_text(text)
        (path.parent / "new").replace(path)

    def test_another_model_takes_over(self, bench: Callable[..., Bench], path: Path) -> None:
        running = bench(with_settings(model=path), endless(0)).start()
        running.manager.wait_for("READY")
        self.replace(path, "lion")
        running.wait_for("runs from the next frame on")
        until(lambda: [event.label for event in running.sink.events] == ["cat", "lion"])
        assert running.daemon.health().restarts == {"model": 1}
        assert running.stop() is None

    def test_a_bad_one_is_refused_without_harm(
        self, bench: Callable[..., Bench], path: Path
    ) -> None:
        running = bench(with_settings(model=path), endless(0)).start()
        running.manager.wait_for("READY")
        self.replace(path, "bad")
        running.manager.wait_for("STATUS=degraded")
        assert running.daemon.health().problems == ["model: damaged; going on with the one before"]
        assert [event.label for event in running.sink.events] == ["cat"]
        self.replace(path, "lion")
        running.manager.wait_for("STATUS=running")
        assert running.stop() is None

    def test_one_that_is_gone_is_a_problem_until_it_is_back(
        self, bench: Callable[..., Bench], path: Path
    ) -> None:
        running = bench(with_settings(model=path), endless(0)).start()
        running.manager.wait_for("READY")
        path.rename(path.with_suffix(".away"))
        assert "is gone" in running.manager.wait_for("STATUS=degraded")
        path.with_suffix(".away").rename(path)
        running.manager.wait_for("STATUS=running")
        assert running.daemon.health().restarts == {}
        assert running.stop() is None


class TestReload:
    """SIGHUP."""

    def test_other_settings_hold_from_then_on(self, bench: Callable[..., Bench]) -> None:
        running = bench(SETTINGS, endless(0)).start()
        running.manager.wait_for("READY")
        running.reload = lambda: with_settings(every_frame=True)
        running.daemon.request_reload()
        running.wait_for("the configuration was read again")
        until(lambda: any(event.event == "frame" for event in running.sink.events))
        assert running.stop() is None

    def test_decision_settings_that_do_not_fit_the_model_leave_those_before(
        self, bench: Callable[..., Bench]
    ) -> None:
        running = bench(SETTINGS, endless(0)).start()
        running.manager.wait_for("READY")
        own = DecisionOverrides(labels={"cow": LabelOverrides(enter=0.9)})
        running.reload = lambda: with_settings(decision=own, top_k=1)
        running.daemon.request_reload()
        told = running.manager.wait_for("STATUS=degraded")
        assert "decision: decision.labels.cow: m.tflite has no such class; it has cat, dog" in told
        # The rest of them holds.
        until(lambda: len(running.sink.results[-1].best(9)) == 3)
        assert running.sink.results[-1].decision.smoothing == 1
        assert running.daemon.health().decision_from == "the configuration"
        running.reload = lambda: SETTINGS
        running.daemon.request_reload()
        running.manager.wait_for("STATUS=running")
        assert running.stop() is None

    def test_wrong_ones_change_nothing(self, bench: Callable[..., Bench]) -> None:
        running = bench(SETTINGS, endless(0)).start()
        running.manager.wait_for("READY")

        def wrong() -> Settings:
            raise SettingsError("line 3: no such key")

        running.reload = wrong
        running.daemon.request_reload()
        assert "line 3: no such key" in running.manager.wait_for("STATUS=degraded")
        running.reload = lambda: SETTINGS
        running.daemon.request_reload()
        running.manager.wait_for("STATUS=running")
        assert running.stop() is None

    @pytest.mark.parametrize("error", [RecursionError("deep"), ValueError("digits"), MemoryError()])
    def test_a_file_that_trips_the_program_itself_changes_nothing(
        self, bench: Callable[..., Bench], error: Exception
    ) -> None:
        running = bench(SETTINGS, endless(0)).start()
        running.manager.wait_for("READY")

        def wrong() -> Settings:
            raise error

        running.reload = wrong
        running.daemon.request_reload()
        assert f"configuration: unexpected: {error!r}" in running.manager.wait_for(
            "STATUS=degraded"
        )
        assert running.stop() is None

    def test_a_model_that_does_not_open_leaves_the_one_before(
        self, bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        running = bench(SETTINGS, endless(0)).start()
        running.manager.wait_for("READY")

        def open_model(settings: Settings) -> Loaded:
            raise ModelFileError("labels do not fit")

        set_models(monkeypatch, open_model)
        running.reload = lambda: with_settings(labels=Path("labels.txt"))
        running.daemon.request_reload()
        assert "labels do not fit" in running.manager.wait_for("STATUS=degraded")
        assert running.stop() is None

    def test_only_sinks_whose_settings_changed_are_replaced(
        self, bench: Callable[..., Bench]
    ) -> None:
        opened: list[str] = []
        closed: list[str] = []

        class Named(KeptSink):
            def __init__(self, name: str) -> None:
                super().__init__()
                self.name = name
                opened.append(name)

            def close(self, timeout: float) -> None:
                closed.append(self.name)

        running = bench(SETTINGS, endless(0))
        running.sinks = [
            SinkEntry("a", lambda _: True, lambda s: s.top_k, lambda *_: Named("a")),
            SinkEntry("b", lambda s: s.stdout, lambda s: s.stdout, lambda *_: Named("b")),
        ]
        running.reload = lambda: with_settings(stdout=False)
        running.start().manager.wait_for("READY")
        assert (opened, closed) == (["a", "b"], [])
        running.daemon.request_reload()
        running.wait_for("read again")
        assert (opened[2:], closed) == ([], ["b"])
        assert set(running.daemon.health().sinks) == {"a"}
        running.reload = lambda: with_settings(top_k=1)
        running.daemon.request_reload()
        running.wait_for("read again")
        assert (sorted(opened[2:]), closed) == (["a", "b"], ["b", "a"])
        assert set(running.daemon.health().sinks) == {"a", "b"}
        assert running.stop() is None

    def test_many_at_once_are_one_and_a_stop_waits_for_none_of_them(
        self, bench: Callable[..., Bench]
    ) -> None:
        running = bench(SETTINGS, endless(0)).start()
        running.manager.wait_for("READY")
        reading, read = Gate(), []

        def reload() -> Settings:
            reading()
            read.append(1)
            return SETTINGS

        running.reload = reload
        running.daemon.request_reload()
        assert reading.reached.wait(30)
        for _ in range(100):
            running.daemon.request_reload()
        reading.open()
        running.wait_for("read again")
        running.wait_for("read again")
        # The one that was under way, and one for all that came meanwhile.
        assert len(read) == 2
        reading = Gate()
        for _ in range(100):
            running.daemon.request_reload()
        assert reading.reached.wait(30)
        running.daemon.request_reload()
        running.daemon.request_stop()
        reading.open()
        assert running.wait() is None
        assert len(read) == 3

    def test_no_event_is_lost_while_a_sink_is_exchanged(self, bench: Callable[..., Bench]) -> None:
        closing = Gate()

        class Slow(KeptSink):
            def close(self, timeout: float) -> None:
                if not closing.reached.is_set():
                    closing()

        running = bench(with_settings(every_frame=True), endless(0))
        before, after = Slow(), KeptSink()
        made: list[KeptSink] = [before, after]
        running.sinks = [
            SinkEntry("a", lambda _: True, lambda s: s.top_k, lambda *_: made.pop(0)),
        ]
        running.start().manager.wait_for("READY")
        running.reload = lambda: with_settings(every_frame=True, top_k=1)
        running.daemon.request_reload()
        assert closing.reached.wait(30)
        until(lambda: after.events)
        closing.open()
        assert running.stop() is None
        told = [event.frame for event in (*before.events, *after.events)]
        assert told == list(range(len(told)))

    def test_counts_of_sinks_go_on_where_those_before_ended(
        self, bench: Callable[..., Bench]
    ) -> None:
        class Counting(KeptSink):
            restarts = 1

            def report(self) -> SinkHealth:
                return SinkHealth(sent=5, dropped=2, queued=1, takeovers=1)

        running = bench(SETTINGS, endless(0))
        running.sinks = [SinkEntry("a", lambda _: True, lambda s: s.top_k, lambda *_: Counting())]
        running.start().manager.wait_for("READY")
        for top_k in (1, 2):
            running.reload = lambda top_k=top_k: with_settings(top_k=top_k)
            running.daemon.request_reload()
            running.wait_for("read again")
        health = running.daemon.health()
        # What the one before last had in hand is lost; that of the last may still arrive.
        assert health.sinks["a"] == SinkHealth(15, 7, 2, takeovers=3)
        assert health.restarts["a"] == 3
        assert running.stop() is None

    def test_a_sink_that_the_system_has_no_means_for_is_a_problem(
        self, bench: Callable[..., Bench]
    ) -> None:
        class Poor(KeptSink):
            def start(self) -> None:
                raise RuntimeError("can't start new thread")

        running = bench(SETTINGS, endless(0))
        made: list[KeptSink] = [KeptSink(), Poor()]
        running.sinks = [
            SinkEntry("a", lambda _: True, lambda s: s.top_k, lambda *_: made.pop(0)),
        ]
        running.start().manager.wait_for("READY")
        running.reload = lambda: with_settings(top_k=1)
        running.daemon.request_reload()
        assert "a: unexpected: RuntimeError" in running.manager.wait_for("STATUS=degraded")
        assert running.stop() is None

    def test_sinks_that_were_made_for_a_refused_source_are_made_for_the_old_one_again(
        self, bench: Callable[..., Bench]
    ) -> None:
        made: list[str | None] = []

        def make(settings: Settings, _: object) -> KeptSink:
            made.append(settings.source)
            return KeptSink()

        running = bench(SETTINGS, endless(0), SourceError("none there"), endless(1))
        running.sinks = [SinkEntry("a", lambda _: True, lambda s: s.source, make)]
        running.start().manager.wait_for("READY")
        running.reload = lambda: with_settings(source="second")
        running.daemon.request_reload()
        assert "source: none there" in running.manager.wait_for("STATUS=degraded")
        until(lambda: made == ["fake", "second", "fake"])
        assert running.stop() is None


class TestStatus:
    """What is left in the runtime directory for the commands beside the daemon."""

    @pytest.fixture
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        folder = tmp_path / "run"
        folder.mkdir()
        monkeypatch.setenv("RUNTIME_DIRECTORY", f"{folder}:{tmp_path}")
        return folder

    def status(self, folder: Path) -> Status:
        status = read_status(folder)
        assert status is not None
        return status

    def test_it_says_how_the_daemon_is_and_at_last_that_it_ends(
        self, bench: Callable[..., Bench], folder: Path
    ) -> None:
        running = bench(SETTINGS, endless(0)).start()
        running.manager.wait_for("STATUS=running")
        status = self.status(folder)
        assert (status.pid, status.health.state) == (os.getpid(), "running")
        assert (status.problems, status.refused_model) == ({}, None)
        assert running.stop() is None
        assert self.status(folder).health.state == "stopping"

    def test_each_reading_of_the_configuration_counts_when_it_is_done(
        self, bench: Callable[..., Bench], folder: Path
    ) -> None:
        running = bench(SETTINGS, endless(0)).start()
        running.manager.wait_for("STATUS=running")
        assert self.status(folder).reloads == 0
        # Neither state nor problems change with it; it is written at once all the same.
        running.daemon.request_reload()
        until(lambda: self.status(folder).reloads == 1)

        def wrong() -> Settings:
            raise SettingsError("line 3: no such key")

        running.reload = wrong
        running.daemon.request_reload()
        until(lambda: self.status(folder).reloads == 2)
        assert "line 3: no such key" in self.status(folder).problems["configuration"]
        assert running.stop() is None

    def test_it_says_which_file_it_follows(
        self, bench: Callable[..., Bench], folder: Path, tmp_path: Path
    ) -> None:
        file = tmp_path / "edgekit.toml"
        file.write_text("threads = 1\n")
        stamps = [FileStamp.of(file)]
        running = bench(SETTINGS, endless(0))
        running.read = lambda: stamps[-1]
        running.start().manager.wait_for("STATUS=running")
        assert self.status(folder).configuration == stamps[0]

        def wrong() -> Settings:
            stamps.append(None)
            raise SettingsError("line 3: no such key")

        # It goes on with the one before, and says so.
        running.reload = wrong
        running.daemon.request_reload()
        until(lambda: self.status(folder).reloads == 1)
        assert self.status(folder).configuration == stamps[0]
        file.write_text("threads = 2\n")
        stamps.append(FileStamp.of(file))
        running.reload = lambda: SETTINGS
        running.daemon.request_reload()
        until(lambda: self.status(folder).reloads == 2)
        assert self.status(folder).configuration == stamps[-1] != stamps[0]
        assert running.stop() is None

    def test_it_says_which_code_it_has_run_since_its_start(
        self, bench: Callable[..., Bench], folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(status_file, "installed_code", lambda: "01")
        running = bench(SETTINGS, endless(0)).start()
        running.manager.wait_for("STATUS=running")
        monkeypatch.setattr(status_file, "installed_code", lambda: "02")
        running.daemon.request_reload()
        until(lambda: self.status(folder).reloads == 1)
        assert self.status(folder).code == "01"
        assert running.stop() is None

    def test_problems_are_told_apart_by_their_part(
        self, bench: Callable[..., Bench], folder: Path
    ) -> None:
        running = bench(SETTINGS, endless(0))
        running.sink.report = lambda: SinkHealth(  # type: ignore[method-assign]
            0, 0, 0, problem="away: gone · STATUS=running"
        )
        running.start().manager.wait_for("STATUS=degraded")
        assert self.status(folder).problems == {"stdout": "away: gone · STATUS=running"}
        assert running.stop() is None

    def test_words_of_others_are_one_line_without_secrets(
        self, bench: Callable[..., Bench], folder: Path
    ) -> None:
        running = bench(SETTINGS, endless(0))
        running.sink.report = lambda: SinkHealth(  # type: ignore[method-assign]
            0, 0, 0, problem="500 no\nWATCHDOG=1\x1b[31m rtsp://u:secret@h \udcff"
        )
        told = running.start().manager.wait_for("STATUS=degraded")
        line = "500 no WATCHDOG=1 [31m rtsp://***@h"
        assert told.endswith(f"stdout: {line}")
        health = self.status(folder).health
        assert health.problems == [f"stdout: {line}"]
        assert health.sinks["stdout"].problem == line
        assert running.stop() is None

    def test_why_a_model_file_is_not_in_use_is_a_field_of_its_own(
        self, bench: Callable[..., Bench], folder: Path, tmp_path: Path
    ) -> None:
        running = bench(SETTINGS, endless(0)).start()
        running.manager.wait_for("STATUS=running")
        (tmp_path / "m.tflite").rename(tmp_path / "away")
        running.manager.wait_for("STATUS=degraded")
        refused = self.status(folder).refused_model
        assert refused is not None
        assert "is gone" in refused
        (tmp_path / "away").rename(tmp_path / "m.tflite")
        running.manager.wait_for("STATUS=running")
        assert self.status(folder).refused_model is None
        assert running.stop() is None

    def test_that_it_cannot_be_written_is_said_once_and_no_end(
        self, bench: Callable[..., Bench], folder: Path
    ) -> None:
        folder.rmdir()
        often = with_settings(health=HealthSettings(interval=0.01))
        running = bench(often, endless(0)).start()
        for _ in range(3):
            running.manager.wait_for("STATUS=degraded")
        assert running.daemon.health().problems == [
            f"status: cannot write it to {folder}: No such file or directory"
        ]
        folder.mkdir()
        running.manager.wait_for("STATUS=running")
        assert running.stop() is None
        messages = [running.messages.get() for _ in range(running.messages.qsize())]
        assert sum("status: " in message for message in messages) == 1

    def test_without_a_runtime_directory_there_is_none(
        self, bench: Callable[..., Bench], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
        assert bench(SETTINGS, FakeSource(0)).start().wait() is None
        assert sorted(path.name for path in tmp_path.iterdir()) == ["m.tflite", "notify"]


class TestTable:
    """`SINKS`: an entry is all that a new sink needs."""

    def test_an_entry_gets_results_events_and_health(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        set_models(monkeypatch, lambda settings: loaded())
        monkeypatch.chdir(tmp_path)
        sink = KeptSink()
        settings = with_settings(stdout=False)
        entry = SinkEntry("new", lambda s: s.name == "pi", lambda s: s.name, lambda *_: sink)
        daemon = Daemon(
            settings, Sources([FakeSource(0, 0, 1)]), lambda: settings, print, (*SINKS, entry)
        )
        daemon.run()
        assert [result.label for result in sink.results] == ["cat", "cat", "dog"]
        assert [event.label for event in sink.events] == ["cat", "dog"]
        assert sink.healths[-1].state == "stopping"
        assert list(daemon.health().sinks) == ["new"]

    def test_every_entry_is_off_by_default_but_stdout(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
        assert [entry.name for entry in SINKS if entry.wanted(Settings())] == ["stdout"]


def test_errors_of_the_program_itself_are_not_hidden(bench: Callable[..., Bench]) -> None:
    failure = bench(SETTINGS, FakeSource(ZeroDivisionError())).start().wait()
    assert isinstance(failure, ZeroDivisionError)
    assert not isinstance(failure, EdgekitError)
