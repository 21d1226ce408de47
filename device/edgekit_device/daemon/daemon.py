"""The daemon: parts are started, watched, replaced and stopped; the worker does the work.

Everything that happens is put in one inbox as a function to call, by signal handlers and other
threads, and called by the thread that runs `Daemon.run`. So nothing here needs a lock. What signals
ask for is a flag beside: a stop waits behind nothing, and a hundred reloads at once are one.
"""

import contextlib
import queue
import time
from collections.abc import Callable, Collection, Mapping, Sequence

from edgekit import __version__
from edgekit.errors import AcceleratorLostError
from edgekit.files import FileStamp
from edgekit.inference.events import timestamp
from edgekit.vision.threads import is_any_left
from edgekit_device import board
from edgekit_device.config.settings import Settings
from edgekit_device.daemon.control import Control
from edgekit_device.daemon.deliveries import Deliveries
from edgekit_device.daemon.drift import DriftWatch
from edgekit_device.daemon.hang import HangWatch
from edgekit_device.daemon.hot_swap import ModelWatch
from edgekit_device.daemon.models import Loaded, in_use
from edgekit_device.daemon.outputs import GRACE, Outputs, close, in_words
from edgekit_device.daemon.pause import Pause
from edgekit_device.daemon.recorder import Recorder
from edgekit_device.daemon.statistics import Indicators, Statistics, state_of
from edgekit_device.daemon.status_file import StatusFile
from edgekit_device.daemon.systemd import ServiceManager
from edgekit_device.daemon.telling import Snapshots, Teller
from edgekit_device.daemon.worker import OpenSource, Worker
from edgekit_device.folders import data_folder
from edgekit_device.health import Health, headline, installed_commit, runtime_folder, shown
from edgekit_device.sinks import SINKS, SinkEntry
from edgekit_device.sinks.base import Host, Sink
from edgekit_device.sinks.clip.folder import clip_folder
from edgekit_device.sources import Source, is_live, source_settings, with_source_of

