"""uvicorn, set up for a small device on a network that may be unfriendly."""

import asyncio
from typing import Any

import h11
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


class Connection(H11Protocol):
    """uvicorn's connection, which would wait for a request for ever, and for any number."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock."""
        super().connection_made(transport)
        if len(self.connections) > 2 * (self.limit_concurrency or 1):
            transport.abort()
        self._deadline = self.loop.call_later(_REQUEST_TIMEOUT, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop it."""
        if self._deadline is not None:
            self._deadline.cancel()
        super().connection_lost(exc)

    def _give_up(self) -> None:
        if self.conn.their_state in (h11.IDLE, h11.SEND_BODY):
            self.transport.abort()


def make_server(feed: Feed, name: str, token: str | None, port: int, viewers: int) -> Server:
    """A server that is not running yet.

    Args:
        feed: what it shows.
        name: of the device.
        token: what clients must show; None for no token.
        port: where it will listen.
        viewers: live pictures served at once.
    """
    application = Application(feed, name, viewers)
    return Server(
        Config(
            Access(application.app, token, port),
            loop="asyncio",
            http=Connection,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            # Not its warnings: anybody could fill the journal with invalid requests.
            log_level="error",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=2 * viewers + _MORE_CONNECTIONS,
            h11_max_incomplete_event_size=_HEADER_BYTES,
        )
    )
