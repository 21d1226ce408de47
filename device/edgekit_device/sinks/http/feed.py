"""What viewers are shown: the newest answer, the last minutes of confidence, and the changes.

The thread that infers only leaves references here; whatever takes time is done by the server's
thread, and only while somebody watches.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from edgekit.inference.events import Event
from edgekit.inference.looking import Look
from edgekit.inference.pipeline import Result
from edgekit.model.decision import DecisionSettings
from edgekit.vision.encode import encode_jpeg, fit
from edgekit.vision.view import Region
from edgekit_device.health import Health
from edgekit_device.pictures import EventPicture, KeptPictures

HISTORY_SECONDS = 300.0
PICTURE_WIDTH = 640

_POINT_SECONDS = 0.25
_TICK_SECONDS = 0.25
_HEALTH_SECONDS = 2.0
_CHANGES = 30
# Bytes of the pictures of these, in all.
_PICTURE_BYTES = 4 << 20
_JPEG_QUALITY = 80
_LABELS = 3

BOUNDARY = "frame"


class Point(msgspec.Struct, frozen=True, array_like=True):
    """The decided label at one time.

    Attributes:
        time: of the frame, in seconds on the monotonic clock: a Pi's other one jumps when it finds
            the network.
        label: the label.
        score: its smoothed score in [0, 1].
    """

    time: float
    label: str
    score: float


class Change(NamedTuple):
    """One of the last changes, and what the model saw then, in fractions of the frame."""

    event: Event
    view: Region | None


class Feed:
    """Newest state of everything, for any number of viewers.

    Args:
        snapshot: fresh health; called in the server's thread.
        picture_fps: pictures per second for each viewer, at most.
    """

    def __init__(
        self,
        snapshot: Callable[[], Health],
        picture_fps: float,
    ) -> None:
        self.latest: Event | None = None
        self.sent = 0
        self._snapshot = snapshot
        self._period = 1 / picture_fps
        self._result: Result | None = None
        self._health: tuple[float, Health] | None = None
        self._jpeg: tuple[Result, bytes] | None = None
        self._lock = threading.Lock()
        self._history: deque[Point] = deque(maxlen=int(1.5 * HISTORY_SECONDS / _POINT_SECONDS))
        self._points = 0
        self._changes: deque[Change] = deque(maxlen=_CHANGES)
        self._pictures = KeptPictures(_CHANGES, _PICTURE_BYTES)
        self._changed = 0
        self._news = asyncio.Event()
        self._closing = False

    # Called by the thread that infers.

    def put_result(self, result: Result) -> None:
        """Keep the newest answer, and a point of the history now and then."""
        self._result = result
        seen = result.frame.captured
        last = self._history[-1] if self._history else None
        if last and last.label == result.label and seen - last.time < _POINT_SECONDS:
            return
        with self._lock:
            self._history.append(Point(seen, result.label, round(result.verdict.score, 4)))
            self._points += 1

    def put_event(self, event: Event, picture: EventPicture | None = None) -> None:
        """Keep the newest event, and the last changes with their pictures where these go out."""
        self.latest = event
        if event.event == "change":
            view = None if picture is None else picture.sees
            jpeg = None if picture is None else picture.published
            if jpeg is not None:
                self._pictures.put(event.id, jpeg)
            with self._lock:
                self._changes.append(Change(event, view))
                self._changed += 1

    def put_health(self, health: Health) -> None:
        """Keep the newest health; while it is paused, nothing is left of what was seen last."""
        self._health = time.monotonic(), health
        if health.state == "paused":
            self.latest = self._result = self._jpeg = None

    # Called in the server's thread.

    @property
    def closed(self) -> bool:
        """Whether nothing is shown any more; may be asked from any thread."""
        return self._closing

    def wake(self) -> None:
        """Let the streams look at what is new at once."""
        self._news.set()
        self._news = asyncio.Event()

    def close(self) -> None:
        """End all streams."""
        self._closing = True
        self.wake()

    def health(self) -> Health:
        """Fresh health."""
        health = self._snapshot()
        self.put_health(health)
        return health

    def picture(self) -> bytes | None:
        """The newest frame as JPEG, encoded once for everybody; None before the first."""
        result = self._result
        if result is None:
            return None
        if self._jpeg is None or self._jpeg[0] is not result:
            self._jpeg = result, _encode(result)
        return self._jpeg[1]

    @property
    def result(self) -> Result | None:
        """The newest answer; None before the first frame."""
        return self._result

    def changes(self) -> list[Change]:
        """The last changes, oldest first."""
        with self._lock:
            return list(self._changes)

    def picture_of(self, event_id: str) -> bytes | None:
        """JPEG of one of the last changes, as it goes out; None where it does not, or no more."""
        return self._pictures.get(event_id)

    def decision(self) -> DecisionSettings | None:
        """The settings that made the newest label; None before the first frame."""
        return None if self._result is None else self._result.decision

    def history(self) -> dict[str, Any]:
        """The confidence of the last minutes, and the last changes."""
        now, clock = time.monotonic(), datetime.now(UTC)
        points, _ = self._points_since(0)
        return {
            "history": [
                {
                    "ts": _rfc3339(clock - timedelta(seconds=now - point.time)),
                    "label": point.label,
                    "score": point.score,
                }
                for point in points
            ],
            "changes": self._changes_since(0)[0],
        }

    async def pictures(self) -> AsyncIterator[bytes]:
        """Parts of a multipart/x-mixed-replace body, each a picture not shown before."""
        loop = asyncio.get_running_loop()
        shown: bytes | None = None
        # The boundary follows each picture at once: browsers show a part when they see its end.
        yield f"--{BOUNDARY}\r\n".encode()
        while not self._closing:
            picture = self.picture()
            if picture is not None and picture is not shown:
                shown = picture
                self.sent += 1
                head = f"Content-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
                yield head.encode() + picture + f"\r\n--{BOUNDARY}\r\n".encode()
            # All viewers wake at the same times, so that they share each encoded picture.
            await asyncio.sleep(self._period - loop.time() % self._period)

    async def updates(self) -> AsyncIterator[bytes]:
        """Server-sent events: `hello` with all there is, then what is new.

        That is a `frame`, a `change`, the `health` or the settings of the `decision`.
        """
        points, seen_points = self._points_since(0)
        changes, seen_changes = self._changes_since(0)
        health, decision = self._recent_health(), self.decision()
        news = {"history": points, "changes": changes, "health": health, "decision": decision}
        yield b"retry: 1000\n\n" + self._message("hello", news | self._answer())
        while not self._closing:
            await self._wait()
            changes, seen_changes = self._changes_since(seen_changes)
            for change in changes:
                yield self._message("change", change)
            points, seen_points = self._points_since(seen_points)
            yield self._message("frame", {"points": points} | self._answer())
            if (newer := self._recent_health()) is not health:
                health = newer
                yield self._message("health", health)
            # As long as the same holds it is the same object.
            if (now := self.decision()) is not decision:
                decision = now
                yield self._message("decision", decision)

    async def _wait(self) -> None:
        # Also without news: the page takes silence for a lost connection.
        try:
            async with asyncio.timeout(_TICK_SECONDS):
                await self._news.wait()
        except TimeoutError:
            pass

    def _message(self, name: str, content: object) -> bytes:
        self.sent += 1
        return f"event: {name}\ndata: ".encode() + msgspec.json.encode(content) + b"\n\n"

    def _answer(self) -> dict[str, Any]:
        """What the newest frame shows, without the picture."""
        now, result = time.monotonic(), self._result
        if result is None:
            return {"now": now}
        return {
            "now": now,
            "age_s": round(now - result.frame.captured, 3),
            "frame": result.frame.number,
            "label": result.label,
            "score": round(result.verdict.score, 4),
            "labels": [
                {"label": best.label, "score": round(best.score, 4)}
                for best in result.best(_LABELS)
            ],
            "latency_ms": round(result.latency_ms, 2),
            "sees": Look.at(result.frame, result.model.geometry).sees,
        }

    def _recent_health(self) -> Health:
        if self._health and time.monotonic() - self._health[0] < _HEALTH_SECONDS:
            return self._health[1]
        return self.health()

    def _points_since(self, seen: int) -> tuple[list[Point], int]:
        oldest = time.monotonic() - HISTORY_SECONDS
        with self._lock:
            new = _last(self._history, self._points - seen)
            return [point for point in new if point.time >= oldest], self._points

    def _changes_since(self, seen: int) -> tuple[list[Event], int]:
        with self._lock:
            new = _last(self._changes, self._changed - seen)
            return [change.event for change in new], self._changed


def _last(items: deque[Any], count: int) -> list[Any]:
    return list(items)[-count:] if count else []


def _encode(result: Result) -> bytes:
    pixels = result.frame.pixels
    return encode_jpeg(fit(pixels, PICTURE_WIDTH, pixels.shape[0]), _JPEG_QUALITY)


def _rfc3339(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
