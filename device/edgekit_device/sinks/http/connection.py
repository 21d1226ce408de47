"""uvicorn, set up for a small device on a network that may be unfriendly."""

import asyncio
from functools import partial
from typing import Any, cast

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol

from edgekit_device.sinks.http.access import Access
from edgekit_device.sinks.http.app import Application
from edgekit_device.sinks.http.feed import Feed

# Seconds for a client to say what it wants.
_REQUEST_TIMEOUT = 10.0
_HEADER_BYTES = 8192
# Connections besides two for each viewer, which get an answer; twice as many are not even heard,
# so that a flood does not use up the files that the camera and the broker need.
_MORE_CONNECTIONS = 32


class Guard:
    """Ends connections that are too many, and those on which no request comes to its end in time.

    uvicorn would wait for a request for ever, and for any number. An answer that has begun, and
    which only a whole request gets, takes as long as it takes.

    Args:
        app: the application.
        maximum: open connections; those beyond are not heard.
    """

    def __init__(self, app: ASGIApp, maximum: int) -> None:
        self._app = app
        self._maximum = maximum
        self._open: set[asyncio.Transport] = set()
        # By the client's address, which is all that the application knows of a connection.
        self._deadlines: dict[object, asyncio.TimerHandle] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""

        async def send_in_time(message: Message) -> None:
            self._stop_clock(scope["client"])
            await send(message)

        await self._app(scope, receive, send_in_time)

    def made(self, transport: asyncio.Transport) -> None:
        """A connection is there."""
        self._open.add(transport)
        if len(self._open) > self._maximum:
            transport.abort()
            return
        loop = asyncio.get_running_loop()
        self._deadlines[_client(transport)] = loop.call_later(_REQUEST_TIMEOUT, transport.abort)

    def lost(self, transport: asyncio.Transport) -> None:
        """A connection is gone."""
        self._open.discard(transport)
        self._stop_clock(_client(transport))

    def abort(self) -> None:
        """End all connections."""
        for transport in list(self._open):
            transport.abort()

    def _stop_clock(self, client: object) -> None:
        deadline = self._deadlines.pop(client, None)
        if deadline is not None:
            deadline.cancel()


def _client(transport: asyncio.Transport) -> object:
    """A client's address as the application knows it."""
    address = transport.get_extra_info("peername")
    return tuple(address[:2]) if address else None


class _Connection(asyncio.Protocol):
    """Passes everything on to uvicorn's own connection, and lets the guard know of it."""

    def __init__(self, guard: Guard, **given_by_uvicorn: Any) -> None:
        self._guard = guard
        self._uvicorn = H11Protocol(**given_by_uvicorn)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self._uvicorn.connection_made(transport)
        self._guard.made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._guard.lost(self._transport)
        self._uvicorn.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._uvicorn.data_received(data)

    def eof_received(self) -> None:
        self._uvicorn.eof_received()

    def pause_writing(self) -> None:
        self._uvicorn.pause_writing()

    def resume_writing(self) -> None:
        self._uvicorn.resume_writing()


def make_server(
    feed: Feed, name: str, token: str | None, port: int, viewers: int
) -> tuple[Server, Guard]:
    """A server that is not running yet, and what guards its connections.

    Args:
        feed: what it shows.
        name: of the device.
        token: what clients must show; None for no token.
        port: where it will listen.
        viewers: live pictures served at once.
    """
    application = Application(feed, name, viewers)
    answered = 2 * viewers + _MORE_CONNECTIONS
    guard = Guard(Access(application.app, token, port), maximum=2 * answered)
    server = Server(
        Config(
            guard,
            loop="asyncio",
            # Only ever called, to make a connection.
            http=cast("type[asyncio.Protocol]", partial(_Connection, guard)),
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            # Not its warnings: anybody could fill the journal with invalid requests.
            log_level="error",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=answered,
            h11_max_incomplete_event_size=_HEADER_BYTES,
        )
    )
    return server, guard
