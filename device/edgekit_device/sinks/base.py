"""What a sink is, and the queue that keeps a slow one from delaying anybody else."""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from edgekit.inference.classifier import Classifier
from edgekit.inference.events import Event
from edgekit.inference.pipeline import AnyClassifier, Result
from edgekit_device.answers import Answers
from edgekit_device.control import Controller
from edgekit_device.health import Health, SinkHealth
from edgekit_device.pictures import EventPicture

_T = TypeVar("_T")
OVERFLOW = "it is slower than events come: the oldest of those that wait are dropped"
"""The problem of a sink that delivers, but drops events all the same."""
STUCK = "it takes nothing"
"""The problem of a sink whose delivery does not come to its end."""


class Models(Protocol):
    """Opens models; from any thread."""

    def open_again(self, model: AnyClassifier) -> Classifier:
        """Another interpreter of a model in use, on one thread of the CPU; to be closed.

        Args:
            model: in use. In the place of one that an accelerator runs, the one for the CPU is
                opened.

        Raises:
            EdgekitError: it cannot be opened, or its file has been replaced.
        """


@dataclass(frozen=True)
class Host:
    """The daemon, as sinks may use it; from any thread.

    Attributes:
        health: how it is now.
        controller: does what clients ask for; None where nobody can ask.
        models: opens the model in use once more; None where there is none.
        answers: what was answered so far.
    """

    health: Callable[[], Health]
    controller: Controller | None = None
    models: Models | None = None
    answers: Callable[[], Answers] = Answers


class Sink:
    """Takes answers, events and health. Each method returns at once, and may do nothing.

    Attributes:
        name: in health messages and metrics.
        failure: set when it can never deliver again; the daemon then ends with it. A
            `BrokenPipeError` means that its reader has what it wanted.
        restarts: how often it was cut off and came back.
        owes_events: whether each event has to arrive, and `report` counts events.
    """

    name = "sink"
    failure: Exception | None = None
    restarts = 0
    owes_events = False

    def check(self) -> str:
        """Try, instead of `start`, what can be tried without publishing anything.

        Returns:
            Where messages would go, in words.

        Raises:
            EdgekitError: they would not arrive.
        """
        return self.name

    def start(self) -> None:
        """Begin to deliver.

        Raises:
            EdgekitError: it cannot work at all.
        """

    def frame(self, result: Result) -> None:
        """Every frame that was answered, before its event."""

    def event(self, event: Event, picture: EventPicture | None = None) -> None:
        """An event of a frame that was answered, and of a change its picture.

        Keep bytes of the picture, not the picture itself, which holds the frame.
        """

    def health(self, health: Health) -> None:
        """How the daemon is, now and then and whenever its state changes."""

    def report(self) -> SinkHealth:
        """What became of its messages."""
        return SinkHealth(sent=0, dropped=0, queued=0)

    def close(self, timeout: float) -> None:
        """Deliver what waits, for at most `timeout` seconds, and stop; may be called twice."""


class Outbox(Generic[_T]):
    """A bounded queue with a thread that delivers from it.

    Every message handed over is in the end either sent or dropped, and counted once.

    Args:
        name: of the thread.
        deliver: sends one message; called in the thread, one at a time, in order. When it raises,
            the message is dropped and `on_error` gets the exception.
        limit: messages that may wait; when one more comes, the oldest is dropped.
        lossless: drop none: `put` waits until its message was delivered, as long as that takes.
        patience: seconds that a delivery may take before that is a problem.
        on_error: called in the thread; may call `close(0)` to deliver no more.
        clock: seconds; the monotonic clock.
    """

    def __init__(
        self,
        name: str,
        deliver: Callable[[_T], None],
        *,
        limit: int,
        lossless: bool = False,
        patience: float = 5.0,
        on_error: Callable[[Exception], None] = lambda error: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sent = 0
        self._dropped = 0
        self._deliver = deliver
        self._on_error = on_error
        self._limit = limit
        self._lossless = lossless
        self._patience = patience
        self._clock = clock
        self._waiting: deque[_T] = deque()
        # Guards all of the state.
        self._changed = threading.Condition(threading.Lock())
        self._busy_since: float | None = None
        self._overflowed = False  # since nothing waited last
        self._closed = False
        # A daemon thread: a delivery that blocks for ever must not keep the process alive.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def put(self, message: _T) -> None:
        """Hand over a message; without `lossless`, never waits for a delivery.

        Once it is closed, messages are dropped.
        """
        with self._changed:
            if self._closed:
                self._dropped += 1
                return
            if len(self._waiting) >= self._limit:
                self._waiting.popleft()
                self._dropped += 1
                self._overflowed = True
            self._waiting.append(message)
            self._changed.notify_all()
            if self._lossless:
                self._changed.wait_for(lambda: self._closed or not self._queued())

    def report(self, problem: str | None = None) -> SinkHealth:
        """Counts of the messages so far; without another problem, whether they go too slowly."""
        with self._changed:
            if problem is None and self._overflowed:
                problem = OVERFLOW
            elif problem is None and self._busy_since is not None:
                stuck = self._clock() - self._busy_since > self._patience
                problem = STUCK if stuck else None
            return SinkHealth(self._sent, self._dropped, self._queued(), problem)

    def close(self, timeout: float) -> None:
        """Deliver what waits, for at most `timeout` seconds; what is left then is dropped.

        It does not wait for a delivery that takes longer: its thread ends after that one.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            while self._queued() and self._thread.is_alive() and not self._closed:
                if not self._changed.wait(max(0.0, deadline - time.monotonic())):
                    break
            self._closed = True
            self._dropped += len(self._waiting)
            self._waiting.clear()
            self._changed.notify_all()

    def _queued(self) -> int:
        return len(self._waiting) + (self._busy_since is not None)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if not self._waiting:
                    return
                message = self._waiting.popleft()
                self._busy_since = self._clock()
                self._overflowed = self._overflowed and bool(self._waiting)
            error: Exception | None = None
            try:
                self._deliver(message)
            except Exception as raised:
                error = raised
                self._on_error(raised)
            with self._changed:
                self._busy_since = None
                if error is None:
                    self._sent += 1
                else:
                    self._dropped += 1
                self._changed.notify_all()
