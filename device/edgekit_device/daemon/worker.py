"""The thread that works: a frame from the source, its answer, its event."""

import threading
import time
from collections.abc import Callable

from edgekit.errors import (
    EdgekitError,
    ImageError,
    InferenceError,
    SettingsError,
    SourceError,
    SourceLostError,
)
from edgekit.inference.events import State
from edgekit.inference.frame import Frame
from edgekit.inference.pipeline import Pipeline, Result
from edgekit_device.config.settings import Settings
from edgekit_device.daemon.decisions import Decisions
from edgekit_device.daemon.drift import DriftWatch
from edgekit_device.daemon.models import Loaded, open_on_cpu, open_with_retries
from edgekit_device.daemon.remarks import Remarks
from edgekit_device.daemon.statistics import Statistics
from edgekit_device.daemon.telling import Teller
from edgekit_device.retry import CAMERA, DELEGATE, Retry
from edgekit_device.sources import EndOfSource, Source, source_settings, with_source_of

# How long a wait for a frame may last before it looks whether it is to stop.
_POLL = 0.25

OpenSource = Callable[[Settings], Source]


class Worker:
    """Works in a thread of its own until the source ends, it is stopped, or a part fails for good.

    Args:
        settings: what to do.
        statistics: counted into.
        drift: sees what is answered.
        teller: is given what is answered.
        open_source: opens the source that settings name.
        ended: called from the thread at its end with what ended it: None for the end of a
            recording, for `max_frames` and for `stop`.
        notify: called with a line for people about what happens.
        kept: called from the thread, with the settings whose source was refused and those whose
            source goes on in its place.
        source: an open source to go on with; one is opened by default.
        cpu_because: why to work on the CPU without trying the delegate, if so.
        paused: whether to close the source, and to do nothing.

    Attributes:
        problems: what is not as it should be, by part.
        source: the open source, None while there is none.
        source_name: of the last one that was open; empty before.
        loaded: the model in use, None before.
        decisions: how scores become labels.
        busy_since: when the inference in hand began, on the monotonic clock; None while none is.
        rested_at: when it last waited because it is paused, likewise; None while it is not.
    """

    def __init__(
        self,
        settings: Settings,
        statistics: Statistics,
        drift: DriftWatch,
        teller: Teller,
        open_source: OpenSource,
        ended: Callable[[Exception | None], None],
        notify: Callable[[str], None],
        *,
        kept: Callable[[Settings, Settings], None] = lambda refused, kept: None,
        source: Source | None = None,
        cpu_because: str | None = None,
        paused: Callable[[], bool] = lambda: False,
    ) -> None:
        self.problems: dict[str, str] = {}
        self.source = source
        self.source_name = ""
        self.loaded: Loaded | None = None
        self.decisions = Decisions(self.problems, notify)
        self._settings = settings
        self._statistics = statistics
        self._drift = drift
        self._teller = teller
        self._open_source = open_source
        self._ended = ended
        self._notify = notify
        self._kept = kept
        self._cpu_because = cpu_because
        self._paused = paused
        self._pipeline: Pipeline | None = None
        self._set_retries(settings)
        # The settings before, while the source that they were exchanged for has given no frame.
        self._before: Settings | None = None
        self._has_loaded = False  # since the last answer
        self._open_at = 0.0  # when a source that was closed is opened again, monotonic clock
        # What a source has lost is counted once, also while it is closed.
        self._counting = threading.Lock()
        self._changes: list[Settings | Loaded] = []
        self._stopping = threading.Event()
        self._abandoned = False
        self._remarks = Remarks(self.problems, notify)
        self.busy_since: float | None = None
        self.rested_at: float | None = None
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    @property
    def started(self) -> bool:
        """Whether `start` was called."""
        return self._thread.ident is not None

    def stop(self) -> None:
        """End after the frame in hand."""
        self._stopping.set()

    def abandon(self) -> Source | None:
        """Leave the thread to the inference it hangs in; what it held is no longer its own."""
        self._abandoned = True
        self._stopping.set()
        return self.source

    def join(self, timeout: float) -> bool:
        """Wait for the end for at most `timeout` seconds; whether it came."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def lost_frames(self) -> tuple[int, int]:
        """Frames that came and were never answered, and how many of them were damaged."""
        with self._counting:
            dropped, damaged = self._statistics.dropped, self._statistics.damaged
            if self.source is not None:
                dropped, damaged = dropped + self.source.dropped, damaged + self.source.damaged
            return dropped, damaged

    def change_to(self, change: Settings | Loaded) -> None:
        """Follow other settings (but for the model), or another model, from the next try on."""
        self._changes.append(change)

    def _run(self) -> None:
        failure: Exception | None = None
        try:
            self._open()
            while not self._stopping.is_set():
                if self._rests():
                    continue
                self._follow_changes()
                frame = self._next_frame()
                if frame is not None:
                    self._answer(frame)
                if self._statistics.frames == self._settings.max_frames:
                    break
        except EndOfSource:
            pass
        except Exception as error:
            failure = error
        if self._abandoned:
            return
        self._close_source()
        self._ended(failure)

    def _open(self) -> None:
        # The source first: a wrong name shows at once, not after the model has loaded.
        if self.source is None and not self._paused():
            self.source = self._open_source(self._settings)
        elif self.source is not None:
            self.source.look(self._settings.view)
        because = self._cpu_because
        loaded = open_on_cpu(self._settings, because) if because else self._open_model(None)
        if loaded is not None:
            self._use(loaded)

    def _rests(self) -> bool:
        """Whether it is paused: then the source is closed, and changes wait, too, for a moment."""
        if not self._paused():
            if self.rested_at is not None:
                self._statistics.resumed()
                self.rested_at = None
            return False
        if self.rested_at is None:
            self._close_source()
            self.decisions.begin_afresh()
            self.problems.pop("camera", None)
            self._set_retries(self._settings)
        self.rested_at = time.monotonic()
        self._stopping.wait(_POLL)
        return True

    def _open_model(self, failure: EdgekitError | None) -> Loaded | None:
        """The model, tried again and again; None when it is to stop, or another came meanwhile."""
        before = self.loaded
        while not self._stopping.is_set() and self.loaded is before:
            loaded = open_with_retries(
                self._settings,
                wait=self._wait,
                notify=lambda text: self._report("accelerator", text),
                retry=self._accelerator,
                failure=failure,
            )
            if loaded is not None:
                return loaded
            self._follow_changes()
            # Under other settings, another try comes at once.
            failure = None
        return None

    def _wait(self, seconds: float) -> bool:
        """Wait, but for no longer than nothing else is to be done; whether something is."""
        deadline = time.monotonic() + seconds
        while not self._changes and (left := deadline - time.monotonic()) > 0:
            if self._stopping.wait(min(left, _POLL)):
                return True
        return bool(self._changes)

    def _use(self, loaded: Loaded) -> None:
        classifier = loaded.classifier
        decision = self.decisions.for_model(classifier, self._settings)
        self.loaded = loaded
        for note in classifier.notes:
            self._notify(f"model: {note}")
        if loaded.degraded is None:
            self.problems.pop("accelerator", None)
        else:
            self._report("accelerator", f"{loaded.degraded}; the CPU goes on")
        # While a camera is lost there is no source: this is called again when it is back.
        if self.source is not None:
            self.source_name = self.source.name
            self.source.expect(classifier.geometry)
            self._drift.follow(classifier, self._settings)
            self._pipeline = Pipeline(
                classifier, classifier.path.name, decision, self.source.name,
                live=self.source.live, top_k=self._settings.top_k,
            )  # fmt: skip
        self._has_loaded = True

    def _set_retries(self, settings: Settings) -> None:
        self._camera = Retry(CAMERA, settings.recovery.camera)
        self._accelerator = Retry(DELEGATE, settings.recovery.delegate)

    def _follow_changes(self) -> None:
        while self._changes:
            self._apply(self._changes.pop(0))

    def _apply(self, change: Settings | Loaded) -> None:
        if isinstance(change, Settings):
            before, self._settings = self._settings, change
            if source_settings(before) != source_settings(change):
                self._replace_source(before)
            else:
                self.problems.pop("source", None)
            if before.view != change.view and self.source is not None:
                self.source.look(change.view)
            if before.recovery != change.recovery:
                self._set_retries(change)
            # While a delegate is lost, its model is of no use; before the first source, it is.
            if self.loaded is not None and (self._pipeline or not self.source_name):
                self._use(self.loaded)
        else:
            self._use(change)

    def _replace_source(self, before: Settings) -> None:
        """Open what the settings name now; where that fails, what they named before."""
        # The old one first: it may be the same camera.
        self._close_source()
        self.decisions.begin_afresh()
        try:
            self.source = self._open_source(self._settings)
        except (SourceError, SettingsError) as error:
            self._go_back(before, str(error))
        else:
            self.problems.pop("camera", None)
            self.problems.pop("source", None)
            self._before = before

    def _go_back(self, before: Settings, reason: str) -> None:
        """Follow the settings but for the source, which gives nothing: the one before goes on."""
        refused, self._settings = self._settings, with_source_of(before, self._settings)
        self._before = None
        self._close_source()
        self._report("source", f"{reason}; going on with the source before")
        self._kept(refused, self._settings)

    def _next_frame(self) -> Frame | None:
        if self.source is None and not self._reopen():
            return None
        assert self.source is not None
        try:
            frame = self.source.read(_POLL)
        except (SourceError, ImageError, EndOfSource) as error:
            if self._before is not None:
                self._go_back(self._before, str(error) or f"{self.source.name} has no frames")
                return None
            if isinstance(error, EndOfSource):
                self._remarks.of_source(self.source)
            # A recording will not get better, nor a camera that never gave a frame.
            lost = isinstance(error, SourceError) and self.source.live and self._statistics.frames
            if not lost:
                raise
            self._lose_camera(error)
            return None
        if frame is not None:
            self._before = None
            self._statistics.last_frame = frame.captured
            self._remarks.of_source(self.source)
        return frame

    def _lose_camera(self, error: Exception) -> None:
        """Close the camera, and set the time of the next try; in between other settings hold."""
        self._close_source()
        delay = self._camera.failed()
        if delay is None:
            raise SourceLostError(f"{error}; gave up") from error
        self._report("camera", f"{error}; opening it again in {delay:.1f} s")
        self._open_at = time.monotonic() + delay

    def _reopen(self) -> bool:
        """Open the source again when it is time for that; whether it is open."""
        wait = self._open_at - time.monotonic()
        if wait > 0:
            self._stopping.wait(min(wait, _POLL))
            return False
        try:
            self.source = self._open_source(self._settings)
        except (SourceError, SettingsError) as error:
            self._lose_camera(error)
            return False
        if "camera" in self.problems:
            self._statistics.restarted("camera")
        if self.loaded is not None:
            self._use(self.loaded)
        return True

    def _close_source(self) -> None:
        source = self.source
        if source is not None:
            source.close()
            with self._counting:
                self.source = None
                self._statistics.dropped += source.dropped
                self._statistics.damaged += source.damaged

    def _answer(self, frame: Frame) -> None:
        if self.loaded and self._pipeline and self._remarks.has_turned(frame):
            self.decisions.begin_afresh()
            self._use(self.loaded)
        result = self._process(frame)
        if self._abandoned:
            return
        if result is None:
            self._statistics.dropped += 1
            return
        self._camera.worked()
        self._accelerator.worked()
        self.problems.pop("camera", None)
        self._statistics.answered(result.latency_ms)
        assert self.loaded is not None and self._pipeline is not None
        self._remarks.of_frame(frame, result.model.geometry)
        state: State = "degraded" if self.loaded.degraded else "running"
        self._teller.tell(result, self._pipeline, state, self._settings.pictures.size)
        if self._has_loaded:
            self._has_loaded = False
            self.loaded.release_rest()

    def _process(self, frame: Frame) -> Result | None:
        """The answer to a frame, from a model opened again if need be.

        None when it is to stop, or when another source was asked for meanwhile.
        """
        source = self.source
        while self._pipeline and self.source is source and not self._stopping.is_set():
            # What is done between these two counts as an inference that may hang.
            self.busy_since = time.monotonic()
            try:
                return self._pipeline.process(frame)
            except InferenceError as error:
                self.busy_since = None
                self._reopen_model(error)
            finally:
                self.busy_since = None
        return None

    def _reopen_model(self, error: InferenceError) -> None:
        assert self.loaded is not None
        if self.loaded.classifier.accelerator == "cpu":
            raise error
        # An accelerator that failed works again only after everything has let go of it.
        self._pipeline = None
        self.loaded.classifier.close()
        loaded = self._open_model(error)
        if loaded is not None:
            self._statistics.restarted("accelerator")
            self._use(loaded)

    def _report(self, part: str, text: str) -> None:
        self.problems[part] = text
        self._notify(f"{part}: {text}")
