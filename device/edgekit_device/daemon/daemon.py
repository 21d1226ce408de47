"""The daemon: parts are started, watched, replaced and stopped; the worker does the work.

Everything that happens is put in one inbox as a function to call, by signal handlers and other
threads, and called by the thread that runs `Daemon.run`. So nothing here needs a lock.
"""

import contextlib
import os
import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from edgekit import __version__
from edgekit.errors import AcceleratorLostError, EdgekitError
from edgekit.inference.events import State, timestamp
from edgekit.vision.threads import is_any_left
from edgekit_device import board
from edgekit_device.config.settings import Settings
from edgekit_device.daemon.hot_swap import ModelWatch
from edgekit_device.daemon.models import Loaded
from edgekit_device.daemon.notify import Notifier
from edgekit_device.daemon.statistics import Signs, Statistics, state_of
from edgekit_device.daemon.worker import OpenSource, Worker
from edgekit_device.health import Health, Status, headline, write_status
from edgekit_device.sinks import SINKS, open_sink, sink_key
from edgekit_device.sinks.base import Sink
from edgekit_device.sources import Source

TICK = 0.25
# How long the frame in hand, and then the messages in hand, may take once a stop was asked for.
GRACE = 0.8
# How long messages may take at the end of a recording.
FLUSH = 5.0
_BOARD_CHECK = 5.0


