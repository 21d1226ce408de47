"""Progress on a terminal: live bars, or plain lines where it is none; always on stderr."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from edgekit.text import printable
from edgekit_convert.progress import Advance, Reporter


class ConsoleReporter(Reporter):
    """Shows the steps of long work to who typed the command."""

    def __init__(self) -> None:
        super().__init__()
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)

    def note(self, text: str) -> None:
        """Print a line about what the user should know."""
        super().note(text)
        self._console.print(printable(f"edgekit: {text}"), markup=False)

    @contextmanager
    def step(self, title: str, total: int | None = None) -> Iterator[Advance]:
        """As `Reporter.step`; without a terminal, a line when the body is done."""
        with super().step(title, total) as advance:
            yield advance
        if not self._console.is_terminal:
            self._console.print(f"{title}: {self.seconds[title]:.1f} s", markup=False)

    @contextmanager
    def _shown(self, title: str, total: int | None) -> Iterator[Advance]:
        if not self._console.is_terminal:
            yield lambda done: None
            return
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
