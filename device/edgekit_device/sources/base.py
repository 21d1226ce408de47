"""What a source of frames is."""

from typing import Protocol

from edgekit.inference.frame import Frame
from edgekit.model.geometry import Geometry
from edgekit.vision.view import ViewSettings


class EndOfSource(Exception):
    """A recording has no more frames; not an error."""


class Source(Protocol):
    """An open source of frames.

    Attributes:
        name: in every output.
        live: whether frames come by themselves; of a live source only the newest is kept, a
            recording drops nothing.
        dropped: frames that came and were never handed out.
        damaged: those of them that could not be decoded as the camera saw them.
        message: what is other than was asked for, in words; empty for nothing. A camera knows it
            once it has given a frame, a recording at its end.
    """

    name: str
    live: bool
    dropped: int
    damaged: int
    message: str

    def read(self, timeout: float) -> Frame | None:
        """The next frame; None when there is none within `timeout` seconds.

        Raises:
            EndOfSource: there will be no more.
            SourceError, ImageError: the source broke, or a camera has stalled.
        """

    def look(self, view: ViewSettings) -> None:
        """Frames that are read from now on are turned and masked so, and looked at there."""

    def expect(self, geometry: Geometry) -> None:
        """Frames will be prepared for this; a source may do that ahead, on another core."""

    def close(self) -> None:
        """Let go of it; waits half a second at most, and may be called twice."""
