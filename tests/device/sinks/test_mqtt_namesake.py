"""Another device with the same name, as what the topic `device` says shows it."""

import socket

import msgspec
import pytest
from edgekit_device.config.settings import MqttSettings
from edgekit_device.sinks.mqtt import Mqtt
from edgekit_device.sinks.mqtt.namesake import WITHIN, Namesake
from edgekit_device.sinks.mqtt.place import INSTANCE, Place, place

from tests.device.sinks.clock import Clock
from tests.device.sinks.samples import until

OURS = msgspec.json.encode(place("192.168.1.7", None, 30.0))
OTHER = msgspec.json.encode(Place("shed", 30.0, "192.168.1.8", instance="0123"))


@pytest.fixture
def namesake(clock: Clock) -> Namesake:
    return Namesake("pi", clock=clock)


def _meet(namesake: Namesake, times: int, other: bytes = OTHER) -> None:
    """Come back so often, and find each time that another was there."""
    for _ in range(times):
        namesake.hear(OURS)
        namesake.hear(other)


def test_we_say_who_we_are() -> None:
    assert msgspec.json.decode(OURS, type=Place).instance == INSTANCE != ""


def test_another_that_comes_again_and_again_is_a_problem(namesake: Namesake) -> None:
    _meet(namesake, 2)
    assert namesake.problem == (
        "another device has the name pi, too: shed at 192.168.1.8; each ends the other's "
        "connection, so set another `name` on one of them"
    )
    assert (namesake.takeovers, namesake.other) == (2, "shed at 192.168.1.8")


def test_who_was_there_before_us_is_no_other(namesake: Namesake) -> None:
    """An earlier process of ours, or the device that this one replaces."""
    namesake.hear(OTHER)
    namesake.hear(OTHER)
    namesake.hear(OURS)
    assert (namesake.takeovers, namesake.problem) == (0, None)


def test_once_is_no_proof(namesake: Namesake) -> None:
    """A broker that crashed may say again what it heard before we were started."""
    _meet(namesake, 1)
    namesake.hear(OURS)
    assert (namesake.takeovers, namesake.problem) == (1, None)


def test_the_same_words_count_once_until_ours_are_heard(namesake: Namesake) -> None:
    _meet(namesake, 1)
    namesake.hear(OTHER)
    assert namesake.takeovers == 1


def test_it_is_over_when_nobody_comes_any_more(namesake: Namesake, clock: Clock) -> None:
    _meet(namesake, 2)
    clock.now += WITHIN
    assert namesake.problem
    clock.now += 1
    assert namesake.problem is None
    # Of two that are long apart, each may have been a broker that was restored.
    _meet(namesake, 1)
    assert namesake.problem is None
    _meet(namesake, 1)
    assert namesake.problem


def test_a_broker_that_is_away_is_told_in_its_place(namesake: Namesake) -> None:
    _meet(namesake, 2)
    namesake.forget()
    assert namesake.problem is None


def test_the_sink_tells_what_is_wrong_now() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    sink = Mqtt(MqttSettings(host="127.0.0.1", port=port), "pi")
    _meet(sink._namesake, 2)
    health = sink.report()
    assert health.problem and "too: shed at" in health.problem
    assert (health.takeovers, health.namesake) == (2, "shed at 192.168.1.8")
    sink.start()
    try:
        until(lambda: "cannot reach" in (sink.report().problem or ""))
    finally:
        sink.close(0)
    assert sink.report().takeovers == 2


def test_one_of_an_earlier_edgekit_is_one_too(namesake: Namesake) -> None:
    _meet(namesake, 2, b'{"host":"old","health_interval_s":30}')
    assert namesake.other == "old"


@pytest.mark.parametrize(
    "payload",
    [b"", b"{", b"[]", b"\xff", b'{"host":7}', b'{"host":"' + b"x" * (1 << 15) + b'"}',
     b"[" * 10_000],
)  # fmt: skip
def test_what_is_no_device_says_nothing(namesake: Namesake, payload: bytes) -> None:
    _meet(namesake, 3, payload)
    assert (namesake.takeovers, namesake.problem) == (0, None)


def test_what_another_says_steers_no_terminal_and_has_an_end(namesake: Namesake) -> None:
    place = Place("\x1b[31m" + "x" * 500, 30.0, "\n" * 90, instance="0")
    _meet(namesake, 2, msgspec.json.encode(place))
    assert "\x1b" not in namesake.other and "\n" not in namesake.other
    assert len(namesake.other) < 150
