"""The newest of each retained topic, and which of them the broker has yet to hear."""

from collections.abc import Iterable

from edgekit_device.sinks.mqtt.messages import Message


class Retained:
    """What the broker is to keep. Whoever uses it from several threads guards it.

    All is published again after each connection: the broker may have forgotten it.
    """

    def __init__(self) -> None:
        self._payloads: dict[str, bytes] = {}
        self._stale: dict[str, None] = {}  # topics in their order

    def __bool__(self) -> bool:
        """Whether the broker has yet to hear something."""
        return bool(self._stale)

    def keep(self, topic: str, payload: bytes) -> None:
        """Keep what a topic is to say now."""
        self._payloads[topic] = payload
        # The newest last: an announcement that allows a label is before the state that has it.
        self._stale.pop(topic, None)
        self._stale[topic] = None

    def payload(self, topic: str) -> bytes | None:
        """What a topic says; None for one of which nothing is kept."""
        return self._payloads.get(topic)

    def say_again(self, topics: Iterable[str] | None = None) -> None:
        """Let the broker hear some topics again; all of them, in their order, if None."""
        if topics is None:
            self._stale = dict.fromkeys(self._payloads)
        else:
            self._stale |= dict.fromkeys(t for t in topics if t in self._payloads)

    def take(self) -> Message | None:
        """The next that the broker has to hear; None where there is none."""
        for topic in self._stale:
            del self._stale[topic]
            return Message(topic, self._payloads[topic], retain=True)
        return None
