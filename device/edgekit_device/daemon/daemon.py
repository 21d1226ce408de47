"""The daemon: parts are started, watched, replaced and stopped; the worker does the work.

Everything that happens is put in one inbox as a function to call, by signal handlers and other
threads, and called by the thread that runs `Daemon.run`. So nothing here needs a lock.
"""

import contextlib
import os
import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from edgekit import __version__
from edgekit.errors import AcceleratorLostError, EdgekitError
from edgekit.inference.events import State, timestamp
from edgekit.vision.threads import is_any_left
from edgekit_device import board
from edgekit_device.config.settings import Settings
from edgekit_device.daemon.deliveries import Deliveries
from edgekit_device.daemon.hot_swap import ModelWatch
from edgekit_device.daemon.models import Loaded, model_settings
from edgekit_device.daemon.statistics import Indicators, Statistics, state_of
from edgekit_device.daemon.systemd import ServiceManager
from edgekit_device.daemon.worker import OpenSource, Worker
from edgekit_device.health import Health, Status, headline, runtime_folder, shown, write_status
from edgekit_device.sinks import SINKS, SinkEntry
from edgekit_device.sinks.base import Sink
from edgekit_device.sources import Source, is_live

TICK = 0.25
# How long the frame in hand, and then the messages in hand, may take once a stop was asked for.
GRACE = 0.8
# At the end of a recording: how long to wait for a message to be delivered after the one before.
FLUSH = 10.0
_BOARD_CHECK = 5.0


