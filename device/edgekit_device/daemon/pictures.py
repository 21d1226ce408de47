"""The pictures of changes: those that cannot be made are told and counted, and end nothing."""

from collections.abc import Callable, MutableMapping

from edgekit.inference.pipeline import Result
from edgekit.text import one_line
from edgekit_device.config.settings import PictureSize
from edgekit_device.daemon.statistics import Statistics
from edgekit_device.pictures import EventPicture

_PART = "pictures"


class Pictures:
    """Gives each change its picture.

    Args:
        problems: what is not as it should be, by part; one is there from a picture that could not
            be made until the next one that could.
        statistics: counted into.
        notify: called with a line for people, once for each such time.
    """

    def __init__(
        self,
        problems: MutableMapping[str, str],
        statistics: Statistics,
        notify: Callable[[str], None],
    ) -> None:
        self._problems = problems
        self._statistics = statistics
        self._notify = notify

    def of(self, result: Result, published: PictureSize) -> EventPicture | None:
        """The picture of a change, encoded already where it is to go out; None of what is none."""
        if result.verdict.event != "change":
            return None
        return EventPicture(result, published, self._encoded)

    def _encoded(self, error: Exception | None) -> None:
        if error is None:
            self._problems.pop(_PART, None)
            return
        self._statistics.failed_pictures += 1
        why = one_line(str(error)) or type(error).__name__
        text = f"the frame of a change cannot be made a picture: {why}; its event goes without"
        if _PART not in self._problems:
            self._notify(f"{_PART}: {text}")
        self._problems[_PART] = text
