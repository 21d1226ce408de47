"""The few of many that are worth keeping with their pictures."""

import heapq
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Surest(Generic[T]):
    """Keeps those with the highest keys, `maximum` of them; of equal ones those that came first."""

    def __init__(self, maximum: int) -> None:
        self.count = 0
        self._maximum = maximum
        self._kept: list[tuple[Any, int, T]] = []

    def add(self, key: Any, make: Callable[[], T]) -> None:
        """Count one more; it is made only if it is kept."""
        self.count += 1
        place = (key, -self.count)
        if len(self._kept) < self._maximum:
            heapq.heappush(self._kept, (*place, make()))
        elif self._kept and place > self._kept[0][:2]:
            heapq.heapreplace(self._kept, (*place, make()))

    def in_order(self) -> list[T]:
        """Those that were kept, in the order in which they came."""
        return [one for *_, one in sorted(self._kept, key=lambda entry: entry[1], reverse=True)]

    def best(self) -> list[T]:
        """Those that were kept, the highest key first."""
        return [one for *_, one in sorted(self._kept, key=lambda entry: entry[:2], reverse=True)]
