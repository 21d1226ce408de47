"""The device in a real Home Assistant, whose log stays empty of what it does not like about us."""

import json
import re
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from edgekit_device.config.settings import HttpSettings, MqttSettings
from edgekit_device.health import DriftHealth, DriftSign, Latency
from edgekit_device.pictures import EventPicture
from edgekit_device.retry import RetryPolicy
from edgekit_device.sinks.mqtt import Facts, Mqtt
from edgekit_device.sinks.mqtt.entities import ENTITIES
from edgekit_device.sinks.mqtt.topics import Topics
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from tests.conftest import ROOT
from tests.device.sinks.answers import answer
from tests.device.sinks.samples import make_event, make_health
from tests.integration.broker import Broker, Listener, running_broker
from tests.integration.daemon import Daemon, start
from tests.integration.homeassistant import HomeAssistant
from tests.tiny import tiny_model

__all__ = ["start"]
RUNNING = msgspec.structs.replace(make_health(), fps=29.5)
DOCS = ROOT / "docs" / "home-assistant.md"
ODD = ["猫 🐈", "ما", "a \"b\" 'c'", "{{ 1 / 0 }}", "1,000", "None of it", "not sure", "x" * 255]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with running_broker(
        tmp_path_factory.mktemp("broker"),
        "persistence true",
        f"persistence_location {tmp_path_factory.mktemp('kept')}/",
    ) as broker:
        yield broker


@pytest.fixture(scope="module")
def home(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HomeAssistant]:
    home = HomeAssistant(tmp_path_factory.mktemp("home"), f"automation:\n{documented()}")
    try:
        home.start()
        home.connect(broker.host, broker.port)
        yield home
    finally:
        home.stop()


@pytest.fixture(autouse=True)
def quiet(home: HomeAssistant) -> Iterator[None]:
    """Whatever a test does, Home Assistant says nothing new."""
    before = home.said()
    yield
    assert home.said() == before


def documented() -> str:
    """The automations of docs/home-assistant.md; what they would tell a phone goes to a topic."""
    blocks = re.findall("```yaml\n(alias:.*?)```", DOCS.read_text(), re.DOTALL)
    assert len(blocks) == 2
    text = "".join("- " + block.strip().replace("\n", "\n  ") + "\n" for block in blocks)
    for ours, theirs in {
        "notify.mobile_app_phone": "mqtt.publish",
        "title: Kitchen": "topic: told",
        "message: ": "payload: ",
        '      for: "00:05:00"\n': "",
    }.items():
        assert ours in text
        text = text.replace(ours, theirs)
    # A path of Home Assistant's; what lies there is looked at elsewhere.
    return re.sub(" +data:\n +image: /api/image_proxy/image.kitchen_pi_picture\n", "", text)


@contextmanager
def device(broker: Broker, name: str, **arguments: Any) -> Iterator[Mqtt]:
    """The sink of a daemon, which can do nothing else."""
    settings = MqttSettings(host=broker.host, port=broker.port)
    pictures = "small" if arguments.get("facts", Facts()).pictures else "off"
    sink = Mqtt(settings, name, pictures, policy=RetryPolicy(0.1, 0.1), **arguments)
    sink.start()
    try:
        yield sink
    finally:
        sink.close(10)


def sees(sink: Mqtt, label: str, labels: Sequence[str], **changes: Any) -> bytes:
    """An answer, and the change that it is; gives its picture."""
    event, result = make_event(label=label), answer(0, labels=labels)
    picture = EventPicture(result, "small")
    sink.frame(result)
    sink.event(msgspec.structs.replace(event, id=f"{event.id}-{label}", **changes), picture)
    sink.health(RUNNING)
    jpeg = picture.published
    assert jpeg is not None
    return jpeg


def await_picture(home: HomeAssistant, name: str, jpeg: bytes) -> None:
    """Return once it shows this picture; pictures come after all else."""
    entity = f"image.{name}_picture"
    home.until(lambda: home.state(entity) not in (None, "unknown", "unavailable"))
    home.until(lambda: home.bytes(f"/api/image_proxy/{entity}") == jpeg)


@contextmanager
def client(broker: Broker) -> Iterator[Client]:
    """Another client of the broker, that publishes."""
    found = Client(CallbackAPIVersion.VERSION2)
    found.connect(broker.host, broker.port)
    found.loop_start()
    try:
        yield found
    finally:
        found.disconnect()
        found.loop_stop()


