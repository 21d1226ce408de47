"""Notice a model file that was replaced, and load it beside the one in use."""

import threading
import time
from collections.abc import Callable

from edgekit.errors import EdgekitError
from edgekit_device import retry
from edgekit_device.config.settings import Settings
from edgekit_device.daemon.models import Loaded, Signature, model_path, open_model, open_on_cpu

# How often the file is looked at, in seconds.
LOOK_EVERY = 2.0


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
        self._seen: Signature | None = None
        self._refused: Signature | None = None
        self._handed_over: Signature | None = None
        self._loading = False
        self._wanted = False
        self._look_at = 0.0
        self._probe_at: float | None = None

    @property
    def problem(self) -> str | None:
        """Why the file that should be in use is not; None when it is."""
        gone = f"{model_path(self._settings)} is gone; a restart would fail"
        return gone if self._gone else self._failure

    def follow(self, settings: Settings) -> None:
        """Load the model as other settings want it."""
        self._settings = settings
        self._wanted = True

    def look(self, loaded: Loaded, *, probe: bool) -> None:
        """Load the model anew when its file has changed, or when its delegate may work again.

        Args:
            loaded: what is in use.
            probe: whether a delegate that failed may be tried again.
        """
        now = time.monotonic()
        if self._loading:
            return
        if loaded.degraded is None or not probe:
            self._probe_at = None
        elif self._probe_at is None:
            self._probe_at = now + retry.DELEGATE_PROBE.delay(1)
        elif now >= self._probe_at:
            self._probe_at = None
            self._load(open_model, probing=True)
            return
        if self._wanted or (now >= self._look_at and self._is_changed(loaded)):
            self._wanted = False
            because = loaded.degraded if self._settings.delegate != "none" else None
            self._load(lambda s: open_on_cpu(s, because) if because else open_model(s))

    def _is_changed(self, loaded: Loaded) -> bool:
        self._look_at = time.monotonic() + LOOK_EVERY
        signature = Signature.of(model_path(self._settings))
        # A file that is still being written changes from one look to the next.
        settled, self._seen = signature == self._seen, signature
        self._gone = signature is None
        if signature == loaded.signature and signature != self._refused:
            self._failure = None
        # What was handed over is in use only when a frame has come.
        known = (None, loaded.signature, self._handed_over, self._refused)
        return settled and signature not in known

    def _load(self, load: Callable[[Settings], Loaded], probing: bool = False) -> None:
        self._loading = True
        settings = self._settings

        def work() -> None:
            outcome: Loaded | EdgekitError
            try:
                outcome = load(settings)
            except EdgekitError as error:
                outcome = error
            self._hand_over(lambda: self._settle(settings, outcome, probing))

        threading.Thread(target=work, name="load model", daemon=True).start()

    def _settle(self, settings: Settings, outcome: Loaded | EdgekitError, probing: bool) -> None:
        self._loading = False
        if isinstance(outcome, Loaded):
            self._failure = self._refused = None
            self._handed_over = outcome.signature
            self._use(outcome)
            self._notify(f"model: {outcome.classifier.path} runs from the next frame on")
        elif not probing:  # that a delegate still does not work is no news
            self._refused = Signature.of(model_path(settings))
            self._failure = f"{outcome}; going on with the one before"
            self._notify(f"model: {self._failure}")
