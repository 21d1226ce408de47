"""What Home Assistant makes of messages: its templates, rendered as it does, without a warning."""

import json
from typing import Any

import msgspec
import pytest
from edgekit_device.sinks.mqtt.homeassistant import announcement
from edgekit_device.sinks.mqtt.topics import Topics
from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tests.device.sinks.samples import make_event, make_health

TOPICS = Topics("edgekit", "homeassistant", "pi")


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
