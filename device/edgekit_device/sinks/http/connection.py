"""uvicorn, set up for a small device on a network that may be unfriendly."""

import asyncio
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from edgekit_device.sinks.http.access import Access
from edgekit_device.sinks.http.app import Application, Part
from edgekit_device.sinks.http.feed import Feed
from edgekit_device.sinks.http.limits import Limits, client_of

# Connections taken from the system at once, each a file before it can be counted. A quarter of what
# a client may have: a request that comes at once is heard before its connection would give way.
_AT_ONCE = 16
# Connections that wait in the system for that.
_BACKLOG = 128


class Guard:
    """Keeps connections within their limits, in number and in time.

    uvicorn would wait for a request for ever, and for any number, and for a client to take its
    answer. Where there is no room for a connection, the one that has waited longest for its
    request to be whole gives way, its client's own first: whoever asks at once is answered,
    however many say nothing. A live picture or `/events` lasts for as long as its client takes
    what comes.

    Args:
        app: the application.
        limits: what is too much.
        refused: counts what was not given, by reason.
        failed: called with what went wrong on our side.
    """

    def __init__(
        self,
        app: ASGIApp,
        limits: Limits,
        refused: Counter[str],
        failed: Callable[[Exception], None],
    ) -> None:
        self.limits = limits
        self._app = app
        self._refused = refused
        self._failed = failed
        # In the order in which they came.
        self._open: dict[Connection, None] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        connection: Connection = scope["state"]["connection"]

        async def send_in_time(message: Message) -> None:
            connection.stop_clock()
            try:
                async with asyncio.timeout(self.limits.send_timeout):
                    await send(message)
            except TimeoutError:
                connection.refuse("send-timeout")
                return
            if message["type"] == "http.response.body" and not message.get("more_body"):
                connection.end_within(self.limits.send_timeout, "send-timeout")

        try:
            await self._app(scope, receive, send_in_time)
        except Exception as error:
            # uvicorn would write a traceback for each: anybody could fill the journal.
            if not connection.cycle.disconnected:
                self.count("error")
                self._failed(error)
            if not connection.cycle.response_complete:
                connection.transport.abort()

    def count(self, reason: str) -> None:
        """Count something that was not given."""
        self._refused[reason] += 1

    def made(self, connection: "Connection") -> None:
        """A connection is there."""
        self._open[connection] = None
        brief = [each for each in self._open if not each.streams]
        own = [each for each in brief if each.host == connection.host]
        if len(own) > self.limits.client_connections:
            _give_way(own)
        elif len(brief) > self.limits.connections:
            _give_way(brief)

    def lost(self, connection: "Connection") -> None:
        """A connection is gone."""
        self._open.pop(connection, None)

    def abort(self) -> None:
        """End all connections."""
        for connection in list(self._open):
            connection.transport.abort()


def _give_way(connections: list["Connection"]) -> None:
    """Cut off one before the newest, which else those that are answered could keep out."""
    *before, _ = connections
    mute = [each for each in before if not each.is_answered()]
    (mute or before)[0].refuse("connection-limit")


class Connection(H11Protocol):
    """uvicorn's own connection, which lets the guard know of it, and the application know it.

    Attributes:
        host: the client, as limits see it.
        streams: whether its answer has no end.
    """

    def __init__(self, guard: Guard, **given_by_uvicorn: Any) -> None:
        super().__init__(**given_by_uvicorn | {"app_state": {"connection": self}})
        self.host = ""
        self.streams = False
        self._guard = guard
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.host = client_of(transport.get_extra_info("peername"))
        self.end_within(self._guard.limits.request_timeout, "request-timeout")
        self._guard.made(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.stop_clock()
        self._guard.lost(self)
        # The system has given up a client that takes nothing (TCP_USER_TIMEOUT).
        if isinstance(exc, TimeoutError):
            self._guard.count("send-timeout")
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        try:
            super().data_received(data)
        # asyncio would write a traceback for each.
        except Exception:
            self.refuse("bad-request")

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP: refused in words, or cut off where an answer has begun already."""
        if self.is_answered():
            self.refuse("bad-request")
            return
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None:
            # Whoever works on an answer has nobody left to give it to.
            cycle.disconnected = True
            cycle.message_event.set()
        self._guard.count("bad-request")
        super().send_400_response(msg)

    def is_answered(self) -> bool:
        """Whether its request is whole, and an answer has begun."""
        return self.cycle is not None and self.cycle.response_started

    def stop_clock(self) -> None:
        """Let it take as long as it takes."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def end_within(self, seconds: float, reason: str) -> None:
        """Cut it off after some time."""
        self.stop_clock()
        self._deadline = self.loop.call_later(seconds, self.refuse, reason)

    def refuse(self, reason: str) -> None:
        """Cut it off."""
        self.stop_clock()
        self._guard.lost(self)
        self._guard.count(reason)
        self.transport.abort()


class _Server(Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # To asyncio, how many wait and how many are taken at once are the same number.
        for listener in sockets or ():
            listener.listen(_BACKLOG)


def make_server(
    feed: Feed,
    name: str,
    token: str | None,
    port: int,
    viewers: int,
    limits: Limits,
    refused: Counter[str],
    failed: Callable[[Exception], None],
    parts: Sequence[Part] = (),
) -> tuple[Server, Guard]:
    """A server that is not running yet, and what guards its connections.

    Args:
        feed: what it shows.
        name: of the device.
        token: what clients must show; None for no token.
        port: where it will listen.
        viewers: live pictures served at once.
        limits: what is too much.
        refused: counts what was not given, by reason.
        failed: called with what went wrong on our side.
        parts: of the JSON interface, beside what is always there.
    """
    application = Application(feed, name, viewers, viewers + limits.events, refused, parts)
    access = Access(application.app, token, port, limits, refused)
    guard = Guard(access, limits, refused, failed)
    server = _Server(
        Config(
            guard,
            loop="asyncio",
            # Only ever called, to make a connection.
            http=cast("type[asyncio.Protocol]", partial(Connection, guard)),
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            # Nothing: what clients do is counted, and what we do wrong is told in health.
            log_level="critical",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=_AT_ONCE,
            h11_max_incomplete_event_size=limits.header_bytes,
        )
    )
    return server, guard
