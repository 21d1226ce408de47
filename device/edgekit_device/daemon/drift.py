"""Whether what is seen is still like what the model was converted with."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from edgekit.inference.classifier import Classifier
from edgekit.inference.drift import Drift, DriftMonitor
from edgekit.inference.pipeline import Result
from edgekit.model.profile import Profile
from edgekit_device.config.settings import Settings
from edgekit_device.daemon.outputs import in_words
from edgekit_device.health import DriftHealth, DriftSign, shown
from edgekit_device.sources import source_settings

# Seconds, by the frames' own times, from one line for people to the next, whatever comes and goes.
_PAUSE = 60.0


class DriftWatch:
    """Lets a monitor see every answer, in the worker's thread; any other may ask what it found.

    It is an extra: what goes wrong in it ends it, with a line for people, and nothing else.

    Args:
        notify: called with a line for people: that drift begins, ends, or cannot be noticed.
    """

    def __init__(self, notify: Callable[[str], None]) -> None:
        self._notify = notify
        # The model, the source, and whether they are to be watched.
        self._subject: tuple[object, ...] | None = None
        self._watch: _Watch | None = None
        self._lacks_profile = False

    def follow(self, classifier: Classifier, settings: Settings) -> None:
        """Watch a model's answers to a source; afresh where either, or the view, is another one.

        A camera or an accelerator that comes back changes nothing, nor do other settings.
        """
        watched = settings.health.drift
        subject = classifier.sha256, source_settings(settings), settings.view, watched
        if subject == self._subject:
            return
        self._subject, self._watch = subject, None
        if not watched:
            return
        profile, lacked = classifier.profile or Profile(), self._lacks_profile
        self._lacks_profile = profile == Profile()
        if not self._lacks_profile:
            try:
                self._watch = _Watch(DriftMonitor(profile), self._notify)
            except Exception as error:
                self._fail(error)
        elif not lacked:
            self._notify(
                f"model: {classifier.path.name} has no profile of pictures and answers, by which "
                "drift is noticed; edgekit convert makes one"
            )

    def update(self, result: Result) -> None:
        """Take note of an answer."""
        if self._watch is None:
            return
        try:
            self._watch.update(result)
        # Any: frames are answered, whatever becomes of this.
        except Exception as error:
            self._fail(error)

    def figures(self) -> list[str]:
        """The figures that are compared; none before enough was seen for that."""
        watch = self._watch
        return watch.figures if watch is not None else []

    def health(self) -> DriftHealth | None:
        """The drift that there is now."""
        watch = self._watch
        return watch.health() if watch is not None else None

    def _fail(self, error: Exception) -> None:
        self._watch = None
        self._notify(f"drift: {in_words(error)}; none is noticed with this model and source")


class _Watch:
    """Of one model's answers to one source, as a monitor of its own sees them.

    Attributes:
        figures: names of those that are compared.
    """

    def __init__(self, monitor: DriftMonitor, notify: Callable[[str], None]) -> None:
        self.figures: list[str] = []
        self._monitor = monitor
        self._notify = notify
        self._started: float | None = None
        self._drift: Drift | None = None
        # When it began, on the monotonic clock, and what else health says of it.
        self._found: tuple[float, DriftHealth] | None = None
        self._told = False
        self._told_at = float("-inf")

    def update(self, result: Result) -> None:
        """Take note of an answer, and tell people what begins and ends."""
        frame, monitor = result.frame, self._monitor
        if self._started is None:
            self._started = frame.captured
        if not monitor.update(result.tensor, result.scores, frame.time):
            return
        self.figures = monitor.figures
        if (drift := monitor.drift) is not self._drift:
            self._drift = drift
            if drift is None:
                self._found = None
            else:
                # Of a recording, played faster than it was made, not before it was played.
                began = max(self._started, frame.captured - (frame.time - drift.since))
                signs = [DriftSign(shown(sign.figure), shown(sign.text)) for sign in drift.signs]
                self._found = began, DriftHealth("", signs, shown(drift.advice))
        # Where times go back, the monitor begins afresh, and knows nothing for a while.
        known = drift is not None or self.figures
        due = abs(frame.time - self._told_at) >= _PAUSE
        if known and due and (drift is not None) != self._told:
            self._told, self._told_at = not self._told, frame.time
            self._notify(f"drift: {self._words()}")

    def _words(self) -> str:
        if self._found is None:
            return "pictures and answers are as usual again"
        _, health = self._found
        return f"{health}; {health.advice}"

    def health(self) -> DriftHealth | None:
        """What there is now."""
        if (found := self._found) is None:
            return None
        began, health = found
        return msgspec.structs.replace(health, since=_clock_time(began))


def _clock_time(moment: float) -> str:
    """RFC 3339 in UTC, to the second, of a moment on the monotonic clock.

    By the clock as it is now: that of a Pi jumps when it finds the network.
    """
    seconds = round(time.time() - (time.monotonic() - moment))
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
