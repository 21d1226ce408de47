"""What Home Assistant makes of messages: its templates, rendered as it does, without a warning."""

import json
from dataclasses import replace
from typing import Any, get_args

import msgspec
import pytest
from edgekit_device.config.settings import HttpSettings
from edgekit_device.health import DriftHealth, DriftSign
from edgekit_device.sinks.mqtt.entities import ENTITIES, Facts
from edgekit_device.sinks.mqtt.homeassistant import announcements, page_address
from edgekit_device.sinks.mqtt.topics import Topics
from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from edgekit.inference.events import State
from tests.device.sinks.samples import make_event, make_health

TOPICS = Topics("edgekit", "homeassistant", "pi")
LABELS = ["mug", "cup", "猫 \"'{{", "Not Sure"]
EVERYTHING = Facts(
    labels=LABELS, temperature=True, drift=True, pictures=True, control=True, models=("a", "b")
)
NO_JSON = object()
WATCHED = msgspec.structs.replace(make_health(), drift_figures=["brightness", "sharpness"])
DRIFTED = msgspec.structs.replace(
    WATCHED,
    drift=DriftHealth(
        "2025-06-01T11:20:00Z",
        [DriftSign("brightness", "darker"), DriftSign("sharpness", 'a "blur"')],
        "clean the lens",
    ),
)


def announced(key: str, facts: Facts = EVERYTHING) -> dict[str, Any]:
    """What is announced of an entity."""
    (topic,) = (TOPICS.discovery(key, entity.component) for entity in ENTITIES if entity.key == key)
    config: dict[str, Any] = json.loads(announcements(TOPICS, facts)[topic])
    return config


def rendered(
    key: str,
    message: Any,
    template: str = "value_template",
    facts: Facts = EVERYTHING,
    **attributes: object,
) -> str:
    """A template's value; what makes Home Assistant warn, an undefined variable, raises."""
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined)
    # As `forgiving_round` of its helpers/template.py: it takes a number or fails.
    environment.filters["round"] = lambda value, precision: round(float(value), precision)
    variables: dict[str, Any] = {"this": {"attributes": attributes}}
    # As `async_render_with_possible_json_value` of its components/mqtt/models.py.
    if message is not NO_JSON:
        variables["value_json"] = msgspec.to_builtins(message)
    text = announced(key, facts)[template]
    return environment.from_string(text).render(variables).strip()


@pytest.mark.parametrize(
    ("entity", "message", "value"),
    [
        ("label", make_event(label="cup"), "cup"),
        ("label", make_event(label="unknown"), "not sure"),
        ("label", make_event(label="Not Sure"), "Not Sure (class)"),
        ("label", make_event(label="猫 \"'{{"), "猫 \"'{{"),
        ("label", {}, "None"),
        ("label", {"label": None}, "None"),
        ("confidence", make_event(), "75.0"),
        ("confidence", {"score": 0}, "0.0"),
        # What makes a number unknown: PAYLOAD_NONE of its components/mqtt/sensor.py.
        ("confidence", {"score": None}, "None"),
        ("confidence", {}, "None"),
        ("health", make_health(), "running"),
        ("temperature", make_health(51.5), "51.5"),
        ("temperature", make_health(0.0), "0.0"),
        ("temperature", make_health(), "None"),
        ("temperature", {"temperature_c": None}, "None"),
        ("drift", DRIFTED, "ON"),
        ("drift", WATCHED, "OFF"),
        # As that of its components/mqtt/binary_sensor.py: not known, as nothing is compared.
        ("drift", make_health(), "None"),
        ("drift", {"drift": None}, "None"),
        ("problem", make_health(), "OFF"),
        ("problem", {"state": "running", "problems": ["hot"]}, "ON"),
        ("problem", {"state": "stalled", "problems": []}, "ON"),
        ("problem", {"state": "paused", "problems": None}, "OFF"),
        ("model", make_health(), "m.tflite"),
        ("model", {"model": ""}, "None"),
        ("fps", make_health(), "30.0"),
        ("latency", {"latency_ms": {"p50": 2.5}}, "2.5"),
        ("latency", make_health(), "None"),
        ("latency", {"latency_ms": None}, "None"),
        ("watching", {"paused": True}, "paused"),
        ("watching", {"paused": False}, "watching"),
        ("watching", {"paused": None}, "None"),
        ("choice", {"model": "b"}, "b"),
        # Neither of those that may be chosen.
        ("choice", {"model": "c"}, "None"),
    ],
)
def test_values(entity: str, message: Any, value: str) -> None:
    assert rendered(entity, message) == value


TEMPLATES = [
    (entity.key, key)
    for entity in ENTITIES
    for key in announced(entity.key)
    if key.endswith("_template")
]


@pytest.mark.parametrize("message", [NO_JSON, {}, None, "text", 5, [], [1]])
@pytest.mark.parametrize(("key", "template"), TEMPLATES)
def test_what_is_no_message_of_ours_is_nothing(key: str, template: str, message: Any) -> None:
    value = rendered(key, message, template)
    if template == "json_attributes_template":
        assert isinstance(json.loads(value), dict)
    else:
        assert value == ("" if key == "change" else "None")


@pytest.mark.parametrize("key", ["health", "problem"])
@pytest.mark.parametrize(
    ("message", "problems"), [(make_health(), []), ({"problems": ['a "b"']}, ['a "b"'])]
)
def test_problems_are_attributes(key: str, message: Any, problems: list[str]) -> None:
    assert json.loads(rendered(key, message, "json_attributes_template")) == {"problems": problems}


@pytest.mark.parametrize("message", [WATCHED, make_health(), {}])
def test_no_drift_has_no_attributes(message: Any) -> None:
    assert json.loads(rendered("drift", message, "json_attributes_template")) == {}


