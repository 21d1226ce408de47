"""The parts of the JSON interface that the page shows, answered by hand."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import numpy as np
from edgekit_device.control import ACTIONS
from edgekit_device.sinks.http.feed import Feed
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from edgekit.inference.events import Event, Label, event_id
from edgekit.vision.encode import encode_jpeg
from tests.device.sinks.player import LABELS, make_pixels

VIEW = {
    "rotate": 0, "mirror": False, "region": [0.25, 0.0, 0.5, 1.0], "masks": [[0.0, 0.0, 0.2, 0.2]],
    "frame": {"width": 320, "height": 240}, "sees": [0.25, 0.1667, 0.5, 0.6667],
}  # fmt: skip
NO_VIEW = VIEW | {"region": [], "masks": [], "sees": [0.125, 0.0, 0.75, 1.0]}
MAP = {
    "state": "done", "done": 1.0, "label": "mug", "index": 0, "score": 0.9, "rows": 4, "columns": 4,
    "drops": [[0, 0.01, 0, 0], [0, 0.1, 0.42, 0.05], [0, 0.05, 0.2, 0], [-0.1, 0, 0, 0]],
    "sees": VIEW["sees"], "seconds": 2.4,
}  # fmt: skip
MODELS = [
    {"name": "toys-2.tflite", "sha256": "2" * 64, "added": "2026-01-02T03:04:05Z",
     "current": True, "previous": False},
    {"name": "toys-1.tflite", "sha256": "1" * 64, "added": "2026-01-01T03:04:05Z",
     "current": False, "previous": True},
]  # fmt: skip
CLIPS = [
    {"name": "20260105T080000000Z.clip", "bytes": 12_400_000, "recorded": "2026-01-05T08:00:00Z"},
]


def make_day(
    at: datetime, count: int, minutes: float = 3.0, labels: Iterable[str] = LABELS
) -> list[Event]:
    """Changes from label to label, oldest first, beginning at a time."""
    names, events, previous = list(labels), [], None
    for number in range(count):
        ts = at.astimezone(UTC) + timedelta(minutes=minutes * number)
        text = ts.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        label = names[number % len(names)]
        events.append(
            Event(
                id=event_id(text, number),
                ts=text,
                event="change",
                label=label,
                score=0.6 + 0.3 * (number % 4) / 4,
                frame=number,
                source="test:",
                model="toys.tflite",
                labels=[Label(label, number % len(names), 0.8)],
                latency_ms=8.25,
                state="running",
                previous=previous,
                picture=True,
            )
        )
        previous = label
    return events


@dataclass
class Parts:
    """What the device keeps, and what was asked of it.

    Attributes:
        events: oldest first.
        history: whether they are of a history.
        gaps: stretches in which nobody watched.
        view, attention: as `/api/view` and `/api/attention` answer.
        control: whether it is on.
        paused: whether it is.
        recording: the clip in progress.
        asked: what was changed: the address and what came with it.
        wrong: what labels should have been, by event.
        pixels: the picture of an event, by its number.
    """

    events: list[Event] = field(default_factory=list)
    history: bool = True
    gaps: list[dict[str, str]] = field(default_factory=list)
    view: dict[str, Any] = field(default_factory=lambda: dict(NO_VIEW))
    attention: dict[str, Any] = field(default_factory=lambda: {"state": "none", "done": 0.0})
    control: bool = False
    paused: bool = False
    recording: dict[str, str] | None = None
    asked: list[tuple[str, Any]] = field(default_factory=list)
    wrong: dict[str, str] = field(default_factory=dict)
    pixels: Callable[[int], NDArray[np.uint8]] = make_pixels
    on_control: Callable[[str], None] = lambda name: None

    def __call__(self, feed: Feed) -> list[Route]:
        """The routes."""
        return [
            Route("/api/events", self._events),
            Route("/api/events.zip", self._download),
            Route("/api/events.clip", self._download),
            Route("/api/events/summary", self._summary),
            Route("/api/events/{name}.jpg", self._picture),
            Route("/api/events/{name}/wrong", self._wrong, methods=["POST", "DELETE"]),
            Route("/api/view", self._answer(lambda: self.view)),
            Route("/api/attention", self._attention, methods=["GET", "POST"]),
            Route("/api/attention.jpg", self._picture),
            Route("/api/control", self._answer(self._control)),
            Route("/api/clips", self._answer(lambda: {"clips": CLIPS})),
            Route("/api/control/{name}", self._perform, methods=["POST"]),
        ]

    def _answer(self, make: Callable[[], Any]) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            return JSONResponse(make())

        return answer

    def _between(self, request: Request) -> list[Event]:
        query = request.query_params
        start, end = query.get("from", ""), query.get("to", "9")
        before = query.get("before", "9")
        found = [e for e in self.events if start <= e.ts < end and e.id < before]
        return found[::-1]

    async def _events(self, request: Request) -> Response:
        found, limit = self._between(request), int(request.query_params.get("limit", "100"))
        shown = [msgspec.to_builtins(event) for event in found[:limit]]
        for event in shown:
            if event["id"] in self.wrong:
                event["wrong"] = self.wrong[event["id"]]
        return JSONResponse({"events": shown, "more": len(found) > limit, "history": self.history})

    async def _summary(self, request: Request) -> Response:
        found = self._between(request)
        first, last = (found[-1].ts, found[0].ts) if found else (None, None)
        return JSONResponse(
            {
                "first": first,
                "last": last,
                "events": len(found),
                "labels": {},
                "bytes": 41_000 * len(found),
                "days": 30,
                "megabytes": 500,
                "gaps": self.gaps,
            }
        )

    async def _download(self, request: Request) -> Response:
        # A zip of these, and of no clip.
        if request.url.path.endswith("clip"):
            return PlainTextResponse("More than 1000 pictures: ask for less.\n", 413)
        headers = {"Content-Disposition": 'attachment; filename="edgekit-events.zip"'}
        return Response(b"PK", media_type="application/zip", headers=headers)

    async def _picture(self, request: Request) -> Response:
        number = int(request.path_params.get("name", "-0").rpartition("-")[2])
        return Response(encode_jpeg(self.pixels(number), 80), media_type="image/jpeg")

    async def _wrong(self, request: Request) -> Response:
        name = request.path_params["name"]
        if request.method == "DELETE":
            del self.wrong[name]
            self.asked.append((request.url.path, None))
        else:
            self.wrong[name] = (await request.json())["label"]
            self.asked.append((request.url.path, self.wrong[name]))
        return JSONResponse({"done": True, "message": "Kept."})

    async def _attention(self, request: Request) -> Response:
        if request.method == "GET":
            return JSONResponse(self.attention)
        self.attention = dict(MAP)
        return JSONResponse(self.attention, 202)

    def _control(self) -> dict[str, Any]:
        why = {"rollback": "there is no version before this one"}
        return {
            "http": self.control, "paused": self.paused, "models": MODELS,
            "recording": self.recording, "recorded": "",
            "actions": [
                {"name": name, "title": action.title, "available": name not in why,
                 "why_not": why.get(name)}
                for name, action in ACTIONS.items()
            ],
        }  # fmt: skip

    async def _perform(self, request: Request) -> Response:
        name = request.path_params["name"]
        if not self.control:
            return PlainTextResponse("Control is off: set control.http.\n", 403)
        self.asked.append((request.url.path, json.loads(await request.body())))
        if name in ("pause", "resume"):
            self.paused = name == "pause"
        self.on_control(name)
        return JSONResponse({"done": True, "message": f"Done: {ACTIONS[name].title}."})