def publish(broker: Broker, topic: str, payload: str | bytes, retain: bool = True) -> None:
    with client(broker) as one:
        one.publish(topic, payload, 1, retain).wait_for_publish(10)


def await_event(home: HomeAssistant, name: str, label: str) -> None:
    """Return once the last change was that to a label."""

    def happened() -> bool:
        entity = home.entity(f"event.{name}_change")
        return entity is not None and entity["attributes"].get("label") == label

    home.until(happened)


def test_a_device_with_everything(broker: Broker, home: HomeAssistant) -> None:
    facts = Facts(pictures=True, control=True, models=("mugs", "cups"))
    http = HttpSettings(listen="pi.lan:8080")
    with device(broker, "all", facts=facts, http=http) as sink:
        sees(sink, "mug", ["mug", "cup"], previous="unknown")
        sink.health(
            msgspec.structs.replace(
                RUNNING, state="degraded", problems=["hot"], temperature_c=71.5,
                latency_ms=Latency(2.5, 3, 4), drift_figures=["brightness"],
                drift=DriftHealth("2025-06-01T11:20:00Z", [DriftSign("a", "darker")], "clean"),
            )
        )  # fmt: skip
        publish(broker, "edgekit/all/control", '{"paused": false, "model": "mugs"}')
        home.await_state("sensor.all_label", "mug")
        expected = {
            "sensor.all_confidence": "75.0", "sensor.all_health": "degraded",
            "binary_sensor.all_problem": "on", "binary_sensor.all_drift": "on",
            "sensor.all_temperature": "71.5", "sensor.all_model": "m.tflite",
            "switch.all_watching": "on", "select.all_model_in_use": "mugs",
        }  # fmt: skip
        for entity, state in expected.items():
            home.await_state(entity, state)
        problem = home.entity("binary_sensor.all_problem")
        assert problem is not None and problem["attributes"]["problems"] == ["hot"]
        jpeg = sees(sink, "unknown", ["mug", "cup"], previous="mug", score=0.5)
        label = home.await_state("sensor.all_label", "not sure")
        assert label["attributes"]["options"] == ["mug", "cup", "not sure"]
        await_event(home, "all", "not sure")
        change = (home.entity("event.all_change") or {})["attributes"]
        assert (change["event_type"], change["label"], change["previous"], change["score"]) == (
            "change", "not sure", "mug", 0.5,
        )  # fmt: skip
        await_picture(home, "all", jpeg)
        # What is left are buttons, that nobody has pressed yet; two have to be enabled.
        buttons = {
            f"button.all_{key}"
            for key in ("snapshot", "reload", "record_for_a_minute", "go_back_to_the_model_before")
        }
        assert {home.state(button) for button in buttons} == {"unknown"}
        seen = {"sensor.all_label", "event.all_change", "image.all_picture"}
        assert home.entities("all") == {*expected, *buttons, *seen}
        assert home.render(
            "{{ device_attr('sensor.all_label', 'configuration_url') }} "
            "{{ device_attr('sensor.all_label', 'name') }}"
        ) == "http://pi.lan:8080 all"  # fmt: skip


def test_values_that_are_absent(broker: Broker, home: HomeAssistant) -> None:
    with device(broker, "bare", facts=Facts(control=True)) as sink:
        sees(sink, "mug", ["mug"])
        home.await_state("sensor.bare_label", "mug")
        # Enabled by nobody, the two others say nothing; these are there with nothing to say.
        sink.health(msgspec.structs.replace(RUNNING, temperature_c=50.0, drift_figures=["a"]))
        home.await_state("sensor.bare_temperature", "50.0")
        home.await_state("binary_sensor.bare_drift", "off")
        sink.health(msgspec.structs.replace(RUNNING, model=""))
        for entity in ("sensor.bare_temperature", "binary_sensor.bare_drift", "sensor.bare_model"):
            home.await_state(entity, "unknown")
        home.await_state("binary_sensor.bare_problem", "off")
        for payload in ("", "{}", "null", "5", '"text"', "[]", "no JSON", '{"label": null}'):
            for topic in ("state", "health", "event", "control"):
                publish(broker, f"edgekit/bare/{topic}", payload, retain=False)
        sees(sink, "unknown", ["mug"])
        home.await_state("sensor.bare_label", "not sure")


