"""`/api/view`: how the camera is turned and masked, and what of its frame the model sees."""

from collections.abc import Iterable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from edgekit.inference.looking import Look
from edgekit.inference.pipeline import Result
from edgekit_device.sinks.http.feed import Feed


def view(feed: Feed) -> Iterable[Route]:
    """The route of the view."""

    async def get(request: Request) -> Response:
        if feed.result is None:
            return PlainTextResponse("No frame has been answered yet.\n", 503)
        content = msgspec.json.encode(as_json(feed.result))
        return Response(content, media_type="application/json")

    return [Route("/api/view", get)]


def as_json(result: Result) -> dict[str, Any]:
    """The view of the newest frame, and what its model sees of it, in fractions of the frame."""
    settings, (height, width) = result.frame.view, result.frame.pixels.shape[:2]
    return {
        "rotate": settings.rotate,
        "mirror": settings.mirror,
        "region": settings.region,
        "masks": settings.masks,
        "frame": {"width": width, "height": height},
        "sees": Look.at(result.frame, result.model.geometry).sees,
    }
