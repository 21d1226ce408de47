"""How much of a frame the model sees, in numbers and in words."""

from typing import NamedTuple

from edgekit.inference.frame import Frame
from edgekit.model.geometry import Geometry
from edgekit.vision.preprocess import crop_box
from edgekit.vision.view import Region


class Look(NamedTuple):
    """What of a frame the model sees, in pixels of the frame as everybody sees it.

    Attributes:
        width, height: of the frame.
        left, top, wide, tall: of the part that is seen.
    """

    width: int
    height: int
    left: int
    top: int
    wide: int
    tall: int

    @classmethod
    def at(cls, frame: Frame, geometry: Geometry) -> "Look":
        """What a model of this geometry sees of a frame."""
        height, width = frame.pixels.shape[:2]
        top, left, tall, wide = crop_box(height, width, geometry, frame.region)
        return cls(width, height, left, top, wide, tall)

    @property
    def sees(self) -> Region:
        """The part that is seen, in fractions of the frame."""
        x, y = self.left / self.width, self.top / self.height
        return Region(x, y, self.wide / self.width, self.tall / self.height)
