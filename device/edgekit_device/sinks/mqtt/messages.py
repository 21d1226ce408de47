"""A message on its way to the broker."""

from typing import NamedTuple

from paho.mqtt.client import MQTTMessageInfo


class Message(NamedTuple):
    """What is published, and whether the broker keeps it for those who come later."""

    topic: str
    payload: bytes
    retain: bool


class Sent(NamedTuple):
    """A message that was handed over, how to ask for its arrival, and when; monotonic seconds."""

    message: Message
    info: MQTTMessageInfo
    time: float
