"""What Home Assistant makes of messages: its templates, rendered as it does, without a warning."""

import json
from typing import Any

import msgspec
import pytest
from edgekit_device.health import DriftHealth, DriftSign
from edgekit_device.sinks.mqtt.homeassistant import announcement, discovery_topic
from edgekit_device.sinks.mqtt.topics import Topics
from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tests.device.sinks.samples import make_event, make_health

TOPICS = Topics("edgekit", "homeassistant", "pi")
WATCHED = msgspec.structs.replace(make_health(), drift_figures=["brightness", "sharpness"])
DRIFTED = msgspec.structs.replace(
    WATCHED,
    drift=DriftHealth(
        "2025-06-01T11:20:00Z",
        [DriftSign("brightness", "darker"), DriftSign("sharpness", 'a "blur"')],
        "clean the lens",
    ),
)


def rendered(entity: str, message: Any, template: str = "value_template") -> str:
    """A template's value; what makes Home Assistant warn, an undefined variable, raises."""
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined)
    # As `forgiving_round` of its helpers/template.py: it takes a number or fails.
    environment.filters["round"] = lambda value, precision: round(float(value), precision)
    config = json.loads(announcement(TOPICS, entity))
    payload = message if isinstance(message, dict) else msgspec.to_builtins(message)
    return environment.from_string(config[template]).render(value_json=payload).strip()


@pytest.mark.parametrize(
    ("entity", "message", "value"),
    [
        ("label", make_event(label="cup"), "cup"),
        ("label", {}, "unknown"),
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
        ("drift", {}, "None"),
    ],
)
def test_values(entity: str, message: Any, value: str) -> None:
    assert rendered(entity, message) == value


@pytest.mark.parametrize(
    ("message", "problems"), [(make_health(), []), ({"problems": ['a "b"']}, ['a "b"'])]
)
def test_attributes(message: Any, problems: list[str]) -> None:
    attributes = rendered("health", message, "json_attributes_template")
    assert json.loads(attributes) == {"problems": problems}


@pytest.mark.parametrize("message", [WATCHED, make_health(), {}])
def test_no_drift_has_no_attributes(message: Any) -> None:
    assert json.loads(rendered("drift", message, "json_attributes_template")) == {}


def test_drift_has_what_a_user_needs_in_its_attributes() -> None:
    assert json.loads(rendered("drift", DRIFTED, "json_attributes_template")) == {
        "what": 'darker, a "blur"',
        "since": "2025-06-01T11:20:00Z",
        "advice": "clean the lens",
    }


def test_drift_is_no_number() -> None:
    config = json.loads(announcement(TOPICS, "drift"))
    assert discovery_topic(TOPICS, "drift") == "homeassistant/binary_sensor/edgekit_pi/drift/config"
    assert (config["name"], config["device_class"]) == ("Drift", "problem")
    assert config["state_topic"] == config["json_attributes_topic"] == "edgekit/pi/health"
    # What Home Assistant's schema of a binary sensor does not know.
    assert not {"component", "topic", "state_class"} & set(config)
