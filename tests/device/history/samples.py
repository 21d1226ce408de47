"""Events and pictures for a history."""

from edgekit_device.history.entries import Item
from edgekit_device.history.times import rfc3339

from edgekit.inference.events import event_id

MINUTE = 60_000
NOON = 1_748_779_200_000
"""2025-06-01T12:00:00Z."""


def make_item(number: int = 0, label: str = "cup", at: int | None = None, size: int = 1000) -> Item:
    """The event of frame `number`, a minute after the one before, with a picture of noise."""
    at = NOON + number * MINUTE if at is None else at
    ts = rfc3339(at)
    event = f'{{"id":"{event_id(ts, number)}","ts":"{ts}","event":"change","label":"{label}"}}'
    jpeg = number.to_bytes(4, "big") * (size // 4) if size else None
    sees = "[0.125,0.0,0.75,1.0]" if size else None
    return Item(event_id(ts, number), at, label, event, sees, jpeg)
