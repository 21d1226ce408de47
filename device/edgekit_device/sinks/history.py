"""Keeps changes and their pictures on the device's own disk, in a thread of its own."""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable

import msgspec

from edgekit.errors import EdgekitError
from edgekit.inference.events import Event
from edgekit.inference.pipeline import Result
from edgekit_device.config.settings import HistorySettings
from edgekit_device.health import Health, SinkHealth
from edgekit_device.history.entries import Item, Note
from edgekit_device.history.folder import Claim, check_folder, damaged_in
from edgekit_device.history.store import Store
from edgekit_device.history.times import milliseconds
from edgekit_device.pictures import EventPicture
from edgekit_device.retry import HISTORY, Retry
from edgekit_device.sinks.base import OVERFLOW, Sink

MEMORY = 8 << 20
"""Bytes of what waits to be written; then the oldest is dropped."""
GATHER = 5.0
"""Seconds for which what happens is gathered, to be written at once: a power cut costs as much."""
STILL = 900.0
"""Seconds from one note that the daemon still watches to the next: a power cut is seen to have
come after the last."""
TIDY = 3600.0
"""Seconds from one look for what has become too old to the next."""
PACE = 0.05
"""Seconds between two steps of removing much."""


class History(Sink):
    """Keeps each change, its picture, and when the daemon was watching.

    What cannot be written now waits, and is tried again for as long as it takes.

    Args:
        settings: with a folder.
        lossless: let whoever brings events wait rather than drop one.
        gather, memory: see `GATHER` and `MEMORY`.
        clock: seconds since 1970.
    """

    name = "history"
    owes_events = True

    def __init__(
        self,
        settings: HistorySettings,
        *,
        lossless: bool = False,
        gather: float = GATHER,
        memory: int = MEMORY,
        clock: Callable[[], float] = time.time,
    ) -> None:
        assert settings.folder is not None
        self._settings = settings
        self._folder = settings.folder
        self._lossless = lossless
        self._gather = gather
        self._memory = memory
        self._clock = clock
        self._encoder = msgspec.json.Encoder()
        self._watching = False
        # Guards everything below.
        self._changed = threading.Condition(threading.Lock())
        self._waiting: deque[Item | Note] = deque()
        self._in_hand: list[Item | Note] = []
        self._bytes = 0
        self._since = 0.0  # when the first of those that wait came
        self._sent = self._dropped = self._left_out = 0
        self._overflowed = False
        self._problem: str | None = None
        self._closing = False
        # Of the thread; times on the monotonic clock.
        self._claim: Claim | None = None
        self._store: Store | None = None
        self._retry = Retry(HISTORY, math.inf)
        self._retry_at = self._tidy_at = -math.inf
        self._still_at = time.monotonic() + STILL
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)

    def check(self) -> str:
        """Where it would be kept; nothing is made or written.

        Raises:
            SettingsError: it could not be.
        """
        return check_folder(self._folder)

    def start(self) -> None:
        """Begin to write; a disk that is full or broken is no error.

        Raises:
            SettingsError: another edgekit writes there, or the folder is not to be used.
        """
        self._claim = Claim(self._folder)
        self._thread.start()

    def frame(self, result: Result) -> None:
        """The daemon watches, since it answers."""
        if not self._watching:
            self._watching = True
            self._put(Note(self._now()))

    def event(self, event: Event, picture: EventPicture | None = None) -> None:
        """Keep a change; with `lossless`, return once there is room for it."""
        if event.event != "change":
            return
        jpeg = sees = None
        size = self._settings.pictures
        if picture is not None and size != "off":
            jpeg = picture.jpeg(size, marked=False)
        if picture is not None and jpeg is not None:
            sees = self._encoder.encode(picture.sees).decode()
        text = self._encoder.encode(event).decode()
        self._put(Item(event.id, milliseconds(event.ts), event.label, text, sees, jpeg))

    def health(self, health: Health) -> None:
        """Note when the daemon no longer watches, and why."""
        if self._watching and health.state not in ("running", "degraded"):
            self._watching = False
            self._put(Note(self._now(), health.state))

    def report(self) -> SinkHealth:
        """Changes kept, dropped and waiting."""
        with self._changed:
            queued = _events(self._in_hand) + _events(self._waiting)
            problem = self._problem or (OVERFLOW if self._overflowed else None)
            return SinkHealth(self._sent, self._dropped, queued, problem)

    def close(self, timeout: float) -> None:
        """Write what waits, for at most `timeout` seconds, and stop."""
        if self._watching:
            self._watching = False
            self._put(Note(self._now(), "off"))
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join(timeout)
        with self._changed:
            self._dropped += _events(self._waiting)
            self._waiting.clear()
            if not self._thread.is_alive():
                self._dropped += _events(self._in_hand)
                self._in_hand = []

    def _now(self) -> int:
        return round(1000 * self._clock())

    def _put(self, entry: Item | Note) -> None:
        with self._changed:
            if self._lossless:
                self._changed.wait_for(lambda: self._closing or self._has_room(entry))
            if self._closing:
                self._dropped += isinstance(entry, Item)
                return
            while self._waiting and not self._has_room(entry):
                gone = self._waiting.popleft()
                self._bytes -= gone.size
                self._dropped += isinstance(gone, Item)
                self._overflowed = True
            if not self._waiting:
                self._since = time.monotonic()
            self._waiting.append(entry)
            self._bytes += entry.size
            self._changed.notify_all()

    def _has_room(self, entry: Item | Note) -> bool:
        return not self._bytes or self._bytes + entry.size <= self._memory

    # Called in the thread.

    def _run(self) -> None:
        try:
            while not self._wait():
                self._work()
            self._retry_at = -math.inf
            self._work()
        finally:
            if self._store is not None:
                self._store.close()
            if self._claim is not None:
                self._claim.release()

    def _wait(self) -> bool:
        """Wait until something is to be done; whether that is the end."""
        with self._changed:
            while not self._closing and (seconds := self._seconds()) > 0:
                self._changed.wait(seconds)
            return self._closing

    def _seconds(self) -> float:
        """Seconds until something is to be done."""
        due = min(self._tidy_at, self._still_at)
        if self._in_hand or self._bytes > self._memory // 2:
            due = -math.inf
        elif self._waiting:
            due = min(due, self._since + self._gather)
        return max(due, self._retry_at) - time.monotonic()

    def _work(self) -> None:
        try:
            store = self._store = self._store or self._open()
            # What comes meanwhile waits for more, so that writes stay few.
            due = len(self._waiting)
            while True:
                due -= self._take(due, store.largest)
                if not self._in_hand:
                    break
                store.write(self._in_hand, self._now())
                self._let_go()
            now = time.monotonic()
            if self._watching and now >= self._still_at:
                store.write([Note(self._now())], self._now())
            if now >= self._still_at:
                self._still_at = now + STILL
            if now >= self._tidy_at:
                self._tidy_at = now + (PACE if store.tidy() else TIDY)
        # Any: the disk may be full, broken or gone, and the thread is to go on.
        except Exception as error:
            self._fail(error)
        else:
            self._retry.worked()
            self._say(None)

    def _open(self) -> Store:
        store = Store(self._folder, self._settings.days, self._settings.megabytes)
        if self._watching:
            store.write([Note(self._now())], self._now())
        return store

    def _take(self, count: int, largest: int) -> int:
        """Take in hand what is written at once, so many of those that wait at most; how many."""
        taken = 0
        with self._changed:
            size = sum(entry.size for entry in self._in_hand)
            while (
                taken < count
                and self._waiting
                and (not size or size + self._waiting[0].size <= largest)
            ):
                entry = self._waiting.popleft()
                taken += 1
                if entry.size > largest and isinstance(entry, Item):
                    self._bytes -= entry.size
                    entry = entry.without_picture()
                    self._bytes += entry.size
                    self._left_out += 1
                self._in_hand.append(entry)
                size += entry.size
        return taken

    def _let_go(self) -> None:
        with self._changed:
            self._bytes -= sum(entry.size for entry in self._in_hand)
            self._sent += _events(self._in_hand)
            self._in_hand = []
            self._since = time.monotonic()
            self._overflowed = self._overflowed and bool(self._waiting)
            self._changed.notify_all()

    def _fail(self, error: Exception) -> None:
        if self._store is not None:
            self._store.close()
        self._store = None
        self._retry_at = time.monotonic() + (self._retry.failed() or 0.0)
        self._say(str(error) if isinstance(error, EdgekitError) else f"unexpected: {error!r}")

    def _say(self, problem: str | None) -> None:
        if problem is None and (damaged := damaged_in(self._folder)):
            problem = (
                f"{damaged[-1]} was damaged, and another was begun; remove it when you do not want "
                "to look into it"
            )
        if problem is None and self._left_out:
            problem = (
                f"{self._left_out} pictures were left out, which are too large for "
                f"history.megabytes = {self._settings.megabytes}; raise it, or set "
                'history.pictures = "small"'
            )
        with self._changed:
            self._problem = problem


def _events(entries: Iterable[Item | Note]) -> int:
    return sum(isinstance(entry, Item) for entry in entries)
