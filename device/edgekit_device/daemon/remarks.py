"""What there is to say about frames as they come: once, and again when it changes."""

from collections.abc import Callable

from edgekit.inference.frame import Frame
from edgekit.inference.looking import Looking
from edgekit.model.geometry import Geometry
from edgekit.vision.view import ViewSettings
from edgekit_device.sources import Source


class Remarks:
    """Of one worker, and used in its thread.

    Args:
        problems: what is not as it should be, by part; `view` is kept there.
        notify: called with a line for people.
    """

    def __init__(self, problems: dict[str, str], notify: Callable[[str], None]) -> None:
        self._problems = problems
        self._notify = notify
        self._message = ""
        self._view: ViewSettings | None = None
        self._looking = Looking()
        self._told: tuple[object, ...] | None = None

    def of_source(self, source: Source) -> None:
        """Tell what a source gives that is other than was asked for."""
        if source.message != self._message:
            self._message = source.message
            self._notify(
                f"{'camera' if source.live else 'recording'}: {source.name} {source.message}"
            )

    def of_frame(self, frame: Frame, geometry: Geometry) -> None:
        """Tell how much of frames a model sees, where it is less than the whole."""
        look = self._looking.news(frame, geometry)
        if look is None:
            return
        self._problems.pop("view", None)
        if look.is_blind:
            self._problems["view"] = "masks hide all that the model looks at"
        # Not for every size that the pictures of a folder have.
        told = frame.view, geometry, look.is_small
        if look.is_worth_telling and told != self._told:
            self._told = told
            self._notify(f"view: the model {look}")

    def has_turned(self, frame: Frame) -> bool:
        """Whether a frame has another view than the one before it."""
        before, self._view = self._view, frame.view
        return before is not None and before != frame.view
