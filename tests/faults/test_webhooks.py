"""A webhook that hangs, drips, fails and lies, while a daemon posts to it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.receiver import Receiver, answer
from tests.faults.running import Running, wait_for
from tests.faults.table import row


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture(scope="module")
def shared(start: Callable[..., Running], model: Path, receiver: Receiver) -> Running:
    """Posts what it sees, about ten times a second."""
    return start(
        top=f'model = "{model}"\nsource = "test:"\nevery-frame = true\nstdout = false',
        webhook=f'url = "{receiver.url}"\ntimeout = 0.5\ntries = 2',
        camera="fps = 10\ntimeout = 5",
    )


@pytest.fixture
def daemon(shared: Running, receiver: Receiver) -> Running:
    """One for all tests, which delivers."""
    receiver.mend()
    shared.is_well()
    _delivers(shared, receiver)
    return shared


def _delivers(daemon: Running, receiver: Receiver) -> None:
    posted, sent = len(receiver.bodies), daemon.health.sinks["webhook"].sent
    wait_for(
        "deliveries",
        lambda: len(receiver.bodies) > posted and daemon.health.sinks["webhook"].sent > sent,
    )


@pytest.mark.parametrize(
    ("name", "says", "drips"),
    [
        ("webhook-hangs", None, False),
        ("webhook-drips", answer("204 No Content"), True),
        ("webhook-fails", answer("500 Internal Server Error"), False),
        ("webhook-busy", answer("429 Too Many Requests", "Retry-After: 1"), False),
        ("webhook-busy", answer("429 Too Many", "Retry-After: Thu, 99 Foo 2026"), False),
        ("webhook-refuses", answer("404 Not Found"), False),
        ("webhook-lies", answer("500 model: /m.tflite is damaged; going on with the one before"),
         False),
    ],
    ids=lambda value: value[:40].decode() if isinstance(value, bytes) else str(value),
)  # fmt: skip
def test_what_it_does_not_take_is_counted_and_told(
    daemon: Running, receiver: Receiver, name: str, says: bytes | None, drips: bool
) -> None:
    fault, before = row(name), daemon.health.sinks["webhook"].dropped
    receiver.misbehave(says, drips=drips)
    daemon.shows(fault)
    if name != "webhook-busy":  # which may wait for longer than a test
        wait_for("a loss", lambda: daemon.health.sinks["webhook"].dropped > before)
    daemon.answers()
    status = daemon.status
    assert status is not None
    # Whatever it says, nobody takes it for words of ours about the model.
    assert status.refused_model is None
    assert set(status.problems) == {"webhook"}
    assert "s3cret" not in str(status)
    assert not daemon.has_said("s3cret")
    receiver.mend()
    daemon.recovers(fault)
    _delivers(daemon, receiver)
