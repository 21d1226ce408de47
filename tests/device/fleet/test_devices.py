"""How a device is, by what it retains; anybody may have published that."""

import json
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from edgekit_device.fleet import devices as module
from edgekit_device.fleet.devices import Fleet
from edgekit_device.fleet.payloads import KINDS, PAYLOAD_LIMIT, read
from edgekit_device.health import SinkHealth
from hypothesis import given
from hypothesis import strategies as st

from tests.device.fleet.samples import HASH, NOW, fleet_with, health_of, one
from tests.device.sinks.player import DRIFT

Payload = bytes


def _health(**changes: Any) -> Payload:
    return msgspec.json.encode(health_of(**changes))


def test_one_that_is_well() -> None:
    device = one(fleet_with())
    assert not device.unwell and not device.problems
    assert (device.name, device.state, device.label) == ("pi", "running", "mug")
    assert (device.model, device.model_sha256, device.version) == (
        "toys-int8.tflite",
        HASH,
        "0.1.0",
    )
    assert (device.address, device.host) == ("192.168.1.7", "pi")
    assert device.last_seen == "2026-11-24T14:59:55Z" and device.last_seen_s == 5.0


def test_how_long_a_model_has_been_there() -> None:
    fleet = fleet_with(health=_health(model_since="2026-11-23T15:00:00Z"))
    assert one(fleet).model_age_s == 86400.0


def test_the_last_will_makes_it_offline_and_what_it_saw_is_no_longer_true() -> None:
    device = one(fleet_with(status=b"offline"))
    assert (device.state, device.label, device.unwell) == ("offline", "", True)
    # What it ran is still of use to whoever looks for it.
    assert device.model_sha256 == HASH


@pytest.mark.parametrize(("seconds", "state"), [(89, "running"), (91, "silent")])
def test_one_that_is_online_and_not_heard_of_is_silent(seconds: float, state: str) -> None:
    assert one(fleet_with(health=_health(seconds_ago=seconds))).state == state


def test_silence_is_measured_by_how_often_it_speaks() -> None:
    place = b'{"host":"pi","health_interval_s":600}'
    fleet = fleet_with(health=_health(seconds_ago=1700), device=place)
    assert one(fleet).state == "running"
    fleet.take("pi", "health", _health(seconds_ago=1900), None)
    assert one(fleet).state == "silent"


def test_what_is_heard_while_we_listen_counts_by_our_clock() -> None:
    fleet = fleet_with()
    fleet.take("pi", "health", _health(seconds_ago=40 * 86400), NOW - timedelta(seconds=3))
    device = one(fleet)
    assert (device.state, device.last_seen_s) == ("running", 3.0)


def test_a_clock_that_is_ahead_is_told() -> None:
    device = one(fleet_with(health=_health(seconds_ago=-3600)))
    assert device.unwell and device.problems == ["its clock is ahead of this machine's"]


@pytest.mark.parametrize("state", ["starting", "paused"])
def test_what_is_as_somebody_wants_it_is_well_and_sees_nothing(state: str) -> None:
    payload = msgspec.json.encode(msgspec.structs.replace(health_of(), state=state))
    device = one(fleet_with(health=payload))
    assert not device.unwell and device.label == ""


@pytest.mark.parametrize("state", ["degraded", "stalled", "stopping", "something new"])
def test_what_is_not_is_unwell(state: str) -> None:
    content = json.loads(msgspec.json.encode(health_of())) | {"state": state}
    device = one(fleet_with(health=json.dumps(content).encode()))
    assert device.unwell and device.state == state


def test_drift_and_problems_make_it_unwell() -> None:
    payload = msgspec.json.encode(msgspec.structs.replace(health_of(), drift=DRIFT))
    device = one(fleet_with(health=payload))
    assert device.unwell and device.drift == "darker than anything it was calibrated on"
    device = one(fleet_with(health=_health(problems=["camera: away"])))
    assert device.unwell and device.problems == ["camera: away"]


def test_those_that_are_unwell_come_first() -> None:
    fleet = Fleet()
    for name, status in (("b", b"online"), ("c", b"offline"), ("a", b"online")):
        fleet.take(name, "status", status, None)
        fleet.take(name, "health", _health(name=name), None)
    assert [device.name for device in fleet.devices(NOW)] == ["c", "a", "b"]


def test_one_that_is_removed_is_gone() -> None:
    fleet = fleet_with()
    fleet.take("pi", "status", b"", NOW)
    assert not fleet.devices(NOW) and not fleet.foreign_count


