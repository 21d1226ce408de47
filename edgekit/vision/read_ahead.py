"""Decode and prepare frames on another core before they are wanted, within bounds of memory."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from edgekit.vision.threads import DriverThread

T = TypeVar("T")

# Of pixels: two frames of 4K, and every small one that MAXIMUM_ITEMS lets in.
MAXIMUM_BYTES = 64 << 20
# Enough to keep a second core at work while one frame takes longer than another.
MAXIMUM_ITEMS = 8
_CLOSE_TIMEOUT = 0.5


class ReadAhead(Iterator[T], Generic[T]):
    """Takes from an iterable in a thread of its own: the same items, in the same order.

    What the iterable raises is raised here, after the items that came before it, and again by
    every further call.

    Args:
        items: iterated over in the thread. The next item is asked for only when there is room for
            one as large as the last, and always when no item waits; once there was none, not before
            half of the places are free.
        size: bytes of an item.
        maximum_bytes, maximum_items: of all items that wait.
    """

    def __init__(
        self,
        items: Iterable[T],
        size: Callable[[T], int],
        *,
        maximum_bytes: int = MAXIMUM_BYTES,
        maximum_items: int = MAXIMUM_ITEMS,
    ) -> None:
        self._size = size
        self._maximum_bytes = maximum_bytes
        self._maximum_items = maximum_items
        self._waiting: deque[T] = deque()
        self._bytes = 0
        self._end: Exception | None = None
        self._changed = threading.Condition()
        self._thread = DriverThread("decode", lambda: self._run(items))

    def wait(self, timeout: float) -> bool:
        """Whether `next` will return or raise at once, within `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(self._is_ready, timeout)

    def __next__(self) -> T:
        """The next item, as soon as it is there.

        Raises:
            StopIteration: there are no more, or this was closed.
            Exception: what the iterable raised.
        """
        with self._changed:
            self._changed.wait_for(self._is_ready)
            if not self._waiting:
                assert self._end is not None
                raise self._end
            item = self._waiting.popleft()
            self._bytes -= self._size(item)
            # One wake-up of the thread for several items: it costs more than all else here.
            if len(self._waiting) <= self._maximum_items // 2:
                self._changed.notify_all()
            return item

    def close(self) -> None:
        """Drop what waits and end the thread; waits half a second at most, may be called twice.

        A thread that hangs in a read ends as soon as that comes back.
        """
        with self._changed:
            self._waiting.clear()
            self._bytes = 0
            self._end = StopIteration()
            self._changed.notify_all()
        self._thread.join(_CLOSE_TIMEOUT)

    def _is_ready(self) -> bool:
        return bool(self._waiting) or self._end is not None

    def _run(self, items: Iterable[T]) -> None:
        end: Exception = StopIteration()
        try:
            for item in items:
                if not self._put(item):
                    return
                # Else it would stay in memory beside the next one.
                del item
        except Exception as error:
            end = error
        with self._changed:
            self._end = self._end or end
            self._changed.notify_all()

    def _put(self, item: T) -> bool:
        """Add an item and wait for room for another like it; False when this was closed."""
        size = self._size(item)
        with self._changed:
            if self._end is None:
                self._waiting.append(item)
                self._bytes += size
                self._changed.notify_all()
            self._changed.wait_for(lambda: self._end is not None or self._has_room(size))
            return self._end is None

    def _has_room(self, size: int) -> bool:
        if not self._waiting:
            return True
        return (
            len(self._waiting) < self._maximum_items and self._bytes + size <= self._maximum_bytes
        )
