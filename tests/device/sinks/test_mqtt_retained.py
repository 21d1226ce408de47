"""What the broker has yet to hear, in its order."""

from edgekit_device.sinks.mqtt.retained import Retained


def _said(retained: Retained) -> list[tuple[str, bytes]]:
    found = []
    while (message := retained.take()) is not None:
        assert message.retain
        found.append((message.topic, message.payload))
    return found


def test_only_the_newest_is_said_and_once() -> None:
    retained = Retained()
    retained.keep("a", b"1")
    retained.keep("a", b"2")
    assert retained and _said(retained) == [("a", b"2")]
    assert not retained and not _said(retained) and retained.payload("a") == b"2"


def test_what_is_newest_is_said_last() -> None:
    # A state with another model's label has to come behind the announcement that allows it.
    retained = Retained()
    for topic in ("state", "announcement", "state"):
        retained.keep(topic, topic.encode())
    assert [topic for topic, _ in _said(retained)] == ["announcement", "state"]


def test_all_or_some_are_said_again_and_what_is_not_kept_is_not() -> None:
    retained = Retained()
    for topic in "abc":
        retained.keep(topic, b"")
    _said(retained)
    retained.say_again(["c", "x"])
    assert [topic for topic, _ in _said(retained)] == ["c"]
    retained.say_again()
    assert [topic for topic, _ in _said(retained)] == ["a", "b", "c"]