def test_a_topic_that_is_removed_is_not_known() -> None:
    fleet = fleet_with()
    fleet.take("pi", "health", b"", NOW)
    device = one(fleet)
    assert (device.state, device.problems) == (
        "unknown",
        ["it has told nothing of its health, or this user may not read that"],
    )


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b"{", "truncated"),
        (b"\xff\xfe", "malformed"),
        (b'{"ts":"\xff","state":"running"}', "UTF-8"),
        (b"[" * 50_000, "nested too deeply|Expected `object`"),
        (b'{"ts":1,"state":"running"}', "Expected `str`"),
        (b'{"state":"running"}', "ts"),
        (b'{"ts":"x","state":"running","frame_age_s":-1}', ">= 0"),
        (b'{"ts":"x","state":"running","temperature_c":1e999}', "range|<="),
        (b'{"ts":"x","state":"running","problems":"none"}', "Expected `array`"),
        (b'{"ts":"x","state":"running","drift":{}}', "signs"),
        (b'"' + b"x" * 10_000_000 + b'"', "10,000,002 bytes, where 65,536"),
    ],
)
def test_health_that_cannot_be_read_makes_it_unwell_and_is_told(payload: bytes, why: str) -> None:
    device = one(fleet_with(health=payload))
    assert (device.state, device.unwell) == ("unknown", True)
    (problem,) = device.problems
    assert problem.startswith(
        "topic health cannot be read: it" if "bytes" in why else "topic health"
    )
    assert any(part in problem for part in why.split("|")), problem
    assert len(problem) < 300


@pytest.mark.parametrize(
    "payload",
    [b'{"health_interval_s":0}', b'{"health_interval_s":-1}', b'{"health_interval_s":1e300}'],
)
def test_an_interval_that_is_none_does_not_hide_silence(payload: bytes) -> None:
    fleet = fleet_with(device=payload, health=_health(seconds_ago=200))
    device = one(fleet)
    assert device.state == "silent" and "topic device cannot be read" in device.problems[0]


@pytest.mark.parametrize(
    "ts", ["", "yesterday", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59",
           "2026-11-24T15:00:00", "2026-11-24", "٢٠٢٦-11-24T15:00:00Z"],
)  # fmt: skip
def test_a_time_that_is_none_is_silence_not_health(ts: str) -> None:
    content = json.loads(msgspec.json.encode(health_of())) | {"ts": ts, "model_since": ts}
    device = one(fleet_with(health=json.dumps(content).encode()))
    assert (device.state, device.last_seen_s, device.model_age_s) == ("silent", None, None)
    assert device.problems[-1] == f"the time of its health is none: {ts or 'empty'}"


def test_health_of_another_device_is_told() -> None:
    """Somebody forges it, or two devices share a user and one has the other's topic."""
    device = one(fleet_with("porch", health=_health(name="gate\x1b[2J")))
    assert device.unwell and device.problems == [
        "its health is of a device called gate [2J, which publishes in its place: look who may "
        "publish there"
    ]
    # Nothing to compare with; no device leaves it out.
    content = json.loads(_health(name="porch"))
    del content["name"]
    assert not one(fleet_with("porch", health=json.dumps(content).encode())).unwell


def test_a_newer_device_may_say_more_than_is_known_here() -> None:
    content = json.loads(_health()) | {
        "state": "pondering", "version": "9.0", "quantum": {"a": [1, {"b": None}]},
        "sinks": {"mqtt": {"sent": 1, "dropped": 0, "queued": 0, "later": True}, "new": {}},
    }  # fmt: skip
    device = one(fleet_with(health=json.dumps(content).encode()))
    assert (device.state, device.version, device.problems) == ("pondering", "9.0", [])
    assert device.unwell


def test_an_older_device_may_say_less() -> None:
    ts = json.loads(_health())["ts"]
    device = one(fleet_with(health=json.dumps({"ts": ts, "state": "running"}).encode()))
    assert not device.unwell and device.state == "running"
    assert (device.model, device.version, device.temperature_c) == ("", "", None)


def test_what_would_drive_a_terminal_is_taken_out() -> None:
    evil = "\x1b]0;owned\x07\x1b[2J\u202eabc\u2028\n" + "x" * 5000
    content = json.loads(msgspec.json.encode(health_of())) | {
        "model": evil, "problems": [evil] * 5000, "state": evil, "version": evil,
    }  # fmt: skip
    # Too many to decode at all are refused; these are just below.
    content["problems"] = [evil[:100]] * 300
    device = one(fleet_with(health=json.dumps(content).encode(), state=b'{"label":"\\u001b[31m"}'))
    for text in (device.model, device.state, device.version, *device.problems):
        assert text.isprintable() and len(text) <= 200
    assert len(device.problems) == 21 and device.problems[-1] == "and 280 more"


