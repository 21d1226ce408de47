"""What is served at each address."""

import base64
import hashlib
import html
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from edgekit.report.page import theme
from edgekit_device.sinks.http.api.health import health
from edgekit_device.sinks.http.api.seen import seen
from edgekit_device.sinks.http.feed import BOUNDARY, Feed
from edgekit_device.sinks.http.operation import Answer, Operation, json_answer, refusal

Part = Callable[[Feed], Iterable[Route]]
"""A part of the JSON interface: the routes it serves, of what viewers are shown."""

_PAGE = Path(__file__).with_name("page")
# The page is one answer, so its files are put together, in this order.
_STYLES = ("page.css", "parts.css")
_SCRIPTS = (
    "base.js", "live.js", "chart.js", "health.js", "event.js", "timeline.js", "history.js",
    "view.js", "attention.js", "control.js", "stream.js", "main.js",
)  # fmt: skip


class Application:
    """The addresses.

    Args:
        feed: what is shown.
        name: of the device.
        viewers: live pictures served at once.
        events: readers of `/events` at once.
        refused: counts what was not given, by reason.
        parts: of the JSON interface, beside what is always there.
    """

    def __init__(
        self,
        feed: Feed,
        name: str,
        viewers: int,
        events: int,
        refused: Counter[str],
        parts: Sequence[Part] = (),
    ) -> None:
        self._feed = feed
        self._viewers = _Places(viewers)
        self._readers = _Places(events)
        self._refused = refused
        self._page, self._policy = _assemble(name)
        own = (
            Operation(
                "GET", "/", self._index, "The page.",
                {
                    200: Answer("HTML.", media="text/html"),
                    401: Answer("A form that asks for the token.", media="text/html"),
                },
            ),
            Operation(
                "GET", "/stream.mjpg", self._stream, "Live pictures, until the client has enough.",
                {
                    200: Answer("JPEG after JPEG.", media="multipart/x-mixed-replace"),
                    503: refusal("Too many see it at once."),
                },
            ),
            Operation(
                "GET", "/events", self._events, "What is new, as server-sent events: `hello` with "
                "all there is, then `frame`, `change`, `health` and `decision`.",
                {
                    200: Answer("Event after event, each with JSON.", media="text/event-stream"),
                    503: refusal("Too many read it at once."),
                },
            ),
            Operation(
                "GET", "/api/openapi.json", self._openapi, "This description.",
                {200: Answer("OpenAPI 3.1.", dict[str, Any])},
            ),
        )  # fmt: skip
        self.routes = [
            *own, *seen(feed), *health(feed), *(route for part in parts for route in part(feed))
        ]  # fmt: skip
        self.app = Starlette(routes=self.routes)
        # Its redirections name the host that the client has named.
        self.app.router.redirect_slashes = False

    async def _index(self, request: Request) -> Response:
        return HTMLResponse(self._page, headers={"Content-Security-Policy": self._policy})

    async def _stream(self, request: Request) -> Response:
        media_type = f"multipart/x-mixed-replace; boundary={BOUNDARY}"
        if request.method == "HEAD":
            return Response(media_type=media_type)
        if self._viewers.are_taken():
            return self._crowded(
                f"Too many viewers: http.viewers allows {self._viewers.number} live pictures at "
                "once; close another page, or raise it.\n"
            )
        stream = StreamingResponse(self._feed.pictures(), media_type=media_type)
        return _Stream(self._viewers, stream)

    async def _events(self, request: Request) -> Response:
        media_type = "text/event-stream"
        if request.method == "HEAD":
            return Response(media_type=media_type)
        if self._readers.are_taken():
            return self._crowded(f"Too many readers: {self._readers.number} at once.\n")
        stream = StreamingResponse(self._feed.updates(), media_type=media_type)
        return _Stream(self._readers, stream)

    def _crowded(self, text: str) -> Response:
        self._refused["stream-limit"] += 1
        return PlainTextResponse(text, 503, headers={"Retry-After": "5"})

    async def _openapi(self, request: Request) -> Response:
        # Few ask for it, and it takes memory.
        from edgekit_device.sinks.http.openapi import describe

        operations = [route for route in self.routes if isinstance(route, Operation)]
        return json_answer(describe(operations))


class _Places:
    """A number of places, each taken for a while."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.taken = 0

    def are_taken(self) -> bool:
        """Whether none is free."""
        return self.taken >= self.number


class _Stream(Response):
    """An answer without an end: takes a place for as long as it lasts."""

    def __init__(self, places: _Places, stream: StreamingResponse) -> None:
        self._places = places
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._places.taken += 1
        scope["state"]["connection"].streams = True
        try:
            await self._stream(scope, receive, send)
        finally:
            self._places.taken -= 1


def _assemble(name: str) -> tuple[str, str]:
    """The page in one piece, and a policy under which a browser runs nothing else."""
    page = (_PAGE / "page.html").read_text("utf-8")
    style = theme() + _joined(_STYLES)
    script = _joined(_SCRIPTS)
    for mark, text in (("name", html.escape(name)), ("style", style), ("script", script)):
        page = page.replace("{{" + mark + "}}", text)
    # Pictures: those of events are of this server, and the icon is in the page.
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; "
        "connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
    return page, policy


def _joined(files: Iterable[str]) -> str:
    return "".join((_PAGE / file).read_text("utf-8") for file in files)


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
