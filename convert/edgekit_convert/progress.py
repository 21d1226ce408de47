"""Progress of a conversion: live bars on a terminal, plain lines elsewhere; always on stderr."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from edgekit.text import printable
from edgekit_convert.interruption import check_interrupted

# Called with the number of items done since the last call.
Advance = Callable[[int], None]


class Reporter:
    """Announces the steps of long work, one at a time.

    Attributes:
        seconds: wall-clock time of each step done so far.
        notes: what the user was told beside that.
    """

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self.seconds: dict[str, float] = {}
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        """Print a line about what the user should know."""
        self.notes.append(text)
        self._console.print(printable(f"edgekit: {text}"), markup=False)

    @contextmanager
    def step(self, title: str, total: int | None = None) -> Iterator[Advance]:
        """Show `title` while the body runs; the body reports items done of `total`.

        Raises:
            KeyboardInterrupt: a signal came before it, or while the body ran, and was swallowed.
        """
        check_interrupted()
        start = time.monotonic()
        if self._console.is_terminal:
            columns = (
                TextColumn("{task.description:<38}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
            )
            with Progress(*columns, console=self._console) as bars:
                task = bars.add_task(title, total=total)
                yield lambda done: bars.advance(task, done)
                bars.update(task, total=total or 1, completed=total or 1)
        else:
            yield lambda done: None
        check_interrupted()
        self.seconds[title] = round(time.monotonic() - start, 2)
        if not self._console.is_terminal:
            self._console.print(f"{title}: {self.seconds[title]:.1f} s", markup=False)