def test_what_is_seen_is_available_while_it_is(broker: Broker, home: HomeAssistant) -> None:
    with device(broker, "frozen", facts=Facts(pictures=True)) as sink:
        sees(sink, "mug", ["mug"])
        seeing = ("sensor.frozen_label", "sensor.frozen_confidence", "image.frozen_picture")
        home.await_state("sensor.frozen_label", "mug")
        for state in ("paused", "stalled", "starting"):
            sink.health(msgspec.structs.replace(RUNNING, state=state))
            for entity in (*seeing, "event.frozen_change"):
                home.await_state(entity, "unavailable")
            home.await_state("sensor.frozen_health", state)
            sees(sink, "mug", ["mug"])
            home.await_state("sensor.frozen_label", "mug")
    for entity in home.entities("frozen"):
        home.await_state(entity, "unavailable")


def test_commands(broker: Broker, home: HomeAssistant) -> None:
    facts = Facts(control=True, models=("mugs", "cups"), newest="cups")
    with Listener(broker) as listener, device(broker, "door", facts=facts):
        publish(broker, "edgekit/door/control", '{"paused": false, "model": "mugs"}')
        home.await_state("switch.door_watching", "on")
        home.act("switch.turn_off", "switch.door_watching")
        listener.await_message("edgekit/door/command/pause", "ON")
        # The switch is as the device says, not as it was asked.
        publish(broker, "edgekit/door/control", '{"paused": true, "model": "mugs"}')
        home.await_state("switch.door_watching", "off")
        home.act("switch.turn_on", "switch.door_watching")
        listener.await_message("edgekit/door/command/pause", "OFF")
        home.act("select.select_option", "select.door_model_in_use", option="cups")
        listener.await_message("edgekit/door/command/model", "cups")
        update = {"installed_version": "mugs", "latest_version": "cups", "title": "Model"}
        publish(broker, "edgekit/door/control", json.dumps({"paused": False, "update": update}))
        newest = home.await_state("update.door_newest_model", "on")["attributes"]
        assert (newest["installed_version"], newest["latest_version"]) == ("mugs", "cups")
        home.act("update.install", "update.door_newest_model")
        listener.await_message("edgekit/door/command/model", "cups", count=2)
        for button, key, payload in (
            ("snapshot", "snapshot", "PRESS"),
            ("record_for_a_minute", "record", "60"),
            ("reload", "reload", "PRESS"),
            ("go_back_to_the_model_before", "rollback", "PRESS"),
        ):
            home.act("button.press", f"button.door_{button}")
            listener.await_message(f"edgekit/door/command/{key}", payload)
        commands = [m for m in listener.messages if m[0].startswith("edgekit/door/command/")]
        assert not any(retained for _, _, retained in commands)


@pytest.mark.parametrize("labels", [ODD, [f"class {i}" for i in range(50)]], ids=["odd", "50"])
def test_labels(broker: Broker, home: HomeAssistant, labels: list[str]) -> None:
    name = f"labels{len(labels)}"
    with device(broker, name) as sink:
        sees(sink, labels[-1], labels)
        # The first change may come before there is an entity for it.
        home.await_state(f"sensor.{name}_label", labels[-1])
        for label in labels:
            sees(sink, label, labels)
            shown = "not sure (class)" if label == "not sure" else label
            home.await_state(f"sensor.{name}_label", shown)
            await_event(home, name, shown)
        sees(sink, "unknown", labels)
        entity = home.await_state(f"sensor.{name}_label", "not sure")
        assert len(entity["attributes"]["options"]) == len(labels) + 1


def test_another_model(broker: Broker, home: HomeAssistant) -> None:
    with device(broker, "swap") as sink:
        sees(sink, "mug", ["mug"])
        home.await_state("sensor.swap_label", "mug")
        # In one go, again and again: a label may be said before Home Assistant allows it.
        for number in range(20):
            sees(sink, f"cup {number}", [f"cup {number}"])
        home.await_state("sensor.swap_label", "cup 19")
        home.until(lambda: _options(home, "swap") == ["cup 19", "not sure"])


