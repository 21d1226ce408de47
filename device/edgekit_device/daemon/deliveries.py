"""What becomes of events on their way out: who is away now, and how many never arrived."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from weakref import WeakSet

from edgekit.errors import DeliveryError, EdgekitError
from edgekit_device.health import SinkHealth
from edgekit_device.sinks.base import Sink

# Seconds without another line about a sink that comes and goes: a journal is not to be flooded.
QUIET = 30.0


@dataclass
class _Watched:
    """What is known of the sinks of a name, of which a reload may open several in a row.

    Attributes:
        sent, lost, restarts, refused: counts of those that are closed.
        missing: those of the lost that were owed.
        told_lost: events of the open one that are known to be lost.
        away: the problem that was told last; None while it delivers, as far as was told.
        reason: the last problem, told or not.
        told_at: when a line about it was told last, by the clock.
    """

    sent: int = 0
    lost: int = 0
    missing: int = 0
    restarts: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    told_lost: int = 0
    away: str | None = None
    reason: str | None = None
    told_at: float = float("-inf")


@dataclass(frozen=True)
class Loss:
    """Events that a sink did not deliver: how many of how many, and why."""

    sink: str
    lost: int
    total: int
    reason: str

    @property
    def count(self) -> str:
        """How many of how many, as a sentence."""
        return f"{self.lost:,} of {self.total:,} events were not delivered"

    def __str__(self) -> str:
        return f"{self.sink}: {self.count}: {self.reason}"


@dataclass(frozen=True)
class Delivered:
    """What became of messages since the start: counts that never fall.

    Attributes:
        sinks: by the names of those that are open.
        restarts: of those that had any.
    """

    sinks: dict[str, SinkHealth]
    restarts: dict[str, int]


class Deliveries:
    """Adds up what sinks have done, those that a reload has closed included, and watches them.

    What it says, and concludes, is of the sinks that owe each event a delivery
    (`Sink.owes_events`).

    Args:
        notify: called with a line for people.
        clock: seconds; the monotonic clock.
    """

    def __init__(
        self, notify: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._notify = notify
        self._clock = clock
        self._watched: dict[str, _Watched] = {}
        # Guards the counts of closed sinks, and which sinks are in them; health is asked for by
        # other threads, which may hold on to a sink that was closed meanwhile.
        self._lock = threading.Lock()
        self._closed: WeakSet[Sink] = WeakSet()

    def report(self, sinks: Mapping[str, Sink]) -> Delivered:
        """The sinks as they are, with the counts of all that had their names; from any thread."""
        with self._lock:
            delivered = Delivered({}, {})
            for name, sink in sinks.items():
                before = self._watched.get(name) or _Watched()
                now, restarts = sink.report(), sink.restarts
                if sink in self._closed:
                    now, restarts = SinkHealth(0, 0, 0, now.problem), 0
                delivered.sinks[name] = SinkHealth(
                    now.sent + before.sent,
                    now.dropped + before.lost,
                    now.queued,
                    now.problem,
                    dict(before.refused + Counter(now.refused)),
                )
                if restarts + before.restarts:
                    delivered.restarts[name] = restarts + before.restarts
            return delivered

    def look(self, sinks: Iterable[Sink], *, live: bool) -> None:
        """Note why a sink does not deliver; while `live`, say so once, and when that changes."""
        for sink in filter(_owes, sinks):
            report = sink.report()
            with self._lock:
                watched = self._watched.setdefault(sink.name, _Watched())
            watched.reason = report.problem or watched.reason
            if live:
                self._tell(sink.name, watched, report)

    def close(self, sinks: Iterable[Sink], *, live: bool) -> None:
        """Add up what closed sinks have done; what still waits in them is lost."""
        for sink in sinks:
            with self._lock:
                watched, report = self._watched.setdefault(sink.name, _Watched()), sink.report()
                lost = report.dropped + report.queued
                watched.sent += report.sent
                watched.lost += lost
                watched.missing += lost if _owes(sink) else 0
                watched.restarts += sink.restarts
                watched.refused += Counter(report.refused)
                watched.reason = report.problem or watched.reason
                self._closed.add(sink)
            if live and _owes(sink) and lost > watched.told_lost:
                self._notify(f"{sink.name}: {_lost(lost - watched.told_lost)} as it was closed")
            watched.told_lost, watched.away = 0, None

    def conclude(
        self, failure: Exception | None, sinks: Collection[Sink], *, stopped: bool
    ) -> Exception | None:
        """What a daemon has to end with, after its sinks were closed.

        Args:
            failure: why it ended; None where its work was done, or it was stopped.
            sinks: those it had at last.
            stopped: whether it was asked to end: what is lost is then said, and no failure.
        """
        self.close(sinks, live=False)
        losses = self._losses()
        if losses and failure is None and not stopped:
            text = "; ".join(map(str, losses))
            return DeliveryError(f"{text}; see to that, and run it again")
        failed = next((sink.name for sink in sinks if sink.failure is failure is not None), None)
        for loss in losses:
            if loss.sink == failed and isinstance(failure, EdgekitError):
                failure = type(failure)(f"{failure}; {loss.count}")
            else:
                self._notify(str(loss))
        return failure

    def _losses(self) -> list[Loss]:
        return [
            Loss(
                name, one.missing, one.sent + one.lost, one.reason or "they were not taken in time"
            )
            for name, one in self._watched.items()
            if one.missing
        ]

    def _tell(self, name: str, watched: _Watched, report: SinkHealth) -> None:
        now = self._clock()
        quiet = now - watched.told_at < QUIET
        lost = report.dropped - watched.told_lost
        if report.problem is not None:
            if quiet or report.problem == watched.away:
                return
            line = report.problem
        elif watched.away is not None:
            line = f"delivers again; {_lost(lost)}"
        elif lost and not quiet:
            line = _lost(lost)
        else:
            return
        watched.away, watched.told_at = report.problem, now
        if report.problem is None:
            watched.told_lost = report.dropped
        self._notify(f"{name}: {line}")


def _owes(sink: Sink) -> bool:
    # A reader of stdout that has gone had what it wanted.
    return sink.owes_events and not isinstance(sink.failure, BrokenPipeError)


def _lost(count: int) -> str:
    if not count:
        return "no event was lost"
    return f"{count:,} event{' was' if count == 1 else 's were'} lost"
