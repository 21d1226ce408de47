"""When to try a part again, and when to give up."""

import time
from collections.abc import Callable

from edgekit_device.backoff import Backoff


class Ladder:
    """Back-off between tries, for as long as patience lasts.

    A part that works and fails again soon has not recovered: patience counts from the first
    failure that followed a steady stretch.

    Args:
        patience: seconds of trying before giving up.
        steady: seconds without a failure after which the next one counts as the first.
        clock: seconds; the monotonic clock.
    """

    def __init__(
        self,
        patience: float,
        steady: float = 30.0,
        backoff: Backoff | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._patience = patience
        self._steady = steady
        self._backoff = backoff or Backoff(0.5, 15.0)
        self._clock = clock
        self._began: float | None = None
        self._worked: float | None = None

    def worked(self) -> None:
        """The part works, now."""
        if self._worked is None:
            self._worked = self._clock()

    def failed(self) -> float | None:
        """The part failed: seconds to wait before the next try, None to give up."""
        now = self._clock()
        if self._worked is not None and now - self._worked >= self._steady:
            self._began = None
        self._worked = None
        if self._began is None:
            self._began = now
            self._backoff.reset()
        delay = self._backoff.next()
        return delay if now - self._began + delay <= self._patience else None
