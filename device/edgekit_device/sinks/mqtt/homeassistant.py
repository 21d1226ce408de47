"""What makes the device appear in Home Assistant by itself.

MQTT discovery with a topic for each entity, which old and new releases understand:
https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery

A value that is not known is absent from a message, or null. A template that looks at it all the
same makes Home Assistant warn with each message, and keep the value before; `none` makes a number
unknown.
"""

from typing import get_args

import msgspec

from edgekit import __version__
from edgekit.inference.events import State
from edgekit_device.sinks.mqtt.topics import Topics

_ENTITIES: dict[str, dict[str, object]] = {
    "label": {
        "name": "Label",
        "topic": "state",
        "value_template": "{{ value_json.label | default('unknown') }}",
        "icon": "mdi:image-search",
    },
    "confidence": {
        "name": "Confidence",
        "topic": "state",
        "value_template": (
            "{{ (value_json.score * 100) | round(1) if value_json.score is number else none }}"
        ),
        "unit_of_measurement": "%",
        "state_class": "measurement",
        "icon": "mdi:percent",
    },
    "health": {
        "name": "Health",
        "topic": "health",
        "value_template": "{{ value_json.state }}",
        "json_attributes_template": "{{ {'problems': value_json.problems} | tojson }}",
        "device_class": "enum",
        "options": list(get_args(State)),
        "entity_category": "diagnostic",
    },
    "temperature": {
        "name": "Temperature",
        "topic": "health",
        "value_template": "{{ value_json.temperature_c | default(none) }}",
        "unit_of_measurement": "°C",
        "device_class": "temperature",
        "state_class": "measurement",
        "entity_category": "diagnostic",
    },
    "drift": {
        "component": "binary_sensor",
        "name": "Drift",
        "topic": "health",
        # Unknown while nothing is compared: a model without a profile has taken the place of one.
        "value_template": (
            "{{ 'ON' if value_json.drift is defined "
            "else 'OFF' if value_json.drift_figures is defined else none }}"
        ),
        "json_attributes_template": (
            "{% if value_json.drift is defined %}{{ {"
            "'what': value_json.drift.signs | map(attribute='text') | join(', '), "
            "'since': value_json.drift.since, 'advice': value_json.drift.advice"
            "} | tojson }}{% else %}{}{% endif %}"
        ),
        "device_class": "problem",
        "entity_category": "diagnostic",
    },
}


def discovery_topic(topics: Topics, entity: str) -> str:
    """Where an entity of the device is announced: `label`, `confidence`, `health`, `temperature`
    or `drift`."""
    return topics.discovery(entity, str(_ENTITIES[entity].get("component", "sensor")))


def announcement(topics: Topics, entity: str) -> bytes:
    """What is published at `discovery_topic(topics, entity)`, to be retained."""
    device = f"edgekit_{topics.device_name}"
    config = {key: value for key, value in _ENTITIES[entity].items() if key != "component"}
    topic = topics.own(str(config.pop("topic")))
    if "json_attributes_template" in config:
        config["json_attributes_topic"] = topic
    config |= {
        "state_topic": topic,
        "availability_topic": topics.own("status"),
        "unique_id": f"{device}_{entity}",
        "device": {
            "identifiers": [device],
            "name": topics.device_name,
            "manufacturer": "edgekit",
            "model": "Camera classifier",
            "sw_version": __version__,
        },
        "origin": {"name": "edgekit", "sw_version": __version__},
    }
    return msgspec.json.encode(config)
