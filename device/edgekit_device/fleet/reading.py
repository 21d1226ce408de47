"""Reading what a broker retains, all of it, where MQTT has no mark for the end.

mosquitto keeps 1,000 messages for a client that takes them more slowly than it sends, and drops the
rest without a word: asked for all topics of 5,000 devices at once, it gave us half of them. So they
are asked for in small steps:

1. `PREFIX/+/status`, a few bytes for each device. It is asked for twice, by two filters: a name
   that comes once shows that something was dropped.
2. The other topics of a hundred devices after the other.

Each request is followed by one whose answer the broker sends behind what it had to say (`mark`);
the next waits for that. A broker that sends what it retains in its own time may do so after the
answer: all is in once nothing has come for a while.
"""

import secrets
import time
from collections import Counter, deque
from datetime import UTC, datetime

import msgspec
from paho.mqtt.client import MQTTMessage

from edgekit.errors import OutputError
from edgekit_device.config.settings import MqttSettings
from edgekit_device.fleet.devices import Fleet
from edgekit_device.fleet.payloads import KINDS
from edgekit_device.sinks.mqtt.connection import Connection, OversizedPacketError

PACKET_LIMIT = 1 << 24
"""Bytes of a packet that is received at all; what is too large to decode is then told."""
BATCH = 100
"""Devices whose topics are asked for at once: fewer messages than any broker keeps for a client."""
QUIET = 1.0
"""Seconds without anything retained after which all is taken to be in."""


class Reading:
    """A connection to a broker, and the fleet that it tells of. Belongs to one thread.

    Args:
        settings: with a host.
        timeout: seconds for each step of connecting.

    Attributes:
        fleet: as far as it is known.
        was_complete: whether all that the broker retains was in at some time.
        where: which broker, in words.

    Raises:
        OutputError: the broker cannot be reached, or does not want us.
        ConfigurationError: a certificate, key or password cannot be used.
    """

    def __init__(self, settings: MqttSettings, timeout: float) -> None:
        self.fleet = Fleet()
        self.was_complete = False
        self._prefix = settings.prefix
        self._copies: Counter[int] = Counter()
        self._waiting: deque[str] = deque()
        # With a higher one, a broker keeps a thousand messages for us at most, and drops the rest.
        settings = msgspec.structs.replace(settings, qos=0)
        # No device has a dot in its name: it would lose its connection to us.
        self._connection = Connection(
            settings,
            f"edgekit-fleet.{secrets.token_hex(4)}",
            timeout=timeout,
            packet_limit=PACKET_LIMIT,
        )
        self.where = self._connection.where
        self._connection.hear(self._take)
        self._marks = 0
        self._last = time.monotonic()
        self._twice = f"{self._prefix}/+/status/#"
        self._connection.ask_for([f"{self._prefix}/+/status", self._twice])
        self._mark()

    @property
    def lost(self) -> int:
        """Devices of which the broker has dropped a message: there may be others unknown to us."""
        return sum(1 for count in self._copies.values() if count == 1)

    def turn(self, timeout: float) -> None:
        """Take what comes; return after `timeout` seconds, or earlier.

        Raises:
            OutputError: the connection is lost, or the broker lets us not read.
        """
        try:
            self._connection.turn(timeout)
        except OversizedPacketError as error:
            raise OutputError(
                f"{error}; find it with: mosquitto_sub -t '{self._prefix}/#' --retained-only "
                "-F '%l %t', and remove it"
            ) from error
        if self._connection.refused:
            raise OutputError(
                f"{self.where} lets us not read {self._connection.refused[0]}; allow this user to "
                f"read {self._prefix}/#"
            )
        if self._connection.marks == self._marks and self._waiting:
            names = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            self._connection.ask_for(
                [f"{self._prefix}/{name}/{kind}" for name in names for kind in KINDS]
            )
            self._mark()
        idle = self._connection.marks == self._marks and not self._waiting
        if idle and time.monotonic() - self._last >= QUIET:
            self.was_complete = True

    def read(self, timeout: float) -> None:
        """Read until all is in, for at most `timeout` seconds.

        Raises:
            OutputError: see `turn`.
        """
        deadline = time.monotonic() + timeout
        while not self.was_complete:
            if time.monotonic() > deadline:
                return
            self.turn(0.1)

    def close(self) -> None:
        """Say goodbye."""
        self._connection.close()

    def _mark(self) -> None:
        # The first one ends the second subscription, which has done its work.
        self._connection.mark(self._twice)
        self._marks += 1

    def _take(self, message: MQTTMessage) -> None:
        if message.retain:
            self._last = time.monotonic()
        name, _, kind = message.topic.removeprefix(f"{self._prefix}/").partition("/")
        if message.retain and kind == "status":
            # Their hashes: what others call their topics may be long.
            self._copies[hash(name)] += 1
            if self._copies[hash(name)] > 1:
                return
        heard = None if message.retain else datetime.now(UTC)
        if self.fleet.take(name, kind, bytes(message.payload), heard):
            self._waiting.append(name)
