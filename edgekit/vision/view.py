"""How a camera's frame is turned, what of it is hidden, and which part of it the model looks at.

Settings alone, without OpenCV: what they do to a frame is `edgekit.vision.turning`.
"""

from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple

from msgspec import Meta

from edgekit.settings import Section

MAXIMUM_MASKS, MAXIMUM_CORNERS = 32, 64
# Beyond the frame's edge, which fractions like 0.7 + 0.3 may be by rounding.
_TOLERANCE = 1e-6
# Points across a region at which it is asked whether something of it is left to be seen.
_POINTS = 32

Point = tuple[float, float]


class Region(NamedTuple):
    """A rectangle in fractions of a frame: its top left corner and its size, each in [0, 1]."""

    x: float
    y: float
    width: float
    height: float

    def __str__(self) -> str:
        return ", ".join(f"{number:g}" for number in self)

    @property
    def corners(self) -> list[Point]:
        """Its four corners, around it."""
        right, bottom = self.x + self.width, self.y + self.height
        return [(self.x, self.y), (right, self.y), (right, bottom), (self.x, bottom)]


WHOLE = Region(0.0, 0.0, 1.0, 1.0)


class ViewSettings(Section, frozen=True):
    """How a frame is turned, what of it is hidden, and which part of it the model looks at.

    In this order: a frame is rotated, then mirrored, then masked; that is the frame that everybody
    sees. Fractions are of the frame that everybody sees.

    Raises:
        ValueError: the region or a mask is no part of a frame, or nothing is left to be seen.
    """

    rotate: Annotated[
        Literal[0, 90, 180, 270],
        Meta(description="Degrees, clockwise, to turn each frame by."),
    ] = 0
    mirror: Annotated[bool, Meta(description="Exchange left and right.")] = False
    region: Annotated[
        tuple[float, ...],
        Meta(description="x, y, width, height of the part that the model looks at, in fractions of "
             "the frame: 0.5,0,0.5,1 is its right half; of it the centre, as the model's shape "
             "needs. The whole frame if empty.", examples=["X,Y,WIDTH,HEIGHT"]),
    ] = ()  # fmt: skip
    masks: Annotated[
        tuple[tuple[float, ...], ...],
        Meta(description="What nobody is to see, neither the model nor a viewer nor a clip: of "
             "each x, y, width, height, or x, y of each corner, in fractions of the frame: "
             "[0,0,1,0.2] is its upper fifth.", examples=["[X,Y,WIDTH,HEIGHT],…"]),
    ] = ()  # fmt: skip

    def __post_init__(self) -> None:
        if self.region:
            _check_rectangle("region", self.region)
        if len(self.masks) > MAXIMUM_MASKS:
            raise ValueError(f"masks are {len(self.masks)}, and {MAXIMUM_MASKS} are the maximum")
        for number, mask in enumerate(self.masks, start=1):
            _check_mask(f"mask {number}", mask)
        if self.masks and _hide_all(self.hidden, self.looks_at or WHOLE):
            raise ValueError("masks hide all that the model looks at; leave something of it")

    @property
    def looks_at(self) -> Region | None:
        """`region`; None for the whole frame."""
        return Region(*self.region) if self.region else None

    @property
    def hidden(self) -> list[list[Point]]:
        """The corners of each mask, around it, in fractions of the frame."""
        return [
            Region(*mask).corners
            if len(mask) == 4
            else list(zip(mask[::2], mask[1::2], strict=True))
            for mask in self.masks
        ]

    @property
    def turns(self) -> tuple[object, ...]:
        """Of the settings, what makes another frame of a frame: all but the region."""
        return self.rotate, self.mirror, self.masks


def _check_fractions(what: str, numbers: Sequence[float]) -> None:
    # Not a number is refused here, too.
    if not all(0 <= number <= 1 for number in numbers):
        raise ValueError(f"{what} has {_shown(numbers)}; each is a fraction, from 0 to 1")


def _check_rectangle(what: str, numbers: Sequence[float]) -> None:
    if len(numbers) != 4:
        raise ValueError(f"{what} has {len(numbers)} numbers, not four: x, y, width, height")
    _check_fractions(what, numbers)
    x, y, width, height = numbers
    if not (width > 0 and height > 0):
        raise ValueError(f"{what} is {_shown(numbers)}: width and height are more than 0")
    if max(x + width, y + height) > 1 + _TOLERANCE:
        raise ValueError(
            f"{what} is {_shown(numbers)}, which goes beyond the frame: x + width, and y + height, "
            "are at most 1"
        )


def _check_mask(what: str, numbers: Sequence[float]) -> None:
    if len(numbers) == 4:
        _check_rectangle(what, numbers)
        return
    if len(numbers) < 6 or len(numbers) % 2:
        raise ValueError(
            f"{what} has {len(numbers)} numbers; it is x, y, width, height, or x and y of three "
            "corners or more"
        )
    if len(numbers) > 2 * MAXIMUM_CORNERS:
        raise ValueError(
            f"{what} has {len(numbers) // 2} corners, and {MAXIMUM_CORNERS} are the maximum"
        )
    _check_fractions(what, numbers)
    corners = list(zip(numbers[::2], numbers[1::2], strict=True))
    # Of such a polygon, who draws it decides which parts are inside.
    if _crosses_itself(corners):
        raise ValueError(f"{what} crosses itself; give its corners in their order around it")
    if not any(_side(corners[0], corners[1], corner) for corner in corners):
        raise ValueError(f"{what} hides nothing: its corners lie on a line")


def _shown(numbers: Sequence[float]) -> str:
    return ", ".join(f"{number:g}" for number in numbers)


def _side(start: Point, end: Point, point: Point) -> float:
    """On which side of a line a point lies, by the sign; 0 for on it."""
    return (end[0] - start[0]) * (point[1] - start[1]) - (end[1] - start[1]) * (point[0] - start[0])


def _crosses_itself(corners: Sequence[Point]) -> bool:
    edges = list(zip(corners, [*corners[1:], corners[0]], strict=True))
    return any(
        _side(a, b, c) * _side(a, b, d) < 0 and _side(c, d, a) * _side(c, d, b) < 0
        for number, (a, b) in enumerate(edges)
        for c, d in edges[:number]
    )


def _hide_all(masks: Sequence[Sequence[Point]], region: Region) -> bool:
    steps = [(step + 0.5) / _POINTS for step in range(_POINTS)]
    points = [
        (region.x + region.width * across, region.y + region.height * down)
        for down in steps
        for across in steps
    ]
    return all(any(_is_inside(point, mask) for mask in masks) for point in points)


def _is_inside(point: Point, corners: Sequence[Point]) -> bool:
    """Whether a ray from the point to the right meets an odd number of edges."""
    x, y = point
    inside = False
    for (x1, y1), (x2, y2) in zip(corners, [*corners[1:], corners[0]], strict=True):
        if (y1 > y) != (y2 > y) and x < x1 + (x2 - x1) * (y - y1) / (y2 - y1):
            inside = not inside
    return inside
