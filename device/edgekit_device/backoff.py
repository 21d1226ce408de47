"""How long to wait before the next try."""

import random
from collections.abc import Callable


class Backoff:
    """Delays that grow with each failure, spread at random.

    Many devices that lose the same broker then do not all come back at the same moment.

    Args:
        first: the first delay, in seconds.
        most: no delay is longer, in seconds.
        factor: growth from each delay to the next.
        jitter: the part of a delay, in [0, 1], that is drawn at random.
        draw: draws from [0, 1).
    """

    def __init__(
        self,
        first: float,
        most: float,
        factor: float = 2.0,
        jitter: float = 0.5,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._first = first
        self._most = most
        self._factor = factor
        self._jitter = jitter
        self._draw = draw
        self._next = first

    def next(self) -> float:
        """Seconds to wait now; the next call gives more."""
        delay = min(self._next, self._most)
        self._next = min(delay * self._factor, self._most)
        return delay * (1 - self._jitter * self._draw())

    def reset(self) -> None:
        """Begin with the first delay again."""
        self._next = self._first
