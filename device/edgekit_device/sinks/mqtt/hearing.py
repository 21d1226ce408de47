"""What the device hears at the broker beside commands: Home Assistant's start, and its own name."""

import math
import time

from paho.mqtt.client import MQTTMessage

from edgekit_device.sinks.mqtt.connection import Connection
from edgekit_device.sinks.mqtt.namesake import Namesake
from edgekit_device.sinks.mqtt.topics import Topics

ANNOUNCE_AGAIN = 10.0
"""Seconds from one announcement for a Home Assistant that has started to the next."""


class Hearing:
    """Of the thread that owns the connection.

    Args:
        topics: of the device.
        namesake: is told what is said of who we are.
    """

    def __init__(self, topics: Topics, namesake: Namesake) -> None:
        self._topics = topics
        self._namesake = namesake
        self._listens = True
        self._started_again = False
        self._announce_at = -math.inf

    def listen(self, connection: Connection) -> None:
        """Hear it over a new connection, before anything is published there."""
        if self._listens:
            connection.subscribe(self._topics.own("device"), self._on_device)
        if self._listens and self._topics.discovery_prefix:
            connection.subscribe(self._topics.home_assistant_status, self._on_home_assistant)

    def stop(self) -> None:
        """Hear no more, after a packet that was too large: it would come again and again.

        Who sends it may be another client of the broker: it shall not keep us from coming back.
        """
        self._listens = False

    def home_assistant_started(self) -> bool:
        """Whether it is to be told all again; one that starts all the time delays no event."""
        now = time.monotonic()
        if not self._started_again or now < self._announce_at:
            return False
        self._started_again = False
        self._announce_at = now + ANNOUNCE_AGAIN
        return True

    def _on_device(self, message: MQTTMessage) -> None:
        self._namesake.hear(bytes(message.payload))

    def _on_home_assistant(self, message: MQTTMessage) -> None:
        self._started_again = self._started_again or message.payload == b"online"
