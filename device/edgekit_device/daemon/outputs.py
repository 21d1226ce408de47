"""The sinks that are open: exchanged while the daemon runs, and closed side by side."""

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from edgekit.errors import EdgekitError
from edgekit_device.config.settings import Settings
from edgekit_device.health import SinkHealth
from edgekit_device.sinks import SinkEntry, Snapshot
from edgekit_device.sinks.base import Sink

# How long the messages in hand may take once a sink is to close.
GRACE = 0.8
# For the thread that closes one to come back.
_SLACK = 0.25


class _Done(NamedTuple):
    """What sinks that are closed have done under a name."""

    sent: int = 0
    dropped: int = 0
    restarts: int = 0

    def and_of(self, sink: Sink) -> "_Done":
        report = sink.report()
        return _Done(
            self.sent + report.sent,
            # What waited is lost.
            self.dropped + report.dropped + report.queued,
            self.restarts + sink.restarts,
        )


class Outputs:
    """Used by one thread; `sinks` and `by_name` may be read by any.

    Args:
        entries: the kinds of sinks there are.
        snapshot: how the daemon is now.
        notify: called with a line for people about what happens.

    Attributes:
        by_name: those that are open.
        problems: why a sink that is wanted is not open, by its name.
    """

    def __init__(
        self, entries: Sequence[SinkEntry], snapshot: Snapshot, notify: Callable[[str], None]
    ) -> None:
        self.problems: dict[str, str] = {}
        self._entries = entries
        self._snapshot = snapshot
        self._notify = notify
        # These two are replaced and never altered, because other threads read them.
        self.by_name: Mapping[str, Sink] = {}
        self._closed: Mapping[str, _Done] = {}

    @property
    def sinks(self) -> Collection[Sink]:
        """Those that are open."""
        return self.by_name.values()

    def reports(self) -> dict[str, SinkHealth]:
        """What became of messages, by sink; those that had the name before are counted, too."""
        reports = {}
        for name, sink in self.by_name.items():
            done, now = self._closed.get(name, _Done()), sink.report()
            reports[name] = msgspec.structs.replace(
                now, sent=done.sent + now.sent, dropped=done.dropped + now.dropped
            )
        return reports

    def restarts(self) -> dict[str, int]:
        """How often each sink was cut off and came back."""
        closed = self._closed
        counts = {
            name: closed.get(name, _Done()).restarts + sink.restarts
            for name, sink in self.by_name.items()
        }
        return {name: count for name, count in counts.items() if count}

    def open(self, settings: Settings) -> None:
        """Open all that settings want, without starting them.

        Raises:
            SettingsError: the settings of a sink do not work.
        """
        opened = {entry.name: entry.open(settings, self._snapshot) for entry in self._entries}
        self.by_name = {name: sink for name, sink in opened.items() if sink is not None}

    def changed(self, before: Settings, after: Settings) -> dict[str, Sink | None]:
        """For `exchange`: sinks, not started, that other settings want otherwise, or no more.

        Raises:
            SettingsError: the settings of a sink do not work.
        """
        return {
            entry.name: entry.open(after, self._snapshot)
            for entry in self._entries
            if entry.made_from(before) != entry.made_from(after)
        }

    def exchange(self, changed: Mapping[str, Sink | None]) -> list[Sink]:
        """Close sinks, and start others in their places; those that were closed.

        One that does not start is a problem until it is exchanged again.
        """
        leaving = {name: sink for name, sink in self.by_name.items() if name in changed}
        gone = [*leaving.values()]
        self.by_name = {name: sink for name, sink in self.by_name.items() if name not in changed}
        close(gone)
        done = {
            name: self._closed.get(name, _Done()).and_of(each) for name, each in leaving.items()
        }
        self._closed = {**self._closed, **done}
        for name, sink in changed.items():
            self.problems.pop(name, None)
            if sink is None:
                continue
            try:
                sink.start()
            # Any: threads and files may have run out.
            except Exception as error:
                text = f"{in_words(error)}; off until the configuration is read again"
                self.problems[name] = text
                self._notify(f"{name}: {text}")
            else:
                self.by_name = {**self.by_name, name: sink}
        return gone


def in_words(error: Exception) -> str:
    """What went wrong, where it may be anything."""
    return str(error) if isinstance(error, EdgekitError) else f"unexpected: {error!r}"


def close(sinks: Iterable[Sink]) -> None:
    """Close sinks side by side, so that one that hangs does not cost another its time."""
    threads = [
        threading.Thread(target=sink.close, args=(GRACE,), name=f"close {sink.name}", daemon=True)
        for sink in sinks
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + GRACE + _SLACK
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