def test_drift_has_what_a_user_needs_in_its_attributes() -> None:
    assert json.loads(rendered("drift", DRIFTED, "json_attributes_template")) == {
        "what": 'darker, a "blur"',
        "since": "2025-06-01T11:20:00Z",
        "advice": "clean the lens",
    }


def test_a_change_is_an_event() -> None:
    event = msgspec.structs.replace(make_event(label="Not Sure"), previous="unknown")
    assert json.loads(rendered("change", event)) == {
        "event_type": "change", "label": "Not Sure (class)", "previous": "not sure",
        "score": 0.75, "id": event.id, "time": event.ts,
    }  # fmt: skip
    first = json.loads(rendered("change", make_event()))
    assert (first["label"], first["previous"]) == ("mug", None)


def test_what_is_no_change_or_came_before_is_no_event() -> None:
    assert rendered("change", make_event(event="heartbeat")) == ""
    assert rendered("change", make_event(event="frame")) == ""
    assert rendered("change", make_event(), id=make_event().id) == ""
    assert rendered("change", make_event(), id="another") != ""


def test_labels_are_options() -> None:
    assert announced("label")["options"] == [*LABELS[:-1], "Not Sure (class)", "not sure"]
    assert announced("label")["device_class"] == "enum"


def test_no_two_options_are_the_same() -> None:
    facts = Facts(labels=["not sure", "not sure (class)", "NOT SURE"])
    assert announced("label", facts)["options"] == [
        "not sure (class) (class)", "not sure (class)", "NOT SURE (class)", "not sure",
    ]  # fmt: skip
    for label, option in zip(
        facts.labels or (), announced("label", facts)["options"], strict=False
    ):
        assert rendered("label", {"label": label}, facts=facts) == option


def test_of_very_many_labels_any_text_is_taken() -> None:
    few, many = ([f"label {index}" for index in range(count)] for count in (1000, 20_000))
    assert len(announced("label", Facts(labels=few))["options"]) == 1001
    assert not {"options", "device_class"} & set(announced("label", Facts(labels=many)))


def test_what_does_not_apply_is_removed_and_what_is_not_known_left() -> None:
    configs = announcements(TOPICS, Facts())
    removed = {topic.split("/")[-2] for topic, payload in configs.items() if not payload}
    assert removed == {
        "picture", "watching", "snapshot", "record", "reload", "rollback", "choice",
    }  # fmt: skip
    left = {entity.key for entity in ENTITIES} - {topic.split("/")[-2] for topic in configs}
    assert left == {"label", "change", "drift", "temperature"}
    assert all(announcements(TOPICS, EVERYTHING).values())


def test_entities_of_the_first_release_are_the_same() -> None:
    topics = announcements(TOPICS, EVERYTHING)
    for key in ("label", "confidence", "health", "temperature"):
        config = json.loads(topics[f"homeassistant/sensor/edgekit_pi/{key}/config"])
        assert config["unique_id"] == f"edgekit_pi_{key}"
        assert config["device"]["identifiers"] == ["edgekit_pi"]


def test_what_is_seen_is_available_only_while_frames_are_answered() -> None:
    seeing = {entity.key for entity in ENTITIES if entity.seeing}
    assert seeing == {"label", "confidence", "change", "picture"}
    for key in seeing:
        status, health = announced(key)["availability"]
        assert status == {"topic": "edgekit/pi/status"}
        template = ImmutableSandboxedEnvironment(undefined=StrictUndefined).from_string(
            health["value_template"]
        )
        answers = {state: template.render(value_json={"state": state}) for state in get_args(State)}
        online = {state for state, answer in answers.items() if answer == "online"}
        assert online == {"running", "degraded"}
        assert set(answers.values()) == {"online", "offline"}
        assert template.render() == template.render(value_json={}) == "offline"
    assert announced("health")["availability"] == [{"topic": "edgekit/pi/status"}]


@pytest.mark.parametrize(
    ("listen", "address"),
    [
        (None, None),
        ("127.0.0.1:8080", None),
        ("localhost:8080", None),
        ("[::1]:8080", None),
        ("pi.lan:8080", "http://pi.lan:8080"),
        ("192.0.2.9:80", "http://192.0.2.9:80"),
        ("[2001:db8::9]:8080", "http://[2001:db8::9]:8080"),
        ("0.0.0.0:8080", "http://192.0.2.7:8080"),
        ("[::]:8080", "http://192.0.2.7:8080"),
        ("0.0.0.0:0", None),
        # Home Assistant would refuse these, and the device with them.
        ("a b:8080", None),
        ("[fe80::1%eth0]:8080", None),
    ],
)
def test_the_page_is_where_others_reach_it(listen: str | None, address: str | None) -> None:
    assert page_address(HttpSettings(listen=listen), "::ffff:192.0.2.7") == address


@pytest.mark.parametrize("local", ["127.0.0.1", "::1", "fe80::1%eth0", ""])
def test_an_address_that_others_cannot_reach_is_not_told(local: str) -> None:
    assert page_address(HttpSettings(listen="0.0.0.0:8080"), local) is None
    assert "configuration_url" not in announced("label")["device"]
    facts = replace(EVERYTHING, page="http://192.0.2.7:8080")
    assert announced("label", facts)["device"]["configuration_url"] == facts.page


def test_drift_is_no_number() -> None:
    config = announced("drift")
    assert "homeassistant/binary_sensor/edgekit_pi/drift/config" in announcements(
        TOPICS, EVERYTHING
    )
    assert (config["name"], config["device_class"]) == ("Drift", "problem")
    assert config["state_topic"] == config["json_attributes_topic"] == "edgekit/pi/health"
    # What Home Assistant's schema of a binary sensor does not know.
    assert "state_class" not in config
