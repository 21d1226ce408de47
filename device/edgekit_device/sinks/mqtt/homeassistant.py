"""What makes the device appear in Home Assistant by itself, as `ENTITIES` says.

MQTT discovery with a topic for each entity, which old and new releases understand (one topic for a
device: only from 2024.11 on): https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery
"""

import re
from typing import Any

import msgspec

from edgekit import __version__
from edgekit_device import board
from edgekit_device.config.settings import HttpSettings
from edgekit_device.sinks.mqtt.entities import ENTITIES, Entity, Facts
from edgekit_device.sinks.mqtt.topics import Topics

# The states of health in which frames are answered.
_SEES = (
    "{{ 'online' if (value_json | default({}, true)).state | default(none) "
    "in ['running', 'degraded'] else 'offline' }}"
)


def announcements(topics: Topics, facts: Facts) -> dict[str, bytes]:
    """What is published to Home Assistant, to be retained, by topic.

    Empty for an entity that is not to be there, which removes it: an earlier run may have announced
    it. Entities of which that is not known yet are left out, and so stay as they are.
    """
    found = {}
    for entity in ENTITIES:
        wanted = entity.wanted(facts)
        if wanted is not None:
            topic = topics.discovery(entity.key, entity.component)
            found[topic] = _announcement(topics, facts, entity) if wanted else b""
    return found


def page_address(http: HttpSettings, local_address: str) -> str | None:
    """Where others open the device's page; None where there is none, or where is not known.

    Args:
        http: settings of the page.
        local_address: of this device in the network that it shares with others, for a page that
            listens at all of them.
    """
    if http.listen is None or http.is_loopback():
        return None
    host, port = http.address()
    if host in ("0.0.0.0", "::"):
        host = local_address.removeprefix("::ffff:")
    # Home Assistant refuses a whole device for an address in which it does not believe.
    reachable = not host.startswith("127.") and host != "::1"
    if not (port and reachable and re.fullmatch("[0-9A-Za-z.:-]+", host)):
        return None
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _announcement(topics: Topics, facts: Facts, entity: Entity) -> bytes:
    device = f"edgekit_{topics.device_name}"
    config: dict[str, Any] = {"name": entity.name, **entity.config, **entity.made_of(facts)}
    config |= {key: topics.own(name) for key, name in entity.topics.items()}
    if entity.diagnostic:
        config["entity_category"] = "diagnostic"
    if entity.optional:
        config["enabled_by_default"] = False
    availability = [{"topic": topics.own("status")}]
    if entity.seeing:
        availability.append({"topic": topics.own("health"), "value_template": _SEES})
    config |= {
        "availability": availability,
        "availability_mode": "all",
        "unique_id": f"{device}_{entity.key}",
        "device": _device(topics, facts, device),
        "origin": {"name": "edgekit", "sw_version": __version__},
    }
    return msgspec.json.encode(config)


def _device(topics: Topics, facts: Facts, identifier: str) -> dict[str, Any]:
    # No more keys: releases refuse a device with one that they do not know.
    device = {
        "identifiers": [identifier],
        "name": topics.device_name,
        "manufacturer": "edgekit",
        "model": "Camera classifier",
        "sw_version": __version__,
    }
    hardware = board.model()
    if hardware is not None:
        device["hw_version"] = hardware
    if facts.page is not None:
        device["configuration_url"] = facts.page
    return device
