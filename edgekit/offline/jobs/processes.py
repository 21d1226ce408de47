"""The same work in several processes of this machine."""

import contextlib
import pickle
import selectors
import subprocess
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

from edgekit import child
from edgekit.errors import EdgekitError, WorkerLostError
from edgekit.offline.jobs.work import Item, Outcome, Work

_T = TypeVar("_T")
_MODULE = "edgekit.offline.jobs.process"
# Seconds that a process which has closed its output has for ending.
_PATIENCE = 5.0


def in_processes(
    work: Work[Item, _T], items: Sequence[Item], jobs: int, done: Callable[[], None]
) -> Iterator[Outcome[_T]]:
    """Do it in `jobs` processes; what comes of the items, in their order.

    A process that ends before it has answered costs the item that it had, of which a
    `WorkerLostError` comes; another takes its place. All end with this iterator.

    Args:
        work: opened once in each.
        items: given out one after another.
        jobs: how many processes.
        done: called as often as an item is done, in whatever order.

    Raises:
        Exception: what nobody foresaw, in a worker.
    """
    opening = pickle.dumps(work)
    waiting = deque(enumerate(items))
    outcomes: dict[int, Outcome[_T]] = {}
    wanted = 0
    with contextlib.closing(_Workers[Item, _T](opening)) as workers:
        for _ in range(min(jobs, len(items))):
            workers.add()
        while wanted < len(items):
            workers.give(waiting)
            for place, outcome in workers.answers():
                outcomes[place] = outcome
                done()
            while wanted in outcomes:
                yield outcomes.pop(wanted)
                wanted += 1


class _Worker(Generic[Item]):
    """A process and what it does now.

    Attributes:
        task: the item it has, and that one's place; None while it has nothing.
        answers: its output.
    """

    def __init__(self, opening: bytes) -> None:
        self._process = child.start(child.python_command(_MODULE))
        self._unsent = opening
        self.task: tuple[int, Item] | None = None
        assert self._process.stdout is not None
        self.answers = self._process.stdout

    def give(self, place: int, item: Item) -> None:
        """Give it an item. That it has ended is found out where its answer is read."""
        assert self._process.stdin is not None
        self.task = place, item
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(self._unsent + pickle.dumps(item))
            self._process.stdin.flush()
        self._unsent = b""

    def end(self, patience: float = 0) -> int:
        """End it, if it does not end by itself within so many seconds; the code that it returns."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(patience)
        self._process.kill()
        with contextlib.suppress(BrokenPipeError), self._process:
            pass
        return self._process.returncode


class _Workers(Generic[Item, _T]):
    """All processes; `close` ends them at once."""

    def __init__(self, opening: bytes) -> None:
        self._opening = opening
        self._workers: list[_Worker[Item]] = []
        self._ready = selectors.DefaultSelector()

    def add(self) -> None:
        """Start one more."""
        worker = _Worker[Item](self._opening)
        self._workers.append(worker)
        self._ready.register(worker.answers, selectors.EVENT_READ, worker)

    def give(self, waiting: deque[tuple[int, Item]]) -> None:
        """Give each that is idle the next of the items."""
        for worker in self._workers:
            if worker.task is None and waiting:
                worker.give(*waiting.popleft())

    def answers(self) -> Iterator[tuple[int, Outcome[_T]]]:
        """What comes next, each with its place.

        Raises:
            Exception: what nobody foresaw, in a worker.
        """
        for key, _ in self._ready.select():
            worker: _Worker[Item] = key.data
            try:
                answer = pickle.load(worker.answers)
            except (EOFError, pickle.UnpicklingError):
                answer = self._replace(worker)
            if isinstance(answer, Exception) and not isinstance(answer, EdgekitError):
                raise answer
            if worker.task is not None:
                yield worker.task[0], answer
            worker.task = None

    def close(self) -> None:
        """End them all."""
        self._ready.close()
        for worker in self._workers:
            worker.end()

    def _replace(self, lost: _Worker[Item]) -> WorkerLostError:
        self._ready.unregister(lost.answers)
        self._workers.remove(lost)
        code = lost.end(_PATIENCE)
        self.add()
        how = child.signal_name(code) or f"exit code {code}"
        remedy = "; is the memory full? fewer --jobs need less" if how == "SIGKILL" else ""
        return WorkerLostError(
            f"the process that had it ended with {how}, and it is not answered{remedy}"
        )
