"""What a device's topics say, read as what anybody may have published there.

Nothing that is not needed is decoded, texts have an end and steer no terminal, figures are finite.
A payload with one part that is wrong is refused as a whole: nobody knows what the rest is worth.
"""

from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from edgekit.files import decode_json
from edgekit.text import one_line
from edgekit_device.health import shown

PAYLOAD_LIMIT = 1 << 16
"""Bytes of a payload that are decoded; health has one or two thousand."""
_TEXT = 200  # characters
_PROBLEMS = 20
_Age = Annotated[float, Meta(ge=0, le=1e10)]


class SignSeen(msgspec.Struct, frozen=True):
    """A sign of drift, in words."""

    text: str


class DriftSeen(msgspec.Struct, frozen=True):
    """Drift as `edgekit_device.health.DriftHealth` has it."""

    signs: list[SignSeen]


class SinkSeen(msgspec.Struct, frozen=True):
    """What is needed of `edgekit_device.health.SinkHealth`."""

    namesake: str = ""


class HealthSeen(msgspec.Struct, frozen=True):
    """What is needed of `edgekit_device.health.Health`; the device may be of another version."""

    ts: str
    state: str
    name: str = ""
    version: str = ""
    problems: list[str] = []
    model: str = ""
    model_sha256: str = ""
    model_signer: str = ""
    model_since: str = ""
    frame_age_s: _Age | None = None
    temperature_c: Annotated[float, Meta(ge=-300, le=1000)] | None = None
    drift: DriftSeen | None = None
    sinks: dict[str, SinkSeen] = {}


class StateSeen(msgspec.Struct, frozen=True):
    """What is needed of an event; without a label while the device is paused."""

    label: str = ""


class PlaceSeen(msgspec.Struct, frozen=True):
    """What is needed of `edgekit_device.sinks.mqtt.place.Place`."""

    host: str = ""
    health_interval_s: Annotated[float, Meta(gt=0, le=1e6)] = 30.0
    address: str = ""
    board: str = ""
    page: str = ""


_Seen = TypeVar("_Seen", bound=msgspec.Struct)
KINDS: dict[str, type[msgspec.Struct]] = {
    "health": HealthSeen,
    "state": StateSeen,
    "device": PlaceSeen,
}
"""The topics of a device that are read beside `status`, and what they say."""


def read(payload: bytes, kind: type[_Seen]) -> _Seen:
    """What a payload says, cleaned.

    Raises:
        ValueError: it says nothing of that kind; the message is a clause that says why.
    """
    if len(payload) > PAYLOAD_LIMIT:
        raise ValueError(f"it has {len(payload):,} bytes, where {PAYLOAD_LIMIT:,} are the maximum")
    found = decode_json(payload, kind)
    cleaned = {name: _clean(getattr(found, name)) for name in kind.__struct_fields__}
    return msgspec.structs.replace(found, **cleaned)


def _clean(value: object) -> object:
    match value:
        case str():
            return one_line(shown(value), _TEXT)
        case list():
            rest = len(value) - _PROBLEMS
            kept = [_clean(one) for one in value[:_PROBLEMS]]
            return [*kept, f"and {rest:,} more"] if rest > 0 else kept
        case dict():
            seen = value.get("mqtt")
            return {} if seen is None else {"mqtt": SinkSeen(str(_clean(seen.namesake)))}
        case DriftSeen():
            return DriftSeen([SignSeen(str(_clean(x.text))) for x in value.signs[:_PROBLEMS]])
        case _:
            return value