TICK = 0.25
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
        read: what the configuration's file looked like when it was read last; None for none.
    """

    def __init__(
        self,
        settings: Settings,
        open_source: OpenSource,
        reload: Callable[[], Settings],
        notify: Callable[[str], None],
        sinks: Sequence[SinkEntry] = SINKS,
        read: Callable[[], FileStamp | None] = lambda: None,
    ) -> None:
        self.statistics = Statistics()
        # Now: pip may bring other files while this code runs.
        self._commit = installed_commit()
        self._settings = settings
        self._open_source = open_source
        self._reload = reload
        self._notify = notify
        self._manager = ServiceManager()
        # SimpleQueue.put may be called from a signal handler, even while the same thread is in it.
        self._inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._models = ModelWatch(settings, self._inbox.put, self._use_model, notify)
        self._drift = DriftWatch(notify)
        self._pause = Pause(data_folder())
        self._recorder = Recorder(clip_folder(), self.health, notify)
        self._snapshots = Snapshots()
        self._control = Control(
            self, self._inbox.put, self._pause, self._recorder, self._snapshots, notify
        )
        self._teller = Teller(self._told, self.statistics, self._drift, self._snapshots, notify)
        self._worker = self._new_worker()
        # Each hangs in an inference, and may for ever.
        self._abandoned: list[Worker] = []
        host = Host(self.health, self._control, self._models, self.statistics.answers.snapshot)
        self._outputs = Outputs(sinks, host, notify)
        self._deliveries = Deliveries(notify)
        self._status = StatusFile(runtime_folder(), notify, read)
        self._problems: dict[str, str] = {}
        self._sent: tuple[object, ...] | None = None
        self._ready = self._stopping = self._reload_wanted = False
        self._ended = False
        self._failure: Exception | None = None
        self._hung = False
        self._hang = HangWatch()
        self._temperature: float | None = None
        self._throttled: list[str] = []
        self._due: dict[str, float] = {}

    def request_stop(self) -> None:
        """End soon; may be called from a signal handler."""
        self._stopping = True
        self._inbox.put(_wake)

    def request_reload(self) -> None:
        """Read the settings again; may be called from a signal handler."""
        self._reload_wanted = True
        self._inbox.put(_wake)

    @property
    def settings(self) -> Settings:
        """What it follows; may be asked from any thread."""
        return self._settings

    @property
    def rests(self) -> bool:
        """Whether the camera is closed, because it is paused; may be asked from any thread."""
        return self._worker.rested_at is not None and not is_any_left()

    def run(self) -> None:
        """Work until the source ends, `max_frames` are done, or a stop is requested.

        Raises:
            DeliveryError: the source or `max_frames` ended it, and events were not delivered.
            EdgekitError: a part failed for good; its `exit_code` says which.
            BrokenPipeError: the reader of stdout has gone.
        """
        self._outputs.open(self._settings)
        try:
            self._outputs.start()
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
        failure = self._deliveries.conclude(self._failure, self._outputs.sinks, stopped=stopped)
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
        dropped, damaged = worker.lost_frames()
        rests = indicators.rest_age is not None
        ages = indicators.ready and not rests
        return Health(
            ts=timestamp(),
            name=settings.device_name,
            state=state_of(indicators, settings.health.stall_after),
            problems=[f"{part}: {text}" for part, text in indicators.problems.items()],
            version=__version__,
            uptime_s=round(time.monotonic() - statistics.started, 1),
            source=shown(worker.source_name),
            frames=statistics.frames,
            dropped=dropped,
            damaged=damaged,
            events=statistics.events,
            fps=0.0 if rests else round(statistics.fps, 2),
            memory_bytes=board.memory_bytes(),
            restarts=statistics.restarts | self._outputs.restarts(),
            sinks={name: report.shown() for name, report in self._outputs.reports().items()},
            latency_ms=statistics.latency(),
            frame_age_s=round(indicators.frame_age, 2) if ages else None,
            inference_age_s=round(indicators.inference_age, 2) if ages else None,
            temperature_c=self._temperature,
            throttled=self._throttled,
            drift=self._drift.health(),
            drift_figures=self._drift.figures(),
            decision_from=worker.decisions.source,
            **in_use(worker.loaded),
            failed_pictures=statistics.failed_pictures,
            control=self._control.counts(),
            commit=self._commit,
        )

    def summary(self) -> str:
        """What was done, as one line for people."""
        return self.statistics.summary(self.health())

    def _indicators(self) -> Indicators:
        statistics, now, rested = self.statistics, time.monotonic(), self._worker.rested_at
        problems = self._worker.problems | self._problems | self._outputs.problems
        problems |= self._teller.problems
        reports = {name: sink.report().problem for name, sink in self._outputs.by_name.items()}
        problems |= {name: problem for name, problem in reports.items() if problem}
        if self._status.problem:
            problems["status"] = self._status.problem
        if self._models.problem:
            problems["model"] = self._models.problem
        if self._throttled:
            problems["board"] = ", ".join(self._throttled)
        return Indicators(
            stopping=self._stopping,
            ready=statistics.ready,
            frame_age=now - statistics.last_frame,
            inference_age=now - statistics.last_inference,
            problems={part: shown(text) for part, text in problems.items()},
            rest_age=None if rested is None else now - rested,
        )

    def _told(self) -> Collection[Sink]:
        """Who is told of answers."""
        return *self._outputs.sinks, *self._recorder.sinks

    def _new_worker(self, source: Source | None = None, cpu_because: str | None = None) -> Worker:
        return Worker(
            self._settings,
            self.statistics,
            self._drift,
            self._teller,
            self._open_source,
            ended=lambda failure: self._inbox.put(lambda: self._on_end(failure)),
            notify=self._notify,
            kept=lambda refused, kept: self._inbox.put(lambda: self._on_source_kept(refused, kept)),
            source=source,
            cpu_because=cpu_because,
            paused=lambda: self._pause.wanted,
        )

    # What arrives in the inbox.

    def _on_end(self, failure: Exception | None) -> None:
        self._ended = True
        self._failure = failure

    def reload(self) -> str | None:
        """Read the settings again; what was wrong with them, None for nothing."""
        before = self._settings
        self._status.count_reload()
        try:
            settings = self._reload()
            sinks = self._outputs.changed(before, settings)
        # Any: whatever a file makes go wrong, the daemon goes on as it is.
        except Exception as error:
            wrong = f"{in_words(error)}; going on with the one before"
            self._note_problem("configuration", wrong)
            return wrong
        self._problems.pop("configuration", None)
        self._settings = settings
        self._status.follow()
        self._worker.change_to(settings)
        self._models.follow(settings)
        self._exchange(sinks)
        self._notify("the configuration was read again")
        return None

    def _on_source_kept(self, refused: Settings, kept: Settings) -> None:
        """The worker goes on with the source before: the sinks made from that are wanted again."""
        if source_settings(self._settings) != source_settings(refused):
            return  # read again since, and to be tried
        settings = with_source_of(kept, self._settings)
        sinks = self._outputs.changed(self._settings, settings)
        self._settings = settings
        self._exchange(sinks)

    def _exchange(self, changed: Mapping[str, Sink | None]) -> None:
        gone = self._outputs.exchange(changed)
        self._deliveries.close(gone, live=self._live())

    def _use_model(self, loaded: Loaded) -> None:
        self.statistics.restarted("model")
        self._worker.change_to(loaded)

    # What is looked at in every turn.

    def _turn(self) -> None:
        with contextlib.suppress(queue.Empty):
            self._inbox.get(timeout=TICK)()
        if self._reload_wanted:
            self._reload_wanted = False
            self.reload()
        self._check_sinks()
        self._deliveries.look(self._outputs.sinks, live=self._live())
        self._control.look()
        self._check_inference()
        # While it is paused no frame comes that another model could be used from.
        if self._worker.loaded is not None and self._worker.rested_at is None:
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
        for sink in self._outputs.sinks:
            if sink.failure is not None and self._failure is None:
                self._on_end(sink.failure)

    def _live(self) -> bool:
        """Whether there is somebody to be told of a sink that is away before the end has come."""
        return is_live(self._settings) or self._settings.realtime

    def _check_inference(self) -> None:
        took = self._hang.look(self._worker.busy_since)
        if took <= self._settings.recovery.inference_timeout:
            return
        reason = f"an inference did not return within {took:.0f} s"
        if self._settings.delegate == "none" or not self._settings.allow_cpu_fallback:
            self._on_end(AcceleratorLostError(f"{reason}; starting afresh is all that helps"))
            return
        # The hung call keeps its interpreter and the device: a new worker goes on without them, and
        # the device need not be tried again.
        self._hung = True
        source = self._worker.abandon()
        self.statistics.dropped += 1  # the frame that hangs
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
        model = self._worker.loaded and self._worker.loaded.classifier.sha256
        now = (state, indicators.problems, model, self._drift.health() is not None)
        changed, self._sent = now != self._sent or self._status.is_old, now
        well = state in ("running", "degraded", "paused")
        if changed or self._is_due("health", self._settings.health.interval):
            health = self._publish_health(indicators)
            self._manager.send(STATUS=headline(health))
            if well and not self._ready:
                self._ready = True
                self._manager.send(READY=1)
        # Fed by frames that were answered, or by a worker that waits because it was asked to.
        watchdog = self._manager.watchdog
        if well and watchdog and self._is_due("watchdog", watchdog / 4):
            self._manager.send(WATCHDOG=1)

    def _publish_health(self, indicators: Indicators) -> Health:
        """To the sinks, and to the commands beside us where there is a place for it."""
        health = self._health_of(indicators)
        for sink in self._outputs.sinks:
            sink.health(health)
        self._status.leave(health, indicators.problems, self._models.problem)
        return health

    # The end.

    def _drain(self) -> None:
        """Let the sinks deliver at the end of a recording, for as long as they do."""
        sent, deadline = -1, 0.0
        while not self._stopping and self._failure is None:
            reports = [sink.report() for sink in self._outputs.sinks]
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
        self._control.close(GRACE)
        self._publish_health(self._indicators())
        close(self._outputs.sinks)


def _wake() -> None:
    """Nothing, but the thread that waits for something to call goes on."""
