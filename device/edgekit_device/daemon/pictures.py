"""The pictures of events: those that cannot be made are told and counted, and end nothing."""

from collections.abc import Callable

from edgekit.inference.pipeline import Result
from edgekit.text import one_line
from edgekit_device.config.settings import PictureSize
from edgekit_device.daemon.statistics import Statistics
from edgekit_device.pictures import EventPicture

_PART = "pictures"


class Pictures:
    """Makes the pictures of events.

    Args:
        problems: by part; one is there from a picture that could not be made until one that could.
        statistics: counted into.
        notify: called with a line for people when a problem begins.
    """

    def __init__(
        self, problems: dict[str, str], statistics: Statistics, notify: Callable[[str], None]
    ) -> None:
        self._problems = problems
        self._statistics = statistics
        self._notify = notify

    def of(self, result: Result, published: PictureSize) -> EventPicture:
        """The picture of an event; see `EventPicture`."""
        return EventPicture(result, published, self._note)

    def _note(self, error: Exception | None) -> None:
        before = self._problems.pop(_PART, None)
        if error is None:
            return
        self._statistics.failed_pictures += 1
        why = one_line(str(error)) or type(error).__name__
        text = f"a frame cannot be made a picture, and its event goes without: {why}"
        self._problems[_PART] = text
        if before is None:
            self._notify(f"{_PART}: {text}")
