"""Progress of a conversion: of steps, one at a time, and of what there is to know."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from edgekit_convert.interruption import check_interrupted

# Called with the number of items done since the last call.
Advance = Callable[[int], None]
# Called with the title of a step, the number of items done, and of how many; None where a step
# counts none. Each step's last call has both the same, or 1 of 1.
Progress: TypeAlias = Callable[[str, int, int | None], None]


class Reporter:
    """Announces the steps of long work, one at a time: to a function, or to nobody.

    Attributes:
        seconds: wall-clock time of each step done so far.
        notes: what the user is told beside that.
    """

    def __init__(self, progress: Progress | None = None) -> None:
        self._progress = progress
        self.seconds: dict[str, float] = {}
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        """Keep a line about what the user should know."""
        self.notes.append(text)

    @contextmanager
    def step(self, title: str, total: int | None = None) -> Iterator[Advance]:
        """Announce `title` while the body runs; the body reports items done of `total`.

        Raises:
            KeyboardInterrupt: a signal came before it, or while the body ran, and was swallowed.
        """
        check_interrupted()
        start = time.monotonic()
        with self._shown(title, total) as advance:
            yield advance
        check_interrupted()
        self.seconds[title] = round(time.monotonic() - start, 2)

    @contextmanager
    def _shown(self, title: str, total: int | None) -> Iterator[Advance]:
        done = 0

        def advance(more: int) -> None:
            nonlocal done
            done += more
            if self._progress is not None:
                self._progress(title, done, total)

        advance(0)
        yield advance
        if self._progress is not None and (total is None or done < total):
            self._progress(title, total or 1, total or 1)
