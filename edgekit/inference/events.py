"""Events: what is decided about frames, as plain JSON objects. Absent values are left out."""

from datetime import UTC, datetime
from typing import Literal

import msgspec

from edgekit.model.labels import UNKNOWN as UNKNOWN

Kind = Literal["change", "heartbeat", "frame", "snapshot"]
State = Literal["starting", "running", "degraded", "paused", "stalled", "stopping"]


class Label(msgspec.Struct, frozen=True):
    """A class and its score in [0, 1] for one frame."""

    label: str
    index: int
    score: float


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was decided at one frame.

    Attributes:
        id: of this event alone; those of one device sort as the events came.
        ts: when the answer was ready, RFC 3339 in UTC.
        event: `change` of the decided label, `heartbeat` while it stays, `frame` for any other
            frame with `--every-frame`, `snapshot` where somebody asked for one.
        label: the decided label; `unknown` while no class is sure enough.
        score: its smoothed score in [0, 1]; that of the best class while it is `unknown`.
        frame: the frame's number in its source, from 0.
        source, model: names.
        labels: the model's own answer to this frame, not smoothed, best first.
        latency_ms: preprocessing (of a recording it is done ahead) plus inference, in milliseconds.
        state: `degraded` when it was answered by less than was asked for.
        time: seconds from a recording's start; none for a live source.
        previous: the label before a change; none at the first.
        picture: whether the frame's picture goes with it: over MQTT, in a webhook, or at
            `/api/events/ID.jpg`.
    """

    id: str
    ts: str
    event: Kind
    label: str
    score: float
    frame: int
    source: str
    model: str
    labels: list[Label]
    latency_ms: float
    state: State
    time: float | None = None
    previous: str | None = None
    picture: bool = False


def event_id(ts: str, frame: int) -> str:
    """The id of the event of a frame: `20261127T013107123Z-4711`."""
    return f"{ts.translate(_NO_SIGNS)}-{frame}"


_NO_SIGNS = str.maketrans("", "", "-:.")


def timestamp() -> str:
    """Now, as RFC 3339 in UTC with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
