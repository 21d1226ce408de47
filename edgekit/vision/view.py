"""How a camera's frame is turned, what of it is hidden, and which part of it the model looks at."""

from typing import Annotated, Literal, NamedTuple

from msgspec import Meta

from edgekit.settings import Section


class Region(NamedTuple):
    """A rectangle in fractions of a frame: its top left corner and its size, each in [0, 1]."""

    x: float
    y: float
    width: float
    height: float


class ViewSettings(Section, frozen=True):
    """How a frame is turned, what of it is hidden, and which part of it the model looks at.

    In this order: a frame is rotated, then mirrored, then masked; that is the frame that everybody
    sees. Fractions are of the frame that everybody sees.
    """

    rotate: Annotated[
        Literal[0, 90, 180, 270],
        Meta(description="Degrees, clockwise, to turn each frame by."),
    ] = 0
    mirror: Annotated[bool, Meta(description="Exchange left and right.")] = False
    region: Annotated[
        tuple[float, ...],
        Meta(description="x, y, width, height of the part that the model looks at, in fractions of "
             "the frame; of it the centre, as the model's shape needs. The whole frame if empty."),
    ] = ()  # fmt: skip
    masks: Annotated[
        tuple[tuple[float, ...], ...],
        Meta(description="What nobody is to see, neither the model nor a viewer nor a clip: of "
             "each x, y, width, height, or x, y of each corner, in fractions of the frame."),
    ] = ()  # fmt: skip
