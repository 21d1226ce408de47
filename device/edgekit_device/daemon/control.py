"""Does what clients ask the daemon for: from any thread, bounded in time and number."""

import contextlib
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

from edgekit.text import one_line
from edgekit_device.config.settings import Settings
from edgekit_device.control import (
    Choice,
    Name,
    Outcome,
    Record,
    RecordingNow,
    Refusal,
    arguments_of,
    is_action,
)
from edgekit_device.daemon.outputs import in_words
from edgekit_device.daemon.pause import Pause
from edgekit_device.daemon.recorder import Recorder
from edgekit_device.daemon.telling import Snapshots
from edgekit_device.health import shown
from edgekit_device.installed import installed_models, request_change
from edgekit_device.sources import is_live

WITHIN = 10.0
"""Seconds that an action of the daemon's own may take until the asker hears that it goes on."""
_POLL = 0.05
_T = TypeVar("_T")
OTHER = "other"
"""What is counted where somebody asked for something that there is not."""


class Allowance:
    """So many at once, and one more after each while.

    Args:
        most: at once.
        seconds: until there is one more.
        clock: seconds; the monotonic clock.
    """

    def __init__(
        self, most: int, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = most
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._left = float(most)
        self._at = clock()

    def take(self) -> bool:
        """Take one; whether there was one."""
        with self._lock:
            now = self._clock()
            self._left = min(self._most, self._left + (now - self._at) / self._seconds)
            self._at = now
            taken = self._left >= 1
            self._left -= taken
            return taken


class Host(Protocol):
    """The daemon, as its control needs it."""

    @property
    def settings(self) -> Settings:
        """What it follows; from any thread."""

    @property
    def rests(self) -> bool:
        """Whether the camera is closed, because it is paused; from any thread."""

    def reload(self) -> str | None:
        """Read the settings again; what was wrong, None for nothing. In its own thread."""


class Control:
    """See `edgekit_device.control.Controller`.

    Args:
        host: the daemon.
        call: calls a function soon, in the daemon's own thread.
        pause: whether it is paused.
        recorder: writes clips.
        snapshots: where events of the next frame come from.
        notify: called with a line for people about what happens.
    """

    def __init__(
        self,
        host: Host,
        call: Callable[[Callable[[], None]], None],
        pause: Pause,
        recorder: Recorder,
        snapshots: Snapshots,
        notify: Callable[[str], None],
    ) -> None:
        self._host = host
        self._call = call
        self._pause = pause
        self._recorder = recorder
        self._snapshots = snapshots
        self._notify = notify
        self._closing = threading.Event()
        # Whoever may ask may do so again and again: neither the daemon nor its journal is flooded.
        self._pace = Allowance(10, 5.0)
        self._lines = Allowance(20, 10.0)
        self._lock = threading.Lock()  # guards these two
        self._untold = 0
        self._counts: dict[str, Counter[str]] = {}
        self._do: Mapping[Name, Callable[[Any, str], Outcome]] = {
            "reload": self._reload,
            "snapshot": self._snapshot,
            "record": self._record,
            "pause": self._begin_pause,
            "resume": self._resume,
            "model": self._model,
            "rollback": self._rollback,
        }

    @property
    def paused(self) -> bool:
        """Whether the daemon is paused, or about to be."""
        return self._pause.wanted

    @property
    def recording(self) -> RecordingNow | None:
        """The clip in progress; None while there is none."""
        return self._recorder.now

    @property
    def recorded(self) -> str:
        """What became of the last clip, in words; empty before."""
        return self._recorder.last

    def counts(self) -> dict[str, dict[str, int]]:
        """How often each action was `done`, `failed` or `refused`."""
        with self._lock:
            return {action: dict(outcomes) for action, outcomes in self._counts.items()}

    def perform(self, name: Name, arguments: Mapping[str, Any], asked_by: str) -> Outcome:
        """See `Controller`."""
        try:
            wanted = arguments_of(name, arguments)
        except ValueError as error:
            return self.refuse(name, asked_by, "wrong", str(error))
        # Whoever wants to be unseen need not wait.
        if name != "pause" and not self._pace.take():
            return self.refuse(name, asked_by, "often", "asked for too often; try again in 5 s")
        try:
            outcome = self._do[name](wanted, asked_by)
        # Any: the daemon goes on as it is.
        except Exception as error:
            outcome = Outcome(False, in_words(error))
        return self._told(name, asked_by, outcome)

    def refuse(self, name: str, asked_by: str, refused: Refusal, message: str) -> Outcome:
        """See `Controller`."""
        return self._told(name, asked_by, Outcome(False, message, refused))

    def obstacle(self, name: Name) -> str | None:
        """See `Controller`."""
        if name == "resume":
            return None if self.paused else "it is not paused"
        if name == "reload":
            return None
        if self.paused:
            return "it is paused: resume it first" if name != "pause" else "it is paused already"
        if name == "pause" and not is_live(self._host.settings):
            return "a recording is worked through; only a camera can be paused"
        if name == "record":
            return self._recorder.obstacle()
        if name in ("model", "rollback"):
            return _no_model(name)
        return None

    def look(self) -> None:
        """Say how many lines were left out of the journal, once there is room for one."""
        if self._untold and self._lines.take():
            with self._lock:
                untold, self._untold = self._untold, 0
            self._notify(f"control: {untold} more requests came, and were not told one by one")

    def close(self, timeout: float) -> None:
        """Let go of all who wait, and finish the clip in progress within so many seconds."""
        self._closing.set()
        self._recorder.end("the daemon was stopped", timeout)

    def _told(self, name: str, asked_by: str, outcome: Outcome) -> Outcome:
        """The outcome, counted, logged and as all may see it."""
        known = name if is_action(name) else OTHER
        outcome = Outcome(outcome.done, shown(outcome.message), outcome.refused)
        how = "done" if outcome.done else "refused" if outcome.refused else "failed"
        with self._lock:
            self._counts.setdefault(known, Counter())[how] += 1
            tell = self._lines.take()
            self._untold += not tell
        if tell:
            asked = one_line(f"{name}, asked by {asked_by}", 200)
            self._notify(f"control: {asked}: {how}: {outcome.message}")
        return outcome

    # What is done.

    def _ask(self, function: Callable[[], Outcome]) -> Outcome:
        """Have the daemon's own thread do something, for it needs no locks."""
        answer: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        self._call(lambda: answer.put(function()))
        return self._await(answer) or self._late("not done")

    def _await(self, answer: queue.SimpleQueue[_T]) -> _T | None:
        """What is put there; None where that takes too long, or the daemon ends."""
        deadline = time.monotonic() + WITHIN
        while not self._closing.is_set() and time.monotonic() < deadline:
            with contextlib.suppress(queue.Empty):
                return answer.get(timeout=_POLL)
        return None

    def _late(self, what: str) -> Outcome:
        if self._closing.is_set():
            return Outcome(False, "the daemon is ending")
        return Outcome(False, f"{what} after {WITHIN:g} s; it may still happen")

    def _reload(self, wanted: object, asked_by: str) -> Outcome:
        def reload() -> Outcome:
            wrong = self._host.reload()
            return Outcome(wrong is None, wrong or "the configuration was read again")

        return self._ask(reload)

    def _snapshot(self, wanted: object, asked_by: str) -> Outcome:
        if (obstacle := self.obstacle("snapshot")) is not None:
            return Outcome(False, obstacle)
        event = self._await(self._snapshots.ask())
        if event is None:
            return self._late("no frame was answered")
        kept = "" if event.picture else "; its picture stays here, because pictures.size is off"
        return Outcome(True, f"event {event.id}{kept}")

    def _record(self, wanted: Record, asked_by: str) -> Outcome:
        obstacle = self.obstacle("record")
        return (
            self._recorder.begin(wanted.seconds) if obstacle is None else Outcome(False, obstacle)
        )

    def _begin_pause(self, wanted: object, asked_by: str) -> Outcome:
        if self.paused and self._host.rests:
            return Outcome(True, "it is paused already")
        if not is_live(self._host.settings):
            return Outcome(False, self.obstacle("pause") or "")
        self._recorder.end("the daemon was paused")
        limits: list[str | None] = []

        def pause() -> Outcome:
            limits.append(self._pause.begin(asked_by))
            return Outcome(True, "")

        begun = self._ask(pause)
        if not begun.done:
            return begun
        deadline = time.monotonic() + WITHIN
        while not self._host.rests:
            if self._closing.wait(_POLL) or time.monotonic() > deadline:
                return self._late("the camera is not closed")
        return Outcome(True, "; ".join(["paused: the camera is closed", *filter(None, limits)]))

    def _resume(self, wanted: object, asked_by: str) -> Outcome:
        def resume() -> Outcome:
            if not self._pause.wanted:
                return Outcome(True, "it is not paused")
            limit = self._pause.end()
            return Outcome(True, "; ".join(["resumed", *filter(None, [limit])]))

        return self._ask(resume)

    def _model(self, wanted: Choice, asked_by: str) -> Outcome:
        obstacle = self.obstacle("model")
        if obstacle is None and wanted.sha256 not in {each.sha256 for each in installed_models()}:
            obstacle = "no such model is installed; see `edgekit service models`"
        if obstacle is not None:
            return Outcome(False, obstacle)
        return request_change("model", wanted.sha256, asked_by)

    def _rollback(self, wanted: object, asked_by: str) -> Outcome:
        obstacle = self.obstacle("rollback")
        if obstacle is not None:
            return Outcome(False, obstacle)
        return request_change("rollback", None, asked_by)


def _no_model(name: Name) -> str | None:
    """Why there is no other model to change to, in words."""
    models = installed_models()
    if not models:
        return "no models are installed here: only the service keeps several"
    if name == "rollback" and not any(model.previous for model in models):
        return "there is no model before this one"
    if name == "model" and len({model.sha256 for model in models}) < 2:
        return "no other model is installed; see `edgekit service install`"
    return None
