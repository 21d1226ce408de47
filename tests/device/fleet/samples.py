"""Devices for tests."""

from datetime import UTC, datetime, timedelta

import msgspec
from edgekit_device.fleet.devices import Device, Fleet
from edgekit_device.health import Health

from tests.device.sinks.player import HEALTH
from tests.device.sinks.samples import make_event

NOW = datetime(2026, 11, 24, 15, tzinfo=UTC)
HASH = HEALTH.model_sha256
PLACE = b'{"host":"pi","address":"192.168.1.7","health_interval_s":30.0}'


def health_of(seconds_ago: float = 5.0, **changes: object) -> Health:
    """Health that was told some seconds before `NOW`."""
    ts = (NOW - timedelta(seconds=seconds_ago)).isoformat()
    well = {"name": "pi", "ts": ts, "drift": None, "state": "running"}
    return msgspec.structs.replace(HEALTH, **well | changes)


def fleet_with(name: str = "pi", **payloads: bytes) -> Fleet:
    """A fleet of one that is well, but for what some of its topics say."""
    topics = {
        "status": b"online",
        "health": msgspec.json.encode(health_of(name=name)),
        "state": msgspec.json.encode(make_event()),
        "device": PLACE,
    }
    fleet = Fleet()
    for kind, payload in (topics | payloads).items():
        fleet.take(name, kind, payload, None)
    return fleet


def one(fleet: Fleet) -> Device:
    """The only device of a fleet, as it is at `NOW`."""
    (device,) = fleet.devices(NOW)
    return device


def device_of(name: str = "pi", **changes: object) -> Device:
    """A device that is well, but for some changes."""
    return msgspec.structs.replace(one(fleet_with(name)), **changes)
