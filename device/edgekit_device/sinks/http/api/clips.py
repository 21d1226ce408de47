"""`/api/clips`: the clips that somebody has asked for."""

from collections.abc import Callable, Iterable

import msgspec
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response

from edgekit_device.sinks.clip.folder import Clip, ClipFolder
from edgekit_device.sinks.http.feed import Feed
from edgekit_device.sinks.http.operation import (
    Answer,
    Operation,
    Parameter,
    json_answer,
    refusal,
)

_MEDIA = "application/x-tar"


class Clips(msgspec.Struct, frozen=True):
    """The clips that are whole, the newest first."""

    clips: list[Clip]


def clips(folder: ClipFolder | None) -> Callable[[Feed], Iterable[Operation]]:
    """The operations.

    Args:
        folder: where clips lie; None for nowhere.
    """

    async def everything(request: Request) -> Response:
        return json_answer(Clips(folder.clips() if folder else []))

    async def one(request: Request) -> Response:
        name = request.path_params["name"]
        path = folder.find(name) if folder else None
        if path is None:
            return PlainTextResponse("There is no such clip.\n", 404)
        return FileResponse(path, media_type=_MEDIA, filename=name)

    def operations(feed: Feed) -> Iterable[Operation]:
        yield Operation(
            "GET", "/api/clips", everything, "The clips that are whole, the newest first.",
            {200: Answer("The clips.", Clips)},
        )  # fmt: skip
        yield Operation(
            "GET", "/api/clips/{name}", one, "A clip; `edgekit replay` reads it.",
            {200: Answer("The clip.", media=_MEDIA), 404: refusal("There is none.")},
            parameters=[Parameter("name", str, "Name of the clip.")],
        )  # fmt: skip

    return operations
