"""Types of options that click does not have."""

import click

from edgekit.vision.view import Region, ViewSettings
from edgekit_convert.target.memory import parse_memory
from edgekit_convert.weights.head_layers import parse_head
from edgekit_convert.weights.imagenet import IMAGENET_MEAN


def triple(values: tuple[float, float, float]) -> str:
    """As `Triple` reads it."""
    return ",".join(map(str, values))


class Triple(click.ParamType[tuple[float, float, float]]):
    """Three comma-separated numbers, one for each of red, green and blue."""

    name = "R,G,B"

    def __init__(self, positive: bool = False) -> None:
        self.positive = positive

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, float, float]:
        try:
            red, green, blue = (float(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is not three numbers like {triple(IMAGENET_MEAN)}", param, ctx)
        if not all(abs(v) < 1e3 for v in (red, green, blue)):
            self.fail(f"{value!r} is out of range; pixels count from 0 to 1 here", param, ctx)
        if self.positive and min(red, green, blue) <= 0:
            self.fail(f"{value!r} holds a standard deviation that is not above 0", param, ctx)
        return red, green, blue


class RegionType(click.ParamType[Region]):
    """A part of a picture, in fractions of it."""

    name = "X,Y,WIDTH,HEIGHT"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Region:
        try:
            numbers = tuple(float(part) for part in str(value).strip("[] ").split(","))
        except ValueError:
            self.fail(f"{value!r} is not four fractions like 0.5,0,0.5,1", param, ctx)
        try:
            return Region(*ViewSettings(region=numbers).region)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Memory(click.ParamType[int]):
    """An amount of memory, in bytes."""

    name = "SIZE"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        if isinstance(value, int):
            return value
        try:
            return parse_memory(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Head(click.ParamType[tuple[str, ...]]):
    """Layers of a classification head, in their order."""

    name = "LAYERS"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        try:
            return parse_head(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)
