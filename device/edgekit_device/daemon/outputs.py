"""The sinks that are open: exchanged while the daemon runs, and closed side by side."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import msgspec

from edgekit.errors import EdgekitError
from edgekit_device import board
from edgekit_device.config.settings import Settings
from edgekit_device.health import SinkHealth
from edgekit_device.sinks import SinkEntry
from edgekit_device.sinks.base import Host, Sink

# How long the messages in hand may take once a sink is to close.
GRACE = 0.8
# For the thread that closes one to come back.
_SLACK = 0.25


@dataclass(frozen=True)
class _Done:
    """What sinks that are closed have done under a name."""

    sent: int = 0
    dropped: int = 0
    restarts: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    pictures_dropped: int = 0
    takeovers: int = 0
    queued: int = 0

    def and_of(self, sink: Sink) -> "_Done":
        report = sink.report()
        return _Done(
            self.sent + report.sent,
            self.dropped + report.dropped,
            self.restarts + sink.restarts,
            self.refused + Counter(report.refused),
            self.pictures_dropped + report.pictures_dropped,
            self.takeovers + report.takeovers,
            self.queued + report.queued,
        )

    def for_good(self) -> "_Done":
        """The same, when nobody waits any more for what is still in hand."""
        return replace(self, dropped=self.dropped + self.queued, queued=0)


class _State(NamedTuple):
    """Sinks by name: those that take events, the last that did before them, and what others did.

    One that was closed is kept until the next exchange: a delivery may end late, and the worker,
    which does not wait for us, may still hand it an event, which it then counts as dropped.
    """

    open: Mapping[str, Sink] = {}
    left: Mapping[str, Sink] = {}
    closed: Mapping[str, _Done] = {}

    def done(self, name: str) -> _Done:
        """What those that had a name before have done."""
        done = self.closed.get(name, _Done())
        return done.and_of(self.left[name]) if name in self.left else done

    def without(self, names: Collection[str]) -> "_State":
        """The same, but that those which had some names before are kept no longer."""
        done = {name: self.done(name).for_good() for name in names if name in self.left}
        left = {name: sink for name, sink in self.left.items() if name not in names}
        return _State(self.open, left, {**self.closed, **done})


class Outputs:
    """Used by one thread; what it knows may be read by any.

    Args:
        entries: the kinds of sinks there are.
        host: the daemon.
        notify: called with a line for people about what happens.

    Attributes:
        problems: why a sink that is wanted is not open, by its name.
    """

    def __init__(
        self, entries: Sequence[SinkEntry], host: Host, notify: Callable[[str], None]
    ) -> None:
        self.problems: dict[str, str] = {}
        self._entries = entries
        self._host = host
        self._notify = notify
        # Replaced and never altered, because other threads read it.
        self._state = _State()

    @property
    def by_name(self) -> Mapping[str, Sink]:
        """Those that are open."""
        return self._state.open

    @property
    def sinks(self) -> Collection[Sink]:
        """The same, without their names."""
        return self._state.open.values()

    def reports(self) -> dict[str, SinkHealth]:
        """What became of messages, by sink; those that had the name before are counted, too."""
        state, reports = self._state, {}
        for name, sink in state.open.items():
            done, now = state.done(name), sink.report()
            reports[name] = msgspec.structs.replace(
                now,
                sent=done.sent + now.sent,
                dropped=done.dropped + now.dropped,
                queued=done.queued + now.queued,
                refused=dict(done.refused + Counter(now.refused)),
                pictures_dropped=done.pictures_dropped + now.pictures_dropped,
                takeovers=done.takeovers + now.takeovers,
            )
        return reports

    def restarts(self) -> dict[str, int]:
        """How often each sink was cut off and came back."""
        state = self._state
        counts = {
            name: state.done(name).restarts + sink.restarts for name, sink in state.open.items()
        }
        return {name: count for name, count in counts.items() if count}

    def open(self, settings: Settings) -> None:
        """Open all that settings want, without starting them.

        Raises:
            SettingsError: the settings of a sink do not work.
        """
        opened = {entry.name: entry.open(settings, self._host) for entry in self._entries}
        self._state = _State({name: sink for name, sink in opened.items() if sink is not None})

    def start(self) -> None:
        """Begin to deliver; before any other thread is started.

        Raises:
            EdgekitError: a sink cannot work at all.
        """
        # All but the runtime has been imported.
        board.release_library_pages()
        for sink in self.sinks:
            sink.start()

    def changed(self, before: Settings, after: Settings) -> dict[str, Sink | None]:
        """For `exchange`: sinks, not started, that other settings want otherwise, or no more.

        Raises:
            SettingsError: the settings of a sink do not work.
        """
        return {
            entry.name: entry.open(after, self._host)
            for entry in self._entries
            if entry.made_from(before) != entry.made_from(after)
        }

    def exchange(self, changed: Mapping[str, Sink | None]) -> list[Sink]:
        """Close sinks, and start others in their places; those that were closed.

        One that does not start is a problem until it is exchanged again.
        """
        before = self._state.without(changed)
        rest = {name: sink for name, sink in before.open.items() if name not in changed}
        leaving = {name: sink for name, sink in before.open.items() if name in changed}
        coming = {name: sink for name, sink in changed.items() if sink is not None}
        # The new ones take what comes from now on, and deliver it once they are started.
        self._state = _State({**rest, **coming}, {**before.left, **leaving}, before.closed)
        close(leaving.values())
        for name in changed:
            self.problems.pop(name, None)
        for name, sink in coming.items():
            try:
                sink.start()
            # Any: threads and files may have run out.
            except Exception as error:
                self._give_up(name, sink, error)
        return [*leaving.values()]

    def _give_up(self, name: str, sink: Sink, error: Exception) -> None:
        sink.close(0)
        state = self._state.without([name])
        rest = {other: one for other, one in state.open.items() if other != name}
        self._state = _State(rest, {**state.left, name: sink}, state.closed)
        self.problems[name] = f"{in_words(error)}; off until the configuration is read again"
        self._notify(f"{name}: {self.problems[name]}")


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
