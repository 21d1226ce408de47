"""What is seen: the newest answer, its picture, the last minutes."""

from collections.abc import Iterable

import msgspec
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from edgekit.inference.events import Event
from edgekit.model.decision import DecisionSettings
from edgekit_device.sinks.http.feed import Feed, History
from edgekit_device.sinks.http.operation import Answer, Operation, json_answer, refusal

NOTHING = {503: refusal("No frame has been answered yet, or it is paused.")}
"""What is answered where there is nothing to show."""


class Labels(msgspec.Struct, frozen=True):
    """All labels of the model."""

    labels: list[str]


def seen(feed: Feed) -> Iterable[Operation]:
    """The operations."""

    async def state(request: Request) -> Response:
        return nothing(feed) if feed.latest is None else json_answer(feed.latest)

    async def history(request: Request) -> Response:
        return json_answer(feed.history())

    async def decision(request: Request) -> Response:
        decision = feed.decision()
        return nothing(feed) if decision is None else json_answer(decision)

    async def labels(request: Request) -> Response:
        labels = feed.labels()
        return nothing(feed) if labels is None else json_answer(Labels(labels))

    async def snapshot(request: Request) -> Response:
        picture = feed.picture()
        return nothing(feed) if picture is None else Response(picture, media_type="image/jpeg")

    yield Operation(
        "GET", "/api/state", state, "The newest event: what is seen now.",
        {200: Answer("The event.", Event), **NOTHING},
    )  # fmt: skip
    yield Operation(
        "GET", "/api/history", history, "The confidence of the last minutes, and the last changes.",
        {200: Answer("Oldest first.", History)},
    )  # fmt: skip
    yield Operation(
        "GET", "/api/decision", decision, "The settings that made the newest label.",
        {200: Answer("The settings.", DecisionSettings), **NOTHING},
    )  # fmt: skip
    yield Operation(
        "GET", "/api/labels", labels, "All that the model tells apart.",
        {200: Answer("The labels, by their index.", Labels), **NOTHING},
    )  # fmt: skip
    yield Operation(
        "GET", "/api/snapshot.jpg", snapshot, "The newest frame, turned and masked.",
        {200: Answer("A picture.", media="image/jpeg"), **NOTHING},
    )  # fmt: skip


def nothing(feed: Feed) -> Response:
    """Why there is nothing to show."""
    why = "It is paused" if feed.paused else "No frame has been answered yet"
    return PlainTextResponse(f"{why}.\n", 503)
