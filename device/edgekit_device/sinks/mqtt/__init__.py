"""Events, the present state and health on an MQTT broker, and in Home Assistant."""

from edgekit_device.sinks.mqtt.entities import Facts
from edgekit_device.sinks.mqtt.sink import Mqtt

__all__ = ["Facts", "Mqtt"]
