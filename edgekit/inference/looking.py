"""How much of a frame the model sees, in numbers and in words."""

import functools
from dataclasses import dataclass

import numpy as np

from edgekit.inference.frame import Frame
from edgekit.model.geometry import Geometry
from edgekit.vision.preprocess import crop_box
from edgekit.vision.turning import View
from edgekit.vision.view import Region, ViewSettings


@dataclass(frozen=True)
class Look:
    """What of a frame a model sees, in pixels of the frame as everybody sees it. As text, a line.

    Attributes:
        width, height: of the frame.
        left, top, wide, tall: of the part that is seen.
        chosen: whether a region was chosen; else it is the middle.
        geometry: the model's.
        view: by which the frame was masked.
    """

    width: int
    height: int
    left: int
    top: int
    wide: int
    tall: int
    chosen: bool
    geometry: Geometry
    view: ViewSettings

    @classmethod
    def at(cls, frame: Frame, geometry: Geometry) -> "Look":
        """What a model of this geometry sees of a frame."""
        height, width = frame.pixels.shape[:2]
        top, left, tall, wide = crop_box(height, width, geometry, frame.region)
        chosen = frame.region is not None
        return cls(width, height, left, top, wide, tall, chosen, geometry, frame.view)

    @functools.cached_property
    def hidden(self) -> float:
        """The fraction of the part that is seen which masks hide."""
        if not self.view.masks:
            return 0.0
        masked = View(self.view).mask(np.zeros((self.height, self.width), np.uint8), 1)
        seen = masked[self.top : self.top + self.tall, self.left : self.left + self.wide]
        return float(seen.mean())

    def __str__(self) -> str:
        seen, geometry = f"{self.wide} x {self.tall}", self.geometry
        if not self.is_part:
            text = f"looks at all of {seen} pixels"
        elif self.chosen:
            text = (
                f"looks at {seen} of {self.width} x {self.height} pixels, from "
                f"({self.left}, {self.top}) on"
            )
        else:
            text = f"looks at the middle {seen} of {self.width} x {self.height} pixels"
        if self.hidden:
            text += f"; masks hide {self.hidden:.1%} of that"
        if self.is_small:
            text += (
                f"; the model takes {geometry.width} x {geometry.height}, so that they are "
                "enlarged: choose a larger region, or larger frames"
            )
        return text

    @property
    def sees(self) -> Region:
        """The part that is seen, in fractions of the frame."""
        x, y = self.left / self.width, self.top / self.height
        return Region(x, y, self.wide / self.width, self.tall / self.height)

    @property
    def is_worth_telling(self) -> bool:
        """Whether it is other than one would think: all of the frame."""
        return self.is_part or self.hidden > 0 or self.is_small

    @property
    def is_part(self) -> bool:
        """Whether it is less than the whole frame."""
        return (self.wide, self.tall) != (self.width, self.height)

    @property
    def is_small(self) -> bool:
        """Whether a region was chosen that has less pixels than the model takes."""
        return self.chosen and (self.wide < self.geometry.width or self.tall < self.geometry.height)

    @property
    def is_blind(self) -> bool:
        """Whether masks hide all that is seen."""
        return self.hidden == 1


class Looking:
    """Notices when models see another part of the frames of a source than before."""

    def __init__(self) -> None:
        self._at: tuple[object, ...] | None = None

    def news(self, frame: Frame, geometry: Geometry) -> Look | None:
        """What a model of this geometry sees of a frame; None where it is as before."""
        at = frame.pixels.shape, frame.view, frame.region, geometry
        if at == self._at:
            return None
        self._at = at
        return Look.at(frame, geometry)