def _options(home: HomeAssistant, name: str) -> list[str]:
    entity = home.entity(f"sensor.{name}_label")
    assert entity is not None
    options: list[str] = entity["attributes"]["options"]
    return options


def test_very_many_labels(broker: Broker, home: HomeAssistant) -> None:
    with device(broker, "many") as sink:
        labels = [f"label {index}" for index in range(1000)]
        sees(sink, "label 999", labels)
        entity = home.await_state("sensor.many_label", "label 999")
        assert len(entity["attributes"]["options"]) == 1001
        labels = [f"label {index}" for index in range(20_000)]
        sees(sink, "label 19999", labels)
        entity = home.await_state("sensor.many_label", "label 19999")
        assert "options" not in entity["attributes"]


def test_the_same_event_twice_is_one(broker: Broker, home: HomeAssistant) -> None:
    with device(broker, "twice") as sink:
        sees(sink, "mug", ["mug", "cup"])
        home.await_state("sensor.twice_label", "mug")
        sees(sink, "cup", ["mug", "cup"])
        await_event(home, "twice", "cup")
        before = home.state("event.twice_change")
        sees(sink, "cup", ["mug", "cup"], score=0.875)
        home.await_state("sensor.twice_confidence", "87.5")
        assert home.state("event.twice_change") == before


def _first_release(name: str) -> dict[str, dict[str, Any]]:
    """What 0.1.0 announced, by topic."""
    found = {}
    for key, topic, template, more in (
        ("label", "state", "{{ value_json.label | default('unknown') }}", {}),
        ("confidence", "state", "{{ (value_json.score * 100) | round(1) }}",
         {"unit_of_measurement": "%", "state_class": "measurement"}),
        ("health", "health", "{{ value_json.state }}",
         {"device_class": "enum", "options": ["running"], "entity_category": "diagnostic"}),
        ("temperature", "health", "{{ value_json.temperature_c | default(none) }}",
         {"unit_of_measurement": "°C", "device_class": "temperature",
          "state_class": "measurement", "entity_category": "diagnostic"}),
    ):  # fmt: skip
        found[f"homeassistant/sensor/edgekit_{name}/{key}/config"] = {
            "name": key.capitalize(),
            "value_template": template,
            "state_topic": f"edgekit/{name}/{topic}",
            "availability_topic": f"edgekit/{name}/status",
            "unique_id": f"edgekit_{name}_{key}",
            "device": {
                "identifiers": [f"edgekit_{name}"], "name": name, "manufacturer": "edgekit",
                "model": "Camera classifier", "sw_version": "0.1.0",
            },
            "origin": {"name": "edgekit", "sw_version": "0.1.0"},
            **more,
        }  # fmt: skip
    return found


def test_upgrade_from_the_first_release(broker: Broker, home: HomeAssistant) -> None:
    for topic, config in _first_release("old").items():
        publish(broker, topic, json.dumps(config))
    publish(broker, "edgekit/old/status", "online")
    publish(broker, "edgekit/old/state", msgspec.json.encode(make_event(label="cup")))
    publish(broker, "edgekit/old/health", msgspec.json.encode(make_health(50.5)))
    before = {f"sensor.old_{key}" for key in ("label", "confidence", "health", "temperature")}
    home.await_state("sensor.old_temperature", "50.5")
    home.await_state("sensor.old_label", "cup")
    assert home.entities("old") == before
    with device(broker, "old") as sink:
        # It starts: nothing is known of the label yet, which is there all the same.
        home.until(lambda: "binary_sensor.old_problem" in home.entities("old"))
        assert before < home.entities("old")
        sees(sink, "mug", ["mug"])
        label = home.await_state("sensor.old_label", "mug")
        assert label["attributes"]["device_class"] == "enum"
        home.await_state("sensor.old_temperature", "unknown")
        # A second device or a second entity of the same kind would be called old_label_2.
        assert not any(entity.endswith("_2") for entity in home.entities("old"))