def test_secrets_in_what_it_says_are_hidden() -> None:
    device = one(fleet_with(health=_health(problems=["camera: rtsp://me:secret@cam/ is away"])))
    assert "secret" not in device.problems[0]


@pytest.mark.parametrize("name", ["", "a b", "a.b", "ü", "\x1b[2J", "x" * 101, "$SYS"])
def test_what_no_device_is_called_is_counted_and_named_without_harm(name: str) -> None:
    fleet = Fleet()
    assert not fleet.take(name, "status", b"online", None)
    assert not fleet.devices(NOW) and fleet.foreign_count == 1
    assert fleet.foreign[0].isprintable() and len(fleet.foreign[0]) <= 60


@pytest.mark.parametrize("payload", [b"Online", b"1", b"\xff", b"x" * 1_000_000])
def test_a_status_of_another_program_is_counted(payload: bytes) -> None:
    fleet = Fleet()
    fleet.take("tv", "status", payload, None)
    assert not fleet.devices(NOW) and (fleet.foreign_count, fleet.foreign) == (1, ["tv"])


def test_a_status_that_turns_into_another_program_s_leaves_no_device_behind() -> None:
    fleet = fleet_with()
    fleet.take("pi", "status", b"ON", NOW)
    assert not fleet.devices(NOW) and fleet.foreign_count == 1


def test_more_devices_than_are_kept_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DEVICES_LIMIT", 10)
    fleet = Fleet()
    for number in range(100_000):
        fleet.take(f"d{number}", "status", b"online", None)
        fleet.take(f"d{number}", "health", b"{}", None)
    assert (len(fleet.devices(NOW)), fleet.left_out) == (10, 99_990)


@given(st.sampled_from(sorted(KINDS)), st.binary(max_size=200))
def test_any_bytes_give_a_device_or_a_reason(kind: str, payload: bytes) -> None:
    device = one(fleet_with(**{kind: payload}))
    if payload:
        assert device.problems or kind != "health"


@given(
    st.dictionaries(
        st.sampled_from(["ts", "state", "model", "problems", "frame_age_s", "drift", "version"]),
        st.recursive(
            st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(),
            lambda values: st.lists(values) | st.dictionaries(st.text(), values),
            max_leaves=5,
        ),
    )
)
def test_any_json_gives_texts_that_can_be_shown(content: dict[str, Any]) -> None:
    device = one(fleet_with(health=json.dumps(content).encode()))
    texts = [device.state, device.model, device.version, device.drift, *device.problems]
    assert all(text.isprintable() for text in texts)
    msgspec.json.encode(device)


def test_what_is_read_of_health_is_what_the_daemon_says() -> None:
    """A key that is spelt otherwise here would be silently empty."""
    full = msgspec.structs.replace(health_of(), drift=DRIFT, model_since="2026-11-01T00:00:00Z")
    known = set(type(full).__struct_fields__)
    assert set(KINDS["health"].__struct_fields__) <= known
    found = read(msgspec.json.encode(full), KINDS["health"])
    for name in ("ts", "state", "model", "model_sha256", "model_signer", "frame_age_s"):
        assert getattr(found, name) == getattr(full, name)
    assert len(msgspec.json.encode(full)) < PAYLOAD_LIMIT / 10


def test_another_device_with_the_same_name_is_named() -> None:
    sinks = {"mqtt": SinkHealth(1, 0, 0, namesake="shed at 10.0.0.8\x1b[31m" + "x" * 500)}
    device = one(fleet_with(health=msgspec.json.encode(health_of(sinks=sinks))))
    assert device.namesake.startswith("shed at 10.0.0.8") and len(device.namesake) <= 200
    assert "\x1b" not in device.namesake
    assert one(fleet_with()).namesake == ""


@pytest.mark.parametrize("sinks", [b"[]", b'{"mqtt":7}', b'{"mqtt":{"namesake":7}}'])
def test_sinks_that_are_none_are_unreadable_health(sinks: bytes) -> None:
    health = msgspec.json.encode(health_of(sinks={})).replace(b'"sinks":{}', b'"sinks":' + sinks)
    assert "topic health cannot be read" in one(fleet_with(health=health)).problems[0]