class Daemon:
    """Runs a model over a source and publishes its answers, and how it is.

    Args:
        settings: what to do.
        open_source: opens the source that settings name.
        reload: reads the settings again, for SIGHUP; raises SettingsError when they are wrong.
        tell: is told in a line what happens.
    """

    def __init__(
        self,
        settings: Settings,
        open_source: OpenSource,
        reload: Callable[[], Settings],
        tell: Callable[[str], None],
    ) -> None:
        self.statistics = Statistics()
        self._settings = settings
        self._open_source = open_source
        self._reload = reload
        self._tell = tell
        self._notifier = Notifier()
        # SimpleQueue.put may be called from a signal handler, even while the same thread is in it.
        self._inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._models = ModelWatch(settings, self._inbox.put, self._use_model, tell)
        self._worker = self._new_worker()
        self._sinks: Mapping[str, Sink] = {}
        self._problems: dict[str, str] = {}
        self._told: tuple[State, list[str], str] | None = None
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
            EdgekitError: a part failed for good; its `exit_code` says which.
            BrokenPipeError: the reader of stdout has gone.
        """
        self._sinks = {
            name: sink for name in SINKS if (sink := open_sink(name, self._settings, self.health))
        }
        try:
            for sink in self._sinks.values():
                sink.start()
            self._worker.start()
            while not (self._ended or self._stopping):
                self._turn()
            if self._ended and self._failure is None:
                self._drain()
        finally:
            self._shut_down()
        if self._failure is not None:
            raise self._failure

    @property
    def stuck(self) -> bool:
        """Whether a thread is left in a driver, so that no clean exit is possible."""
        return is_any_left() or (self._worker.started and not self._worker.join(0))

    def health(self) -> Health:
        """How the daemon is now; may be called from any thread."""
        worker, statistics, settings = self._worker, self.statistics, self._settings
        signs = self._signs()
        source = worker.source
        classifier = worker.loaded.classifier if worker.loaded else None
        sinks = self._sinks
        return Health(
            ts=timestamp(),
            name=settings.device_name,
            state=state_of(signs, settings.health.stall_after),
            problems=signs.problems,
            version=__version__,
            uptime_s=round(time.monotonic() - statistics.started, 1),
            source=worker.source_name,
            model=classifier.path.name if classifier else "",
            model_sha256=classifier.sha256 if classifier else "",
            runtime=classifier.runtime_name if classifier else "",
            accelerator=classifier.accelerator if classifier else "",
            frames=statistics.frames,
            dropped=statistics.dropped + (source.dropped if source else 0),
            events=statistics.events,
            fps=round(statistics.fps, 2),
            memory_bytes=board.memory_bytes(),
            restarts=statistics.restarts
            | {name: sink.restarts for name, sink in sinks.items() if sink.restarts},
            sinks={name: sink.report() for name, sink in sinks.items()},
            latency_ms=statistics.latency(),
            frame_age_s=round(signs.frame_age, 2) if signs.ready else None,
            inference_age_s=round(signs.inference_age, 2) if signs.ready else None,
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

    def _named_problems(self) -> dict[str, str]:
        """What is not as it should be, by part."""
        problems = self._worker.problems | self._problems
        for name, sink in self._sinks.items():
            if problem := sink.report().problem:
                problems[name] = problem
        if self._models.problem:
            problems["model"] = self._models.problem
        if self._throttled:
            problems["board"] = ", ".join(self._throttled)
        return problems

    def _signs(self) -> Signs:
        statistics, now = self.statistics, time.monotonic()
        return Signs(
            stopping=self._stopping,
            ready=statistics.frames > 0,
            frame_age=now - statistics.last_frame,
            inference_age=now - statistics.last_inference,
            problems=[f"{part}: {text}" for part, text in self._named_problems().items()],
        )

    def _new_worker(self, source: Source | None = None, cpu_because: str | None = None) -> Worker:
        return Worker(
            self._settings,
            self.statistics,
            lambda: self._sinks.values(),
            self._open_source,
            ended=lambda failure: self._inbox.put(lambda: self._on_end(failure)),
            tell=self._tell,
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
            changed = [name for name in SINKS if sink_key(name, before) != sink_key(name, settings)]
            sinks = {name: open_sink(name, settings, self.health) for name in changed}
        except EdgekitError as error:
            self._refuse("configuration", f"{error}; going on with the one before")
            return
        self._problems.pop("configuration", None)
        self._settings = settings
        self._worker.order(settings)
        if _model_settings(before) != _model_settings(settings):
            self._models.follow(settings)
        self._exchange(sinks)
        self._tell("the configuration was read again")

    def _exchange(self, changed: Mapping[str, Sink | None]) -> None:
        kept = {name: sink for name, sink in self._sinks.items() if name not in changed}
        gone = [sink for name, sink in self._sinks.items() if name in changed]
        # The worker and the HTTP threads read this, so it is replaced and never altered.
        self._sinks = kept
        _close(gone)
        for name, sink in changed.items():
            self._problems.pop(name, None)
            if sink is None:
                continue
            try:
                sink.start()
            except EdgekitError as error:
                self._refuse(name, f"{error}; off until the configuration is read again")
            else:
                self._sinks = {**self._sinks, name: sink}

    def _use_model(self, loaded: Loaded) -> None:
        self.statistics.restarted("model")
        self._worker.order(loaded)

    # What is looked at in every turn.

    def _turn(self) -> None:
        with contextlib.suppress(queue.Empty):
            self._inbox.get(timeout=TICK)()
        self._check_sinks()
        self._check_inference()
        if self._worker.loaded is not None:
            self._models.look(self._worker.loaded, probe=not self._hung)
        self._check_board()
        if self._is_due("rate", 1.0):
            self.statistics.tick()
        self._tell_health()

    def _is_due(self, what: str, interval: float) -> bool:
        now = time.monotonic()
        if now < self._due.get(what, 0.0):
            return False
        self._due[what] = now + interval
        return True

    def _check_sinks(self) -> None:
        for sink in self._sinks.values():
            if sink.failure is not None and not self._ended:
                self._on_end(sink.failure)

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
        self.statistics.restarted("accelerator")
        self._worker = self._new_worker(source, cpu_because=reason)
        self._worker.start()

    def _refuse(self, part: str, text: str) -> None:
        self._problems[part] = text
        self._tell(f"{part}: {text}")

    def _check_board(self) -> None:
        if self._is_due("board", _BOARD_CHECK):
            self._temperature, self._throttled = board.temperature(), board.throttled()

    def _tell_health(self) -> None:
        """To systemd in time, to the sinks now and then, and to everybody when it changes."""
        signs = self._signs()
        state = state_of(signs, self._settings.health.stall_after)
        loaded = self._worker.loaded
        told = (state, signs.problems, loaded.classifier.sha256 if loaded else "")
        changed, self._told = told != self._told, told
        well = state in ("running", "degraded")
        if changed or self._is_due("health", self._settings.health.interval):
            health = self.health()
            for sink in self._sinks.values():
                sink.health(health)
            self._write_status(health)
            self._notifier.send(STATUS=headline(health))
            if well and not self._ready:
                self._ready = True
                self._notifier.send(READY=1)
        # Fed by frames that were answered, and by nothing else.
        watchdog = self._notifier.watchdog
        if well and watchdog and self._is_due("watchdog", watchdog / 4):
            self._notifier.send(WATCHDOG=1)

    def _write_status(self, health: Health) -> None:
        """For the commands beside us, where a service manager gives us a place for it."""
        folder = os.environ.get("RUNTIME_DIRECTORY")
        if folder is None:
            return
        status = Status(os.getpid(), health, self._named_problems(), self._models.problem)
        with contextlib.suppress(OSError):
            write_status(Path(folder), status)

    # The end.

    def _drain(self) -> None:
        """Let the sinks deliver at the end of a recording."""
        deadline = time.monotonic() + FLUSH
        while not self._stopping and self._failure is None and time.monotonic() < deadline:
            if not any(sink.report().queued for sink in self._sinks.values()):
                return
            self._turn()

    def _shut_down(self) -> None:
        self._stopping = True
        self._notifier.send(STOPPING=1, STATUS="stopping")
        self._worker.stop()
        if self._worker.started:
            self._worker.join(GRACE)
        health = self.health()
        for sink in self._sinks.values():
            sink.health(health)
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


def _model_settings(settings: Settings) -> tuple[object, ...]:
    return (
        settings.model,
        settings.labels,
        settings.runtime,
        settings.threads,
        settings.delegate,
        settings.cpu_model,
    )
