"""What sinks are told of each frame that was answered."""

import queue
from collections.abc import Callable, Iterable

from edgekit.inference.events import Event, State
from edgekit.inference.pipeline import Pipeline, Result
from edgekit_device.config.settings import PictureSize
from edgekit_device.daemon.drift import DriftWatch
from edgekit_device.daemon.pictures import Pictures
from edgekit_device.daemon.statistics import Statistics
from edgekit_device.sinks.base import Sink


class Snapshots:
    """Those who wait for an event of the next frame, from any thread."""

    def __init__(self) -> None:
        # Of a list and a queue, one operation each is all that needs no lock.
        self._waiting: list[queue.SimpleQueue[Event]] = []

    def ask(self) -> queue.SimpleQueue[Event]:
        """Where the event of the next frame that is answered will be."""
        place: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._waiting.append(place)
        return place

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def give(self, event: Event) -> None:
        """Give an event to all who wait."""
        while self._waiting:
            self._waiting.pop().put(event)


class Teller:
    """Tells sinks of answers, and counts that; for the thread that infers.

    Args:
        sinks: gives the sinks of the moment.
        statistics: counted into.
        drift: sees what is answered.
        snapshots: who waits for one.
        notify: called with a line for people about what happens.

    Attributes:
        problems: what is not as it should be, by part.
    """

    def __init__(
        self,
        sinks: Callable[[], Iterable[Sink]],
        statistics: Statistics,
        drift: DriftWatch,
        snapshots: Snapshots,
        notify: Callable[[str], None],
    ) -> None:
        self.problems: dict[str, str] = {}
        self._sinks = sinks
        self._statistics = statistics
        self._drift = drift
        self._snapshots = snapshots
        self._pictures = Pictures(self.problems, statistics, notify)

    def tell(self, result: Result, pipeline: Pipeline, state: State, size: PictureSize) -> None:
        """Tell of a frame, and of its event where it has one.

        Args:
            result: what was answered.
            pipeline: what answered.
            state: of who answers.
            size: of pictures that may leave the device.
        """
        self._statistics.answers.count(result)
        wanted = bool(self._snapshots)
        pictured = wanted or result.verdict.event == "change"
        picture = self._pictures.of(result, size) if pictured else None
        goes = picture is not None and picture.published is not None
        event = pipeline.event(result, state, picture=goes, snapshot=wanted)
        for sink in self._sinks():
            sink.frame(result)
            if event is not None:
                sink.event(event, picture)
        if wanted and event is not None:
            self._snapshots.give(event)
        self._statistics.events += event is not None
        self._drift.update(result)
