"""What Home Assistant is told so that the device appears there by itself.

MQTT discovery with a topic for each entity, which old and new releases understand:
https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery
"""

from typing import get_args

import msgspec

from edgekit import __version__
from edgekit.inference.events import State

_ENTITIES: dict[str, dict[str, object]] = {
    "label": {
        "name": "Label",
        "topic": "state",
        "value_template": "{{ value_json.label }}",
        "icon": "mdi:image-search",
    },
    "confidence": {
        "name": "Confidence",
        "topic": "state",
        "value_template": "{{ (value_json.score * 100) | round(1) }}",
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
        "value_template": "{{ value_json.temperature_c }}",
        "unit_of_measurement": "°C",
        "device_class": "temperature",
        "state_class": "measurement",
        "entity_category": "diagnostic",
    },
}


def discovery(prefix: str, base: str, device_name: str, entity: str) -> tuple[str, bytes]:
    """Topic and payload, to be retained, that announce an entity.

    Args:
        prefix: Home Assistant's discovery prefix.
        base: topics of the device are BASE/status, BASE/state and BASE/health.
        device_name: letters, digits, - and _.
        entity: `label`, `confidence`, `health` or `temperature`.
    """
    device = f"edgekit_{device_name}"
    config = dict(_ENTITIES[entity])
    topic = f"{base}/{config.pop('topic')}"
    if "json_attributes_template" in config:
        config["json_attributes_topic"] = topic
    config |= {
        "state_topic": topic,
        "availability_topic": f"{base}/status",
        "unique_id": f"{device}_{entity}",
        "device": {
            "identifiers": [device],
            "name": device_name,
            "manufacturer": "edgekit",
            "model": "Camera classifier",
            "sw_version": __version__,
        },
        "origin": {"name": "edgekit", "sw_version": __version__},
    }
    return f"{prefix}/sensor/{device}/{entity}/config", msgspec.json.encode(config)