class Daemon:
    """Runs a model over a source and publishes its answers, and how it is.

    Args:
        settings: what to do.
        open_source: opens the source that settings name.
        reload: reads the settings again, for SIGHUP; raises SettingsError when they are wrong.
        notify: called with a line for people about what happens.
        sinks: the kinds of sinks there are.
    """

    def __init__(
        self,
        settings: Settings,
        open_source: OpenSource,
        reload: Callable[[], Settings],
        notify: Callable[[str], None],
        sinks: Sequence[SinkEntry] = SINKS,
    ) -> None:
        self.statistics = Statistics()
        self._settings = settings
        self._open_source = open_source
        self._reload = reload
        self._notify = notify
        self._entries = sinks
        self._manager = ServiceManager()
        # SimpleQueue.put may be called from a signal handler, even while the same thread is in it.
        self._inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._models = ModelWatch(settings, self._inbox.put, self._use_model, notify)
        self._worker = self._new_worker()
        # Each hangs in an inference, and may for ever.
        self._abandoned: list[Worker] = []
        self._sinks: Mapping[str, Sink] = {}
        self._deliveries = Deliveries(notify)
        self._problems: dict[str, str] = {}
        self._sent: tuple[State, dict[str, str], str] | None = None
        self._ready = False
        self._stopping = False
        self._ended = False
        self._failure: Exception | None = None
        self._hung = False
        self._temperature: float | None = None
        self._throttled: list[str] = []
        self._due: dict[str, float] = {}

    def request_stop(self) -> None:
        """End soon; may be called from a signal handler."""
        self._inbox.put(self._on_stop)

    def request_reload(self) -> None:
        """Read the settings again; may be called from a signal handler."""
        self._inbox.put(self._on_reload)

    def run(self) -> None:
        """Work until the source ends, `max_frames` are done, or a stop is requested.

        Raises:
            DeliveryError: the source or `max_frames` ended it, and events were not delivered.
            EdgekitError: a part failed for good; its `exit_code` says which.
            BrokenPipeError: the reader of stdout has gone.
        """
        opened = {entry.name: entry.open(self._settings, self.health) for entry in self._entries}
        self._sinks = {name: sink for name, sink in opened.items() if sink is not None}
        try:
            for sink in self._sinks.values():
                sink.start()
            self._worker.start()
            while not (self._ended or self._stopping):
                self._turn()
            if self._ended and self._failure is None:
                self._drain()
            stopped = self._stopping
        finally:
            self._shut_down()
        # A failure at the very end, of a full disk say, is one all the same.
        self._check_sinks()
        failure = self._deliveries.conclude(self._failure, self._sinks.values(), stopped=stopped)
        if failure is not None:
            raise failure

    @property
    def stuck(self) -> bool:
        """Whether a thread is left in a driver, so that no clean exit is possible."""
        workers = (self._worker, *self._abandoned)
        return is_any_left() or any(w.started and not w.join(0) for w in workers)

    def health(self) -> Health:
        """How the daemon is now; may be called from any thread."""
        return self._health_of(self._indicators())

    def _health_of(self, indicators: Indicators) -> Health:
        worker, statistics, settings = self._worker, self.statistics, self._settings
        source = worker.source
        classifier = worker.loaded.classifier if worker.loaded else None
        sinks = self._sinks
        return Health(
            ts=timestamp(),
            name=settings.device_name,
            state=state_of(indicators, settings.health.stall_after),
            problems=[f"{part}: {text}" for part, text in indicators.problems.items()],
            version=__version__,
            uptime_s=round(time.monotonic() - statistics.started, 1),
            source=shown(worker.source_name),
            model=shown(classifier.path.name) if classifier else "",
            model_sha256=classifier.sha256 if classifier else "",
            runtime=classifier.runtime_name if classifier else "",
            accelerator=classifier.accelerator if classifier else "",
            frames=statistics.frames,
            dropped=statistics.dropped + (source.dropped if source else 0),
            damaged=statistics.damaged + (source.damaged if source else 0),
            events=statistics.events,
            fps=round(statistics.fps, 2),
            memory_bytes=board.memory_bytes(),
            restarts=statistics.restarts
            | {name: sink.restarts for name, sink in sinks.items() if sink.restarts},
            sinks={name: sink.report().shown() for name, sink in sinks.items()},
            latency_ms=statistics.latency(),
            frame_age_s=round(indicators.frame_age, 2) if indicators.ready else None,
            inference_age_s=round(indicators.inference_age, 2) if indicators.ready else None,
            temperature_c=self._temperature,
            throttled=self._throttled,
        )

    def summary(self) -> str:
        """What was done, as one line for people."""
        health, statistics = self.health(), self.statistics
        latency = f"{health.latency_ms.p50:.2f}" if health.latency_ms else "no"
        seconds = statistics.last_inference - statistics.first_inference
        rate = (health.frames - 1) / seconds if seconds > 0 else 0.0
        if not health.frames:
            return "stopped before the first frame"
        return (
            f"{health.frames} frames ({health.dropped} dropped), {health.events} events, "
            f"latency {latency} ms median, {rate:.1f} frames/s "
            f"({health.runtime}, {health.accelerator})"
        )

    def _indicators(self) -> Indicators:
        statistics, now = self.statistics, time.monotonic()
        problems = self._worker.problems | self._problems
        for name, sink in self._sinks.items():
            if problem := sink.report().problem:
                problems[name] = problem
        if self._models.problem:
            problems["model"] = self._models.problem
        if self._throttled:
            problems["board"] = ", ".join(self._throttled)
        return Indicators(
            stopping=self._stopping,
            ready=statistics.frames > 0,
            frame_age=now - statistics.last_frame,
            inference_age=now - statistics.last_inference,
            problems={part: shown(text) for part, text in problems.items()},
        )

    def _new_worker(self, source: Source | None = None, cpu_because: str | None = None) -> Worker:
        return Worker(
            self._settings,
            self.statistics,
            lambda: self._sinks.values(),
            self._open_source,
            ended=lambda failure: self._inbox.put(lambda: self._on_end(failure)),
            notify=self._notify,
            source=source,
            cpu_because=cpu_because,
        )

    # What arrives in the inbox.

    def _on_stop(self) -> None:
        self._stopping = True

    def _on_end(self, failure: Exception | None) -> None:
        self._ended = True
        self._failure = failure

    def _on_reload(self) -> None:
        before = self._settings
        try:
            settings = self._reload()
            sinks = {
                entry.name: entry.open(settings, self.health)
                for entry in self._entries
                if entry.made_from(before) != entry.made_from(settings)
            }
        # Any: whatever a file makes go wrong, the daemon goes on as it is.
        except Exception as error:
            text = str(error) if isinstance(error, EdgekitError) else f"unexpected: {error!r}"
            self._note_problem("configuration", f"{text}; going on with the one before")
            return
        self._problems.pop("configuration", None)
        self._settings = settings
        self._worker.change_to(settings)
        if model_settings(before) != model_settings(settings):
            self._models.follow(settings)
        self._exchange(sinks)
        self._notify("the configuration was read again")

    def _exchange(self, changed: Mapping[str, Sink | None]) -> None:
        kept = {name: sink for name, sink in self._sinks.items() if name not in changed}
        gone = [sink for name, sink in self._sinks.items() if name in changed]
        # The worker and the HTTP threads read this, so it is replaced and never altered.
        self._sinks = kept
        _close(gone)
        self._deliveries.close(gone, live=self._live())
        for name, sink in changed.items():
            self._problems.pop(name, None)
            if sink is None:
                continue
            try:
                sink.start()
            except EdgekitError as error:
                self._note_problem(name, f"{error}; off until the configuration is read again")
            else:
                self._sinks = {**self._sinks, name: sink}

    def _use_model(self, loaded: Loaded) -> None:
        self.statistics.restarted("model")
        self._worker.change_to(loaded)

    # What is looked at in every turn.

    def _turn(self) -> None:
        with contextlib.suppress(queue.Empty):
            self._inbox.get(timeout=TICK)()
        self._check_sinks()
        self._deliveries.look(self._sinks.values(), live=self._live())
        self._check_inference()
        if self._worker.loaded is not None:
            self._models.look(self._worker.loaded, probe=not self._hung)
        self._check_board()
        if self._is_due("rate", 1.0):
            self.statistics.tick()
        self._send_health()

    def _is_due(self, what: str, interval: float) -> bool:
        now = time.monotonic()
        if now < self._due.get(what, 0.0):
            return False
        self._due[what] = now + interval
        return True

    def _check_sinks(self) -> None:
        for sink in self._sinks.values():
            if sink.failure is not None and self._failure is None:
                self._on_end(sink.failure)

    def _live(self) -> bool:
        """Whether there is somebody to be told of a sink that is away before the end has come."""
        return is_live(self._settings) or self._settings.realtime

    def _check_inference(self) -> None:
        seconds = self._worker.busy_for()
        if seconds <= self._settings.recovery.inference_timeout:
            return
        reason = f"an inference did not return within {seconds:.0f} s"
        if self._settings.delegate == "none" or not self._settings.allow_cpu_fallback:
            self._on_end(AcceleratorLostError(f"{reason}; starting afresh is all that helps"))
            return
        # The hung call keeps its interpreter and the device: a new worker goes on without them, and
        # the device need not be tried again.
        self._hung = True
        source = self._worker.abandon()
        self._abandoned.append(self._worker)
        self.statistics.restarted("accelerator")
        self._worker = self._new_worker(source, cpu_because=reason)
        self._worker.start()

    def _note_problem(self, part: str, text: str) -> None:
        self._problems[part] = text
        self._notify(f"{part}: {text}")

    def _check_board(self) -> None:
        if self._is_due("board", _BOARD_CHECK):
            self._temperature, self._throttled = board.temperature(), board.throttled()

    def _send_health(self) -> None:
        """To systemd in time, to the sinks now and then, and to everybody when it changes."""
        indicators = self._indicators()
        state = state_of(indicators, self._settings.health.stall_after)
        loaded = self._worker.loaded
        now = (state, indicators.problems, loaded.classifier.sha256 if loaded else "")
        changed, self._sent = now != self._sent, now
        well = state in ("running", "degraded")
        if changed or self._is_due("health", self._settings.health.interval):
            health = self._publish_health(indicators)
            self._manager.send(STATUS=headline(health))
            if well and not self._ready:
                self._ready = True
                self._manager.send(READY=1)
        # Fed by frames that were answered, and by nothing else.
        watchdog = self._manager.watchdog
        if well and watchdog and self._is_due("watchdog", watchdog / 4):
            self._manager.send(WATCHDOG=1)

    def _publish_health(self, indicators: Indicators) -> Health:
        """To the sinks, and to the commands beside us where there is a place for it."""
        health = self._health_of(indicators)
        for sink in self._sinks.values():
            sink.health(health)
        folder = runtime_folder()
        if folder is not None:
            refused = self._models.problem
            self._leave_status(
                folder,
                Status(os.getpid(), health, indicators.problems, refused and shown(refused)),
            )
        return health

    def _leave_status(self, folder: Path, status: Status) -> None:
        try:
            write_status(folder, status)
        except OSError as error:
            text = f"cannot write it to {folder}: {error.strerror or error}"
            if self._problems.get("status") != text:
                self._note_problem("status", text)
        else:
            self._problems.pop("status", None)

    # The end.

    def _drain(self) -> None:
        """Let the sinks deliver at the end of a recording, for as long as they do."""
        sent, deadline = -1, 0.0
        while not self._stopping and self._failure is None:
            reports = [sink.report() for sink in self._sinks.values()]
            if not any(report.queued for report in reports):
                return
            before, sent = sent, sum(report.sent for report in reports)
            if sent > before:
                deadline = time.monotonic() + FLUSH
            elif time.monotonic() > deadline:
                return
            self._turn()

    def _shut_down(self) -> None:
        self._stopping = True
        self._manager.send(STOPPING=1, STATUS="stopping")
        self._worker.stop()
        if self._worker.started:
            self._worker.join(GRACE)
        self._publish_health(self._indicators())
        _close(self._sinks.values())


def _close(sinks: Iterable[Sink]) -> None:
    """Close sinks side by side, so that one that hangs does not cost another its time."""
    threads = [
        threading.Thread(target=sink.close, args=(GRACE,), name=f"close {sink.name}", daemon=True)
        for sink in sinks
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + GRACE + TICK
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
