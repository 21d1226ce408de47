"""The pictures that wait for the broker: each beside its event, and the newest, retained.

A broker may end the connection at a picture larger than it takes, and says so to no client of MQTT
3.1.1. So pictures go after all that is small, one at a time and acknowledged: then it can be told.
"""

import math
import time
from collections.abc import Callable
from typing import NamedTuple

from paho.mqtt.client import MQTTMessageInfo

from edgekit_device.config.settings import PictureSize
from edgekit_device.pictures import KeptPictures
from edgekit_device.sinks.mqtt.connection import Connection, has_arrived
from edgekit_device.sinks.mqtt.topics import Topics

COUNT, BYTES = 16, 4 << 20
"""Pictures that may wait, and their bytes; then the oldest is dropped."""
TRIES = 3
"""Connections that end in a row while a picture is under way, before such pictures are left out."""
PATIENCE = 3600.0
"""Seconds for which they are."""
OVERFLOW = "pictures come faster than it takes them: the oldest of those that wait are dropped"


class _Sent(NamedTuple):
    event_id: str | None  # None for the retained one
    jpeg: bytes
    info: MQTTMessageInfo
    time: float


class Pictures:
    """Used by one thread at a time.

    Args:
        topics: of the device.
        size: `off` takes what an earlier run has left away from the broker, and nothing more.
        clock: seconds; the monotonic clock.
    """

    def __init__(
        self, topics: Topics, size: PictureSize, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._topics = topics
        self._off = size == "off"
        self._clock = clock
        self._waiting = KeptPictures(COUNT, BYTES)
        self._newest: bytes | None = b"" if self._off else None
        self._stale = self._off  # whether the broker is to be told the newest
        self._underway: _Sent | None = None
        self._left_out = 0
        self._overflowed = False  # since no picture waited last
        # Ends of connections in a row; the least bytes that are left out, and until when.
        self._lost = 0
        self._limit: int | None = None
        self._again_at = 0.0

    @property
    def dropped(self) -> int:
        """Pictures that their events went without."""
        return self._waiting.gone + self._left_out

    @property
    def problem(self) -> str | None:
        """Why pictures are not all published now."""
        if self._limit:
            return (
                f"the broker ends the connection at a picture of {self._limit:,} bytes: from that "
                'size on they are left out; set pictures.size = "small", or let it take more'
            )
        if self._limit == 0:
            return (
                f"the broker ends the connection when {self._topics.own('picture')} is emptied: a "
                "picture of an earlier run may be left there; let the broker allow that topic"
            )
        return OVERFLOW if self._overflowed else None

    @property
    def waiting(self) -> bool:
        """Whether some are to be published, or acknowledged."""
        return bool(self._waiting) or self._stale or self._underway is not None

    @property
    def since(self) -> float:
        """When the one under way was sent, on the monotonic clock; infinite while none is."""
        return self._underway.time if self._underway else math.inf

    def put(self, event_id: str, jpeg: bytes) -> None:
        """The picture of an event that was handed over."""
        # A picture that was encoded just before they were switched off may still come.
        if self._off:
            return
        gone = self._waiting.gone
        self._waiting.put(event_id, jpeg)
        self._overflowed = self._overflowed or self._waiting.gone > gone
        self._newest, self._stale = jpeg, True

    def connected(self) -> None:
        """The broker may have forgotten the newest."""
        self._stale = self._stale or bool(self._newest)

    def publish(self, connection: Connection, *, alone: bool) -> None:
        """Begin to send the next one, unless one is under way.

        Args:
            connection: to send it on.
            alone: whether nothing else is to be acknowledged. Once a connection has ended at a
                picture that is waited for: if the next one does, nothing else can be the reason.
        """
        if self._underway is not None or (self._lost and not alone):
            return
        if (found := self._next()) is not None:
            event_id, jpeg = found
            topic = "picture" if event_id is None else f"picture/{event_id}"
            info = connection.publish(
                self._topics.own(topic), jpeg, retain=event_id is None, acknowledged=True
            )
            self._underway = _Sent(event_id, jpeg, info, self._clock())

    def _next(self) -> tuple[str | None, bytes] | None:
        if self._limit is not None and self._clock() > self._again_at:
            self._limit = None
        while (found := self._waiting.take_oldest()) is not None:
            if self._fits(found[1]):
                return found
            self._left_out += 1
        self._overflowed = False
        if not self._stale or self._newest is None:
            return None
        self._stale = False
        if not self._fits(self._newest):
            # Better none than one from before, which would pass for the newest.
            self._newest = b""
        return (None, self._newest) if self._fits(self._newest) else None

    def _fits(self, jpeg: bytes) -> bool:
        return self._limit is None or len(jpeg) < self._limit

    def settle(self) -> None:
        """Take note of what the broker has acknowledged."""
        if self._underway is not None and has_arrived(self._underway.info):
            self._underway = None
            self._lost = 0

    def take_back(self) -> None:
        """The connection has ended; what was under way waits again."""
        sent, self._underway = self._underway, None
        if sent is None:
            return
        self._lost += 1
        if self._lost >= TRIES:
            self._lost = TRIES - 1  # later, one more try will do
            self._limit = len(sent.jpeg)
            self._again_at = self._clock() + PATIENCE
        if sent.event_id is None:
            self._stale = True
        else:
            self._waiting.put(sent.event_id, sent.jpeg, oldest=True)

    def give_up(self) -> None:
        """Nothing is published any more."""
        self._waiting.give_up()
