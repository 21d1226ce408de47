"""`/api/view`: how the camera is turned and masked, and what of its frame the model sees."""

from collections.abc import Iterable

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from edgekit.inference.looking import Look
from edgekit.inference.pipeline import Result
from edgekit.vision.view import Region
from edgekit_device.sinks.http.api.seen import NOTHING, nothing
from edgekit_device.sinks.http.feed import Feed
from edgekit_device.sinks.http.operation import Answer, Operation, json_answer


class Size(msgspec.Struct, frozen=True):
    """Of a frame, in pixels."""

    width: int
    height: int


class View(msgspec.Struct, frozen=True):
    """How frames are turned and masked, as in [view], and what the model sees of one.

    Attributes:
        rotate, mirror, region, masks: the settings.
        frame: size of the frame that everybody sees.
        sees: what the model sees of it, in fractions.
    """

    rotate: int
    mirror: bool
    region: tuple[float, ...]
    masks: tuple[tuple[float, ...], ...]
    frame: Size
    sees: Region


def view(feed: Feed) -> Iterable[Operation]:
    """The operation."""

    async def get(request: Request) -> Response:
        return nothing(feed) if feed.result is None else json_answer(view_of(feed.result))

    yield Operation(
        "GET", "/api/view", get, "How frames are turned, and what the model sees of them.",
        {200: Answer("The view.", View), **NOTHING},
    )  # fmt: skip


def view_of(result: Result) -> View:
    """The view of the newest frame, and what its model sees of it."""
    settings, (height, width) = result.frame.view, result.frame.pixels.shape[:2]
    return View(
        rotate=settings.rotate,
        mirror=settings.mirror,
        region=settings.region,
        masks=settings.masks,
        frame=Size(width, height),
        sees=Look.at(result.frame, result.model.geometry).sees,
    )
