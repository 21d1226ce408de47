"""How the daemon is: for people and for supervisors."""

from collections.abc import Iterable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from edgekit.inference.events import State
from edgekit_device.health import Health
from edgekit_device.sinks.http.feed import Feed
from edgekit_device.sinks.http.operation import Answer, Operation, json_answer

# Paused is as somebody wanted it: whoever starts the daemon again for that gains nothing.
_WELL = ("running", "degraded", "paused")


class StateAlone(msgspec.Struct, frozen=True):
    """What those learn who show no token."""

    state: State


def health(feed: Feed) -> Iterable[Operation]:
    """The operations."""

    async def full(request: Request) -> Response:
        return json_answer(feed.health())

    async def healthz(request: Request) -> Response:
        health = feed.health()
        content: Any = health if request.scope["known"] else StateAlone(health.state)
        return json_answer(content, 200 if health.state in _WELL else 503)

    yield Operation(
        "GET", "/api/health", full, "How the daemon is.", {200: Answer("Health.", Health)}
    )
    yield Operation(
        "GET", "/healthz", healthz, "Whether it is well; needs no token, and tells less without.",
        {
            200: Answer("Running, degraded or paused.", (Health, StateAlone)),
            503: Answer("Starting, stalled or stopping.", (Health, StateAlone)),
        },
        public=True,
    )  # fmt: skip
