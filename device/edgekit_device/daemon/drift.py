"""Whether what is seen is still like what the model was converted with."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

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
        """Watch a model's answers to a source; afresh where either is another one.

        A camera or an accelerator that comes back changes nothing, nor do other settings.
        """
        subject = classifier.sha256, source_settings(settings), settings.health.drift
        if subject == self._subject:
            return
        self._subject, self._watch = subject, None
        if not settings.health.drift:
            return
        profile, lacked = classifier.profile, self._lacks_profile
        figures = [] if profile is None else _figures(profile)
        self._lacks_profile = not figures
        if profile is not None and figures:
            try:
                self._watch = _Watch(profile, figures, self._notify)
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
        return watch.figures if watch is not None and watch.monitor.ready else []

    def health(self) -> DriftHealth | None:
        """The drift that there is now."""
        watch = self._watch
        return watch.health() if watch is not None else None

    def _fail(self, error: Exception) -> None:
        self._watch = None
        self._notify(f"drift: {in_words(error)}; none is noticed with this model and source")


class _Watch:
    """Of one model's answers to one source.

    Attributes:
        figures: names of those that are compared.
        monitor: what compares them.
    """

    def __init__(self, profile: Profile, figures: list[str], notify: Callable[[str], None]) -> None:
        self.figures = figures
        self.monitor = DriftMonitor(profile)
        self._notify = notify
        self._started: float | None = None
        # What there is now, and when it began on the monotonic clock.
        self._found: tuple[Drift, float] | None = None
        self._told = False
        self._quiet_until = float("-inf")

    def update(self, result: Result) -> None:
        """Take note of an answer, and tell people what begins and ends."""
        frame, monitor = result.frame, self.monitor
        if self._started is None:
            self._started = frame.captured
        monitor.update(result.tensor, result.scores, frame.time)
        drift, before = monitor.drift, self._found
        if drift is None:
            self._found = None
        elif before is not None and before[0].since == drift.since:
            self._found = drift, before[1]
        else:
            # A recording may be played faster than it was made, but did not begin before that.
            began = max(self._started, frame.captured - (frame.time - drift.since))
            self._found = drift, began
        if (drift is not None) != self._told and frame.time >= self._quiet_until:
            self._told, self._quiet_until = not self._told, frame.time + _PAUSE
            health = self.health()
            text = (
                f"{health}; {health.advice}"
                if health
                else "pictures and answers are as usual again"
            )
            self._notify(f"drift: {text}")

    def health(self) -> DriftHealth | None:
        """What there is now, as health has it."""
        if (found := self._found) is None:
            return None
        drift, began = found
        signs = [DriftSign(shown(sign.figure), shown(sign.text)) for sign in drift.signs]
        return DriftHealth(_clock_time(began), signs, shown(drift.advice))


def _figures(profile: Profile) -> list[str]:
    """Names of those that it has."""
    references = (profile.pictures, profile.answers)
    return [name for reference in references if reference for name in reference.figures]


def _clock_time(moment: float) -> str:
    """RFC 3339 in UTC, to the second, of a moment on the monotonic clock.

    By the clock as it is now: that of a Pi jumps when it finds the network.
    """
    seconds = round(time.time() - (time.monotonic() - moment))
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