def test_what_is_switched_off_is_removed(broker: Broker, home: HomeAssistant) -> None:
    facts = Facts(pictures=True, control=True, models=("a",))
    with device(broker, "less", facts=facts) as sink:
        sees(sink, "mug", ["mug"])
        home.until(
            lambda: {"image.less_picture", "select.less_model_in_use"} < home.entities("less")
        )
    with device(broker, "less") as sink:
        sees(sink, "mug", ["mug"])
        home.until(
            lambda: (
                not any(
                    entity.startswith(("image", "button", "switch", "select"))
                    for entity in home.entities("less")
                )
            )
        )
        home.await_state("sensor.less_label", "mug")
    # As docs/home-assistant.md removes the device.
    device_id = home.render("{{ device_id('sensor.less_label') }}")
    for entity in ENTITIES:
        topic = Topics("edgekit", "homeassistant", "less").discovery(entity.key, entity.component)
        publish(broker, topic, b"")
    home.until(lambda: not home.entities("less"))
    assert home.render(f"{{{{ device_attr('{device_id}', 'name') }}}}") == "None"


def test_the_daemon(
    broker: Broker, home: HomeAssistant, start: Callable[..., Daemon], tmp_path: Path
) -> None:
    model = tiny_model(tmp_path / "tiny.tflite")
    options = (
        "--model", model, "--source", "test:", "--name", "whole", "--pictures-size", "small",
        "--mqtt-host", broker.host, "--mqtt-port", str(broker.port),
    )  # fmt: skip
    daemon = start(*options)
    home.await_state("sensor.whole_health", "running", "degraded")
    home.await_state("sensor.whole_model", "tiny.tflite")
    home.until(lambda: home.state("sensor.whole_label") not in (None, "unavailable", "unknown"))
    home.until(lambda: "image.whole_picture" in home.entities("whole"))
    daemon.signal(signal.SIGTERM)
    assert daemon.end() == 0
    home.await_state("sensor.whole_label", "unavailable")
    again = start(*options)
    home.until(lambda: home.state("sensor.whole_label") not in (None, "unavailable", "unknown"))
    again.kill()
    home.await_state("sensor.whole_label", "unavailable")


def test_the_documented_automations(broker: Broker, home: HomeAssistant) -> None:
    with Listener(broker) as listener, device(broker, "kitchen_pi") as sink:
        sees(sink, "cup", ["mug", "cup"])
        home.await_state("sensor.kitchen_pi_label", "cup")
        sees(sink, "unknown", ["mug", "cup"])
        await_event(home, "kitchen_pi", "not sure")
        sees(sink, "mug", ["mug", "cup"])
        listener.await_message("told", "mug, 75 %")
        sink.health(msgspec.structs.replace(RUNNING, state="degraded", problems=["hot", "dark"]))
        listener.await_message("told", "hot; dark")
        sink.health(msgspec.structs.replace(RUNNING, state="paused"))
        home.await_state("event.kitchen_pi_change", "unavailable")
        sink.health(RUNNING)
        await_event(home, "kitchen_pi", "mug")
        assert listener.payloads("told") == ["mug, 75 %", "hot; dark"]


def test_restarts(broker: Broker, home: HomeAssistant) -> None:
    facts = Facts(pictures=True, control=True)
    with device(broker, "again", facts=facts) as sink:
        sees(sink, "mug", ["mug", "cup"])
        home.await_state("sensor.again_label", "mug")
        jpeg = sees(sink, "cup", ["mug", "cup"])
        publish(broker, "edgekit/again/control", '{"paused": false}')
        home.await_state("sensor.again_label", "cup")
        await_event(home, "again", "cup")
        home.await_state("switch.again_watching", "on")
        event = home.entity("event.again_change")
        entities = home.entities("again")

        home.stop()
        home.start()
        home.until(lambda: home.entities("again") == entities)
        home.await_state("sensor.again_label", "cup")
        home.await_state("switch.again_watching", "on")
        await_picture(home, "again", jpeg)
        # Nothing has happened since.
        assert event is not None
        home.await_state("event.again_change", event["state"])

        broker.kill()
        home.await_state("sensor.again_label", "unavailable")
        broker.start()
        home.await_state("sensor.again_label", "cup")
        home.await_state("event.again_change", event["state"])
    for entity in entities:
        home.await_state(entity, "unavailable")
    with device(broker, "again", facts=facts) as sink:
        home.await_state("sensor.again_health", "running")
        sees(sink, "mug", ["mug", "cup"])
        home.await_state("sensor.again_label", "mug")
        await_event(home, "again", "mug")
        assert home.entities("again") == entities
