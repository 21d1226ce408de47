"""Notice a model file that was replaced, and load it beside the one in use."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from edgekit.errors import EdgekitError, ModelFileError
from edgekit.files import FileStamp
from edgekit.inference.classifier import Classifier
from edgekit.inference.pipeline import AnyClassifier
from edgekit_device import retry
from edgekit_device.config.settings import Settings
from edgekit_device.daemon.models import (
    Loaded,
    model_path,
    model_settings,
    open_again,
    open_model,
    open_on_cpu,
)

# How often the file is looked at, in seconds.
LOOK_EVERY = 2.0
# Seconds for a model to be read, tried and loaded: more than the time-outs of these together.
LOAD_WITHIN = 100.0


@dataclass(frozen=True, eq=False)
class _Load:
    """A model that is being loaded.

    Attributes:
        settings: that name it.
        stamp: of its file when that began.
        probing: whether it runs already, and its delegate alone is tried.
        deadline: when it counts as hung, on the monotonic clock.
    """

    settings: Settings
    stamp: FileStamp | None
    probing: bool
    deadline: float


class ModelWatch:
    """Loads models in threads of their own. For the use of one thread.

    Args:
        settings: name the model.
        hand_over: puts a function where the thread that uses this will call it.
        use: is given a model to go on with.
        notify: called with a line for people about what happens.
    """

    def __init__(
        self,
        settings: Settings,
        hand_over: Callable[[Callable[[], None]], None],
        use: Callable[[Loaded], None],
        notify: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._hand_over = hand_over
        self._use = use
        self._notify = notify
        self._failure: str | None = None
        self._gone = False
        self._seen: FileStamp | None = None
        self._refused: FileStamp | None = None
        self._handed_over: FileStamp | None = None
        self._load: _Load | None = None
        self._wanted = False
        self._look_at = 0.0
        self._probe_at: float | None = None

    @property
    def problem(self) -> str | None:
        """Why the file that should be in use is not; None when it is."""
        gone = f"{model_path(self._settings)} is gone; a restart would fail"
        return gone if self._gone else self._failure

    def open_again(self, model: AnyClassifier) -> Classifier:
        """See `edgekit_device.sinks.base.Models`; may be called from any thread."""
        return open_again(self._settings, model)

    def follow(self, settings: Settings) -> None:
        """Load models as other settings want them; the one in use anew, if it was opened otherwise.

        One that was refused, or is being loaded, is tried again: these settings may fit it.
        """
        # The keys that may sign may have changed, though their file is the same.
        self._wanted |= (
            settings.allowed_signers is not None
            or model_settings(self._settings) != model_settings(settings)
            or self._failure is not None
            or self._load is not None
        )
        self._settings = settings

    def look(self, loaded: Loaded, *, probe: bool) -> None:
        """Load the model anew when its file has changed, or when its delegate may work again.

        Args:
            loaded: what is in use.
            probe: whether a delegate that failed may be tried again.
        """
        now = time.monotonic()
        if self._load is not None:
            if now > self._load.deadline:
                path = model_path(self._load.settings)
                hung = f"{path} was not loaded within {LOAD_WITHIN:g} s; convert it again"
                self._settle(self._load, ModelFileError(hung))
            return
        if loaded.degraded is None or not probe:
            self._probe_at = None
        elif self._probe_at is None:
            self._probe_at = now + retry.DELEGATE_PROBE.delay(1)
        elif now >= self._probe_at:
            self._probe_at = None
            self._begin(open_model, probing=True)
            return
        if self._wanted or (now >= self._look_at and self._is_changed(loaded)):
            self._wanted = False
            because = loaded.degraded if self._settings.delegate != "none" else None
            self._begin(lambda s: open_on_cpu(s, because) if because else open_model(s))

    def _is_changed(self, loaded: Loaded) -> bool:
        self._look_at = time.monotonic() + LOOK_EVERY
        stamp = FileStamp.of(model_path(self._settings))
        # A file that is still being written changes from one look to the next.
        settled, self._seen = stamp == self._seen, stamp
        self._gone = stamp is None
        if self._gone:  # what comes back is worth another try
            self._refused = None
        if stamp == loaded.stamp and stamp != self._refused:
            self._failure = None
        # What was handed over is in use only when a frame has come.
        known = (None, loaded.stamp, self._handed_over, self._refused)
        return settled and stamp not in known

    def _begin(self, open_it: Callable[[Settings], Loaded], probing: bool = False) -> None:
        settings = self._settings
        stamp = FileStamp.of(model_path(settings))
        load = _Load(settings, stamp, probing, time.monotonic() + LOAD_WITHIN)
        self._load = load

        def work() -> None:
            outcome: Loaded | EdgekitError
            try:
                outcome = open_it(settings)
            except EdgekitError as error:
                outcome = error
            # Any: whatever a file makes go wrong, the next one is looked at.
            except Exception as error:
                outcome = _unexpected(settings, error)
            self._hand_over(lambda: self._settle(load, outcome))

        try:
            threading.Thread(target=work, name="load model", daemon=True).start()
        except RuntimeError as error:  # as many threads as the system allows
            self._settle(load, _unexpected(settings, error))

    def _settle(self, load: _Load, outcome: Loaded | EdgekitError) -> None:
        if load is not self._load:  # it was given up, and comes too late
            return
        self._load = None
        if isinstance(outcome, Loaded):
            self._failure = self._refused = None
            self._handed_over = outcome.stamp
            self._use(outcome)
            self._notify(f"model: {outcome.classifier.path} runs from the next frame on")
        elif not load.probing:  # that a delegate still does not work is no news
            # Another file may have come since, or this one may have gone for a moment.
            there = FileStamp.of(model_path(load.settings))
            self._refused = there if there == load.stamp else None
            self._failure = f"{outcome}; going on with the one before"
            self._notify(f"model: {self._failure}")


def _unexpected(settings: Settings, error: Exception) -> ModelFileError:
    return ModelFileError(
        f"{model_path(settings)} cannot be loaded: unexpected {error!r}; convert it again"
    )
