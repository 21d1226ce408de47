"""Another device with our name: the broker ends the connection of the one when the other connects.

MQTT 3.1.1 does not say why a connection was ended. But each device retains in its topic `device`
who it is, and hears that topic itself. Who has heard its own words there, and finds another's when
it comes back, has a namesake that is connected in between.
"""

import time
from collections import deque
from collections.abc import Callable

from edgekit.files import decode_json
from edgekit_device.health import shown
from edgekit_device.sinks.mqtt.place import INSTANCE, Place

WITHIN = 300.0
"""Seconds in which another has to be met twice, and for which that is told: both wait up to a
minute before they connect again. Once is no proof: a broker that was restored from an older copy
says what an earlier process of ours said."""
_TEXT = 60  # characters
_LONGEST = 1 << 14


class Namesake:
    """Notices another device with our name. Written by one thread, read by any.

    Args:
        name: of the device.
        instance: that this process tells of itself.
        clock: seconds; the monotonic clock.

    Attributes:
        takeovers: how often another was met.
    """

    def __init__(
        self,
        name: str,
        instance: str = INSTANCE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.takeovers = 0
        self._name = name
        self._instance = instance
        self._clock = clock
        self._heard_us = False
        self._other = ""
        self._met: deque[float] = deque(maxlen=2)

    def hear(self, payload: bytes) -> None:
        """Take note of what the topic `device` says."""
        try:
            if len(payload) > _LONGEST:
                return
            place = decode_json(payload, Place)
        # Anybody may have published it; one that is removed is empty.
        except ValueError:
            return
        if place.instance == self._instance:
            self._heard_us = True
        elif self._heard_us:
            self._heard_us = False
            self.takeovers += 1
            self._met.append(self._clock())
            where = f" at {shown(place.address)[:_TEXT]}" if place.address else ""
            self._other = f"{shown(place.host)[:_TEXT]}{where}"

    def forget(self) -> None:
        """The broker cannot be reached: that is no work of another."""
        self._met.clear()

    @property
    def other(self) -> str:
        """Host and address of the other; empty while there is none."""
        met, now = tuple(self._met), self._clock()
        lasts = len(met) == 2 and met[1] - met[0] <= WITHIN and now - met[1] <= WITHIN
        return self._other if lasts else ""

    @property
    def problem(self) -> str | None:
        """What is wrong, and what to do; None while there is no other."""
        if not (other := self.other):
            return None
        return (
            f"another device has the name {self._name}, too: {other}; each ends the other's "
            "connection, so set another `name` on one of them"
        )
