"""Commands over MQTT: what is understood, and what is refused."""

from typing import Any

import pytest
from edgekit_device.config.settings import MqttSettings
from edgekit_device.installed import InstalledModel
from edgekit_device.sinks.mqtt import commands as commands_module
from edgekit_device.sinks.mqtt.commands import (
    Command,
    CommandError,
    Commands,
    ControlShown,
    Update,
    shown,
    understand,
)
from edgekit_device.sinks.mqtt.topics import Topics

from tests.device.sinks.controls import FakeController
from tests.device.sinks.samples import until

MODELS = [
    InstalledModel("toys-2", "2" * 64, "2026-01-02T03:04:05Z", False, False),
    InstalledModel("toys-1", "1" * 64, "2026-01-01T03:04:05Z", True, False),
    InstalledModel("twice", "3" * 64, "2026-01-01T03:04:05Z", False, False),
    InstalledModel("twice", "4" * 64, "2026-01-01T03:04:05Z", False, False),
]
TOPICS = Topics.of(MqttSettings(), "pi")


@pytest.mark.parametrize(
    ("topic", "payload", "meant"),
    [
        ("pause", b"ON", ("pause", {})),
        ("pause", b"OFF", ("resume", {})),
        ("record", b"", ("record", {})),
        ("record", b"10", ("record", {"seconds": 10})),
        ("reload", b"PRESS", ("reload", {})),
        ("snapshot", b"", ("snapshot", {})),
        ("rollback", b"PRESS", ("rollback", {})),
        ("model", b"toys-1", ("model", {"sha256": "1" * 64})),
    ],
)
def test_what_is_meant(topic: str, payload: bytes, meant: tuple[str, dict[str, Any]]) -> None:
    assert understand(Command(topic, payload, False), MODELS) == meant


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("pause", b""), ("pause", b"on"), ("pause", b"PRESS"), ("pause", b"1"), ("pause", b"\xff"),
        ("record", b"-1"), ("record", b"1.5"), ("record", b"ten"), ("record", "\u0661".encode()),
        ("record", b"1" * 5000), ("model", b""), ("model", b"toys-3"), ("model", b"twice"),
        ("model", b"1" * 64), ("resume", b""), ("", b""), ("pause/now", b"ON"), ("PAUSE", b"ON"),
        ("reload", b"x" * 300),
    ],
)  # fmt: skip
def test_what_is_not(topic: str, payload: bytes) -> None:
    with pytest.raises(CommandError):
        understand(Command(topic, payload, False), MODELS)


class Bench:
    def __init__(self, controller: FakeController) -> None:
        self.shown: list[ControlShown] = []
        self.controller = controller
        self.commands = Commands(controller, TOPICS, self.shown.append)


def test_one_after_the_other_is_done_and_told() -> None:
    bench = Bench(FakeController())
    bench.commands.start()
    bench.commands.look()
    until(lambda: bench.shown)
    bench.commands.put(Command("pause", b"ON", False))
    bench.commands.put(Command("record", b"5", False))
    until(lambda: len(bench.shown) == 3)
    asked_by = "edgekit/pi/command over MQTT"
    assert bench.controller.asked == [("pause", {}, asked_by), ("record", {"seconds": 5}, asked_by)]
    assert [each.paused for each in bench.shown] == [False, True, True]
    assert list(bench.commands._outcomes) == 2 * [b'{"done":true,"message":"it was done"}']
    bench.commands.close()
    bench.commands._thread.join(30)
    assert not bench.commands._thread.is_alive()


def test_retained_commands_are_refused_and_told() -> None:
    bench = Bench(FakeController())
    bench.commands.put(Command("pause", b"ON", True))
    bench.commands.put(Command("pause", b"", True))  # what removes one
    assert [(name, why) for name, why, _ in bench.controller.refused] == [("pause", "wrong")]
    assert bench.commands._queue.empty()


def test_a_flood_waits_for_nobody() -> None:
    controller = FakeController()
    bench = Bench(controller)
    for _ in range(1000):
        bench.commands.put(Command("reload", b"", False))
    assert bench.commands._queue.qsize() == 8
    assert {why for _, why, _ in controller.refused} == {"often"}
    assert len(controller.refused) == 992


def test_what_is_wrong_is_told_as_an_outcome() -> None:
    bench = Bench(FakeController())
    bench.commands.start()
    bench.commands.put(Command("pause", b"maybe", False))
    until(lambda: bench.commands._outcomes)
    (outcome,) = bench.commands._outcomes
    assert b'"done":false' in outcome and b"ON or OFF" in outcome
    bench.commands.close()


def test_what_can_be_asked_for_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands_module, "installed_models", lambda: MODELS)
    now = shown(FakeController(paused=True))
    assert (now.paused, now.model, now.recording) == (True, "toys-1", False)
    assert now.models == ["toys-2", "toys-1", "twice"]
    assert now.update == Update("toys-1", "toys-2")
    monkeypatch.setattr(commands_module, "installed_models", lambda: [])
    assert (shown(FakeController()).model, shown(FakeController()).update) == ("", None)


def test_after_packets_that_are_too_large_nothing_is_heard_and_that_is_told() -> None:
    bench = Bench(FakeController())
    # The first may have come to Home Assistant's topic.
    bench.commands.stop_listening("too large")
    assert bench.controller.refused == []
    for _ in range(3):
        bench.commands.stop_listening("too large")
    ((name, why, message),) = bench.controller.refused
    assert (name, why) == ("other", "wrong") and message.startswith("too large: no command")
