"""An operation of the JSON interface: what serves it, what guards it, and what describes it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

JSON = "application/json"
TEXT = "text/plain"
BODY_LIMIT = 4096
"""Bytes of what a client may send along."""
_T = TypeVar("_T")

Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class Answer:
    """What may come back under a status.

    Attributes:
        text: when, in a few words.
        type: what the JSON is, as msgspec would decode it, or a tuple where it is one of several;
            None where it is no JSON.
        media: the content type.
    """

    text: str
    type: Any = None
    media: str = JSON


def refusal(text: str) -> Answer:
    """An answer that says in plain text why there is no other."""
    return Answer(text, media=TEXT)


@dataclass(frozen=True)
class Parameter:
    """A value in the address: in the path where that names it, else in the query.

    Attributes:
        name: of the value.
        type: what it is, as msgspec would decode it.
        text: what it means.
    """

    name: str
    type: Any
    text: str


class Operation(Route):
    """A route that describes itself, and lets through what may change something only when asked.

    All methods but GET and DELETE want `Content-Type: application/json`, which no form of another
    site can send, and none is for a request that a browser says comes from another site.

    Args:
        method: GET (which answers HEAD, too), POST or DELETE.
        path: the address; a part in braces is a `Parameter`.
        endpoint: answers.
        text: what it is for, in a line.
        answers: by status. What every operation may answer (401, 403, 413 …) is not repeated.
        parameters: of the path, which are all needed, and of the query, of which none is.
        body: what `json_body` reads; None where nothing is sent along.
        public: whether it answers without the token, too.
    """

    def __init__(
        self,
        method: str,
        path: str,
        endpoint: Endpoint,
        text: str,
        answers: Mapping[int, Answer],
        *,
        parameters: Sequence[Parameter] = (),
        body: Any = None,
        public: bool = False,
    ) -> None:
        self.public = public
        self.method = method
        self.text = text
        self.answers = answers
        self.parameters = parameters
        self.body = body
        serve = endpoint if method == "GET" else _guarded(endpoint)
        super().__init__(path, serve, methods=[method])


def _guarded(endpoint: Endpoint) -> Endpoint:
    async def serve(request: Request) -> Response:
        # Browsers say from where a request comes; other programs say nothing.
        if request.headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return PlainTextResponse("Another site may not ask for this.\n", 403)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if request.method == "POST" and kind != JSON:
            return PlainTextResponse(f"Send it with Content-Type: {JSON}\n", 415)
        return await endpoint(request)

    return serve


async def json_body(request: Request, type: type[_T]) -> _T:
    """What was sent along with a request; nothing is the same as `{}`.

    Raises:
        HTTPException: 413 where it is longer than `BODY_LIMIT`, 422 where it is not what is wanted.
    """
    body = b""
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > BODY_LIMIT:
                raise HTTPException(413, f"More than {BODY_LIMIT} bytes.\n")
    except ClientDisconnect:
        raise HTTPException(400) from None
    try:
        return msgspec.json.decode(body or b"{}", type=type)
    # Bytes that are no UTF-8 are a ValueError; msgspec's own errors are not.
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise HTTPException(422, f"{error}\n") from None


def json_answer(content: object, status: int = 200) -> Response:
    """An answer in JSON."""
    return Response(msgspec.json.encode(content), status, media_type=JSON)
