"""MQTT topics."""

from edgekit_device.config.settings import MqttSettings
from edgekit_device.sinks.mqtt.topics import Topics


def test_topics_follow_from_prefix_and_name() -> None:
    topics = Topics.of(MqttSettings(prefix="home/edge", discovery="ha"), "door-2")
    assert topics.own("state") == "home/edge/door-2/state"
    assert topics.home_assistant_status == "ha/status"
    assert topics.discovery("label") == "ha/sensor/edgekit_door-2/label/config"
