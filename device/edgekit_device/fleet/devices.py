"""What is known of each device of a broker, and how it is."""

import re
from datetime import UTC, datetime
from typing import get_args

import msgspec

from edgekit.inference.events import State
from edgekit.text import one_line
from edgekit_device.fleet.payloads import KINDS, HealthSeen, PlaceSeen, StateSeen, read

DEVICES_LIMIT = 20_000
"""Devices that are kept; more are counted."""
_EXAMPLES = 3
_NAME = re.compile("[A-Za-z0-9_-]{1,100}")
# Health that is as late as three of its intervals, or a minute and a half where these are short:
# the broker notices within less that a connection is dead.
_INTERVALS, _PATIENCE = 3, 90.0
# Seconds by which a device's clock may be ahead of ours without a word.
_AHEAD = 60.0
OFFLINE, SILENT, UNKNOWN = "offline", "silent", "unknown"
STATES = (*get_args(State), OFFLINE, SILENT, UNKNOWN)
"""What a device can be: `offline` by its last will or its own word; `silent` when it is not, and
has not been heard of for too long; `unknown` where its health cannot be read."""
_WELL = ("starting", "running", "paused")


class Device(msgspec.Struct, frozen=True):
    """How a device is, as it is shown. Texts are empty, and figures None, where that is not known.

    Attributes:
        name: of the device.
        state: one of `STATES`; what a newer device says of itself may be another.
        unwell: whether somebody should look: it is neither running, starting nor paused, or has
            problems or drift.
        problems: what is not as it should be, in words; also what of its topics cannot be read.
        namesake: host and address of another device with the same name; empty where none is known.
        drift: what is different from what its model was converted with, in words.
        label: what it sees now; empty where it answers nothing.
        model, model_sha256, model_signer: what runs.
        model_since: when the model was put in its place, RFC 3339.
        model_age_s: seconds since then.
        version: of edgekit.
        frame_age_s: seconds from its last frame to its last health message.
        temperature_c: of its processor, in degrees Celsius.
        last_seen: when it was last heard of, RFC 3339: by its own clock, or by ours where it was
            heard while we listened.
        last_seen_s: seconds since then.
        host, address: the host's name, and the address by which the broker's network reaches it.
        board: what it is.
        page: address of its own page.
    """

    name: str
    state: str
    unwell: bool
    problems: list[str]
    namesake: str
    drift: str
    label: str
    model: str
    model_sha256: str
    model_signer: str
    model_since: str
    model_age_s: float | None
    version: str
    frame_age_s: float | None
    temperature_c: float | None
    last_seen: str
    last_seen_s: float | None
    host: str
    address: str
    board: str
    page: str


class _Record:
    """What the topics of a device say."""

    def __init__(self) -> None:
        self.online = False
        self.health: HealthSeen | None = None
        self.state: StateSeen | None = None
        self.device: PlaceSeen | None = None
        self.unreadable: dict[str, str] = {}
        self.heard: datetime | None = None


class Fleet:
    """The devices below a prefix.

    Attributes:
        foreign: topics below the prefix that are no device's; the first few, as examples.
        foreign_count: how many there were.
        left_out: devices beyond `DEVICES_LIMIT`.
    """

    def __init__(self) -> None:
        self._records: dict[str, _Record] = {}
        self.foreign: list[str] = []
        self.foreign_count = 0
        self.left_out = 0

    def take(self, name: str, kind: str, payload: bytes, heard: datetime | None) -> bool:
        """Take note of a message.

        Args:
            name: of the device, or what stands in its place.
            kind: the topic below it: `status`, or one of `KINDS`.
            payload: as it came; empty where the topic is removed.
            heard: when it was published, by our clock; None for one that was retained before.

        Returns:
            Whether it is of a device that was not known before.
        """
        if kind == "status":
            return self._take_status(name, payload)
        record = self._records.get(name)
        if record is None or kind not in KINDS:
            return False
        record.unreadable.pop(kind, None)
        try:
            value = read(payload, KINDS[kind]) if payload else None
        except ValueError as error:
            record.unreadable[kind] = one_line(error, 200)
            value = None
        setattr(record, kind, value)
        if kind == "health":
            record.heard = heard
        return False

    def _take_status(self, name: str, payload: bytes) -> bool:
        known = name in self._records
        if not payload:
            self._records.pop(name, None)
            return False
        if payload not in (b"online", b"offline") or _NAME.fullmatch(name) is None:
            self._records.pop(name, None)
            self.foreign_count += 1
            if len(self.foreign) < _EXAMPLES:
                self.foreign.append(one_line(name, 60))
            return False
        if not known and len(self._records) >= DEVICES_LIMIT:
            self.left_out += 1
            return False
        record = self._records.setdefault(name, _Record())
        record.online = payload == b"online"
        return not known

    def devices(self, now: datetime | None = None) -> list[Device]:
        """How each is, those that are unwell first, and by name.

        Args:
            now: by our clock; None asks it.
        """
        now = now or datetime.now(UTC)
        found = [_device(name, record, now) for name, record in self._records.items()]
        return sorted(found, key=lambda device: (not device.unwell, device.name))


def _device(name: str, record: _Record, now: datetime) -> Device:
    health = record.health or HealthSeen(ts="", state=UNKNOWN)
    place = record.device or PlaceSeen()
    seen = record.heard or _time(health.ts)
    age = None if seen is None else (now - seen).total_seconds()
    problems = list(health.problems)
    problems += [f"topic {kind} cannot be read: {why}" for kind, why in record.unreadable.items()]
    if record.health is None and "health" not in record.unreadable:
        problems.append("it has told nothing of its health, or this user may not read that")
    if health.name not in ("", name):
        problems.append(
            f"its health is of a device called {health.name}, which publishes in its place: look "
            "who may publish there"
        )
    if record.health is not None and seen is None:
        problems.append(f"the time of its health is none: {health.ts or 'empty'}")
    if age is not None and age < -_AHEAD:
        problems.append("its clock is ahead of this machine's")
    late = max(_INTERVALS * place.health_interval_s, _PATIENCE)
    if not record.online:
        state = OFFLINE
    elif record.health is not None and (age is None or age > late):
        state = SILENT
    else:
        state = health.state
    answers = state in ("running", "degraded")
    drift = ", ".join(sign.text for sign in health.drift.signs) or "yes" if health.drift else ""
    since = _time(health.model_since)
    return Device(
        name=name,
        state=state,
        unwell=state not in _WELL or bool(problems) or bool(drift),
        problems=problems,
        namesake=health.sinks["mqtt"].namesake if "mqtt" in health.sinks else "",
        drift=drift,
        # A label that stays is no longer true.
        label=record.state.label if record.state and answers else "",
        model=health.model,
        model_sha256=health.model_sha256,
        model_signer=health.model_signer,
        model_since=health.model_since,
        model_age_s=None if since is None else (now - since).total_seconds(),
        version=health.version,
        frame_age_s=health.frame_age_s,
        temperature_c=health.temperature_c,
        last_seen="" if seen is None else seen.isoformat(timespec="seconds").replace("+00:00", "Z"),
        last_seen_s=age,
        host=place.host,
        address=place.address,
        board=place.board,
        page=place.page,
    )


def _time(text: str) -> datetime | None:
    """A point in time that a device wrote down; None for what is none, and outside of any zone."""
    try:
        found = datetime.fromisoformat(text)
        return None if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
