"""Which pictures are published when, and what a broker that ends the connection at them gets."""

from typing import Any

import pytest
from edgekit_device.config.settings import MqttSettings
from edgekit_device.sinks.mqtt.pictures import COUNT, OVERFLOW, PATIENCE, TRIES, Pictures
from edgekit_device.sinks.mqtt.topics import Topics
from paho.mqtt.enums import MQTTErrorCode

from tests.device.sinks.clock import Clock

TOPICS = Topics.of(MqttSettings(host="h"), "pi")
P = "edgekit/pi/picture"


class Info:
    rc = MQTTErrorCode.MQTT_ERR_SUCCESS

    def __init__(self) -> None:
        self.acknowledged = False

    def is_published(self) -> bool:
        return self.acknowledged


class Broker:
    """A connection; acknowledges what is smaller than a limit, and ends at what is not."""

    def __init__(self, pictures: Pictures, limit: int = 1 << 20) -> None:
        self.sent: list[tuple[str, bytes, bool]] = []
        self.pictures = pictures
        self.limit = limit
        self.ends = 0

    def publish(self, topic: str, payload: bytes, retain: bool, *, acknowledged: bool) -> Info:
        assert acknowledged
        self.sent.append((topic, payload, retain))
        self.last = Info()
        return self.last

    def take_all(self) -> list[str]:
        """Publish all there is, for so many connections as that takes; the topics that arrived."""
        arrived = []
        self.pictures.connected()
        while True:
            before = len(self.sent)
            self.pictures.publish(self, alone=True)  # type: ignore[arg-type]
            if len(self.sent) == before:
                return arrived
            topic, payload, _ = self.sent[-1]
            if len(payload) < self.limit:
                self.last.acknowledged = True
                self.pictures.settle()
                arrived.append(topic)
            else:
                self.ends += 1
                self.pictures.take_back()
                self.pictures.connected()


@pytest.fixture
def pictures(clock: Clock) -> Pictures:
    return Pictures(TOPICS, "small", clock)


def test_each_goes_beside_its_event_and_the_newest_is_retained(pictures: Pictures) -> None:
    pictures.put("1", b"one")
    pictures.put("2", b"two")
    broker = Broker(pictures)
    broker.take_all()
    assert broker.sent == [(f"{P}/1", b"one", False), (f"{P}/2", b"two", False), (P, b"two", True)]
    assert not pictures.waiting
    # Another broker, or one that has forgotten.
    assert broker.take_all() == [P]


def test_one_is_under_way_at_a_time(pictures: Pictures) -> None:
    pictures.put("1", b"one")
    broker: Any = Broker(pictures)
    pictures.publish(broker, alone=True)
    pictures.publish(broker, alone=True)
    assert len(broker.sent) == 1 and pictures.waiting


def test_off_takes_away_what_an_earlier_run_has_left_and_sends_nothing() -> None:
    pictures = Pictures(TOPICS, "off")
    pictures.put("1", b"one")  # made just before they were switched off
    broker = Broker(pictures)
    broker.take_all()
    assert broker.sent == [(P, b"", True)]
    assert not broker.take_all()


def test_too_many_are_counted_and_told_until_none_waits(pictures: Pictures) -> None:
    for number in range(COUNT + 2):
        pictures.put(str(number), b"x")
    assert (pictures.dropped, pictures.problem) == (2, OVERFLOW)
    assert Broker(pictures).take_all()[0] == f"{P}/2"
    assert (pictures.dropped, pictures.problem) == (2, None)


def test_one_that_a_connection_ended_at_is_sent_again(pictures: Pictures) -> None:
    pictures.put("1", b"one")
    pictures.put("2", b"two")
    broker: Any = Broker(pictures)
    pictures.publish(broker, alone=True)
    pictures.take_back()
    assert broker.take_all() == [f"{P}/1", f"{P}/2", P]
    assert pictures.dropped == 0


def test_a_broker_that_ends_at_a_picture_does_so_a_few_times(pictures: Pictures) -> None:
    pictures.put("1", bytes(500))
    pictures.put("2", bytes(50))
    pictures.put("3", bytes(700))
    broker = Broker(pictures, limit=100)
    # None is left there that would pass for the newest.
    assert broker.take_all() == [f"{P}/2", P]
    assert broker.sent[-1] == (P, b"", True)
    assert (broker.ends, pictures.dropped) == (TRIES, 2)
    assert "at a picture of 500 bytes" in (pictures.problem or "")
    pictures.put("4", bytes(500))
    assert broker.take_all() == [P]
    assert (broker.ends, pictures.dropped) == (TRIES, 3)


def test_later_it_is_tried_again(pictures: Pictures, clock: Clock) -> None:
    pictures.put("1", bytes(500))
    broker = Broker(pictures, limit=100)
    broker.take_all()
    clock.now += PATIENCE + 1
    broker.limit = 1000
    pictures.put("2", bytes(500))
    assert broker.take_all() == [f"{P}/2", P]
    assert pictures.problem is None


def test_after_a_connection_ended_at_one_the_next_goes_when_nothing_else_could_be_the_reason(
    pictures: Pictures,
) -> None:
    pictures.put("1", b"one")
    broker: Any = Broker(pictures)
    pictures.publish(broker, alone=False)
    pictures.take_back()
    pictures.publish(broker, alone=False)
    assert len(broker.sent) == 1
    assert broker.take_all() == [f"{P}/1", P]
    pictures.put("2", b"two")
    pictures.publish(broker, alone=False)
    assert broker.sent[-1] == (f"{P}/2", b"two", False)


def test_a_broker_that_does_not_let_the_topic_be_emptied_is_not_asked_for_ever() -> None:
    pictures = Pictures(TOPICS, "off")
    broker = Broker(pictures, limit=0)
    assert broker.take_all() == []
    assert broker.ends == TRIES
    assert "an earlier run" in (pictures.problem or "")
    assert not pictures.waiting


def test_what_waits_at_the_end_is_counted(pictures: Pictures) -> None:
    pictures.put("1", b"one")
    pictures.give_up()
    assert pictures.dropped == 1
