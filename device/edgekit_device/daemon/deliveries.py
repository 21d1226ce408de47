"""What becomes of events on their way out: who is away now, and how many never arrived."""

import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from edgekit.errors import DeliveryError, EdgekitError
from edgekit_device.health import SinkHealth
from edgekit_device.sinks.base import Sink

# Seconds without another line about a sink that comes and goes: a journal is not to be flooded.
QUIET = 30.0


@dataclass
class _Watched:
    """What is known of the sinks of a name, of which a reload may open several in a row.

    Attributes:
        sent, lost: events of those that are closed.
        told_lost: events of the open one that are known to be lost.
        away: the problem that was told last; None while it delivers, as far as was told.
        reason: the last problem, told or not.
        told_at: when a line about it was told last, by the clock.
    """

    sent: int = 0
    lost: int = 0
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


class Deliveries:
    """Watches the sinks that owe each event a delivery (`Sink.owes_events`).

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

    def look(self, sinks: Iterable[Sink], *, live: bool) -> None:
        """Note why a sink does not deliver; while `live`, say so once, and when that changes."""
        for watched, sink, report in self._owing(sinks):
            if live:
                self._tell(sink.name, watched, report)

    def close(self, sinks: Iterable[Sink], *, live: bool) -> None:
        """Add up what closed sinks have done; what still waits in them is lost."""
        for watched, sink, report in self._owing(sinks):
            lost = report.dropped + report.queued
            if live and lost > watched.told_lost:
                self._notify(f"{sink.name}: {_lost(lost - watched.told_lost)} as it was closed")
            watched.sent += report.sent
            watched.lost += lost
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
            Loss(name, one.lost, one.sent + one.lost, one.reason or "they were not taken in time")
            for name, one in self._watched.items()
            if one.lost
        ]

    def _owing(self, sinks: Iterable[Sink]) -> Iterable[tuple[_Watched, Sink, SinkHealth]]:
        for sink in sinks:
            # A reader of stdout that has gone had what it wanted.
            if sink.owes_events and not isinstance(sink.failure, BrokenPipeError):
                watched, report = self._watched.setdefault(sink.name, _Watched()), sink.report()
                watched.reason = report.problem or watched.reason
                yield watched, sink, report

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


def _lost(count: int) -> str:
    if not count:
        return "no event was lost"
    return f"{count:,} event{' was' if count == 1 else 's were'} lost"
