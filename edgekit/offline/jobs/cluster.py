"""The same work on the workers of a Dask cluster.

Dask sends Python objects as pickles, so that whoever may speak to the scheduler can run code on all
that take part: it has to be trusted. Encryption and who may join are Dask's own settings.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from edgekit import __version__
from edgekit.errors import EdgekitError, SettingsError, WorkerLostError
from edgekit.offline.jobs.model_source import versions
from edgekit.offline.jobs.work import Item, Outcome, Work, outcome
from edgekit.text import listed, one_line

_T = TypeVar("_T")
# Seconds: for the scheduler to answer; between looks at the workers; without any of them.
_CONNECT, _LOOK, _ALONE = 10.0, 1.0, 30.0
# Of each worker, so that one which ends early is replaced by another as soon as it is done.
_AHEAD = 2
# Items that an error names.
_NAMED = 3


class _Task:
    """What travels to a worker once: the work, and what has to be the same there."""

    def __init__(self, work: Work[Item, _T]) -> None:
        self.work = work
        self.versions = versions()
        self.answers = work.source.answers_sha256()

    def refusal(self) -> str:
        """Why this process must not take part; empty where it may."""
        there = versions()
        others = [name for name, known in self.versions.items() if there[name] != known]
        if others:
            told = ", ".join(f"{name} {there[name]}, not {self.versions[name]}" for name in others)
            return f"it has {told}; install the same versions there"
        try:
            same = self.work.source.answers_sha256() == self.answers
        except EdgekitError as error:
            return str(error)
        return (
            ""
            if same
            else "the model answers otherwise there, in the last digits at least: its "
            "processor or runtime is another; use workers of one kind, and start this on such a one"
        )


# By thread: the task that it last did, and what does it. An interpreter serves one thread.
_open: dict[int, tuple[str, Callable[[Any], Any]]] = {}


def on_cluster(
    work: Work[Item, _T], items: Sequence[Item], address: str, done: Callable[[], None]
) -> Iterator[Outcome[_T]]:
    """Do it on the workers of a scheduler; what comes of the items, in their order.

    Args:
        work: opened once in each thread of each worker.
        items: given out one after another.
        address: of the scheduler, `tcp://host:8786` say.
        done: called as often as an item is done, in whatever order.

    Raises:
        SettingsError: Dask is not installed, nobody answers, there are no workers, or one of them
            would give other results.
        WorkerLostError: all workers went away.
    """
    try:
        import distributed
        from distributed.comm.addressing import get_address_host_port
    except ImportError as error:
        raise SettingsError(
            'Dask is not installed here; install it with: pip install "edgekit-core[dask]"'
        ) from error
    try:
        get_address_host_port(address)
    except ValueError as error:
        raise SettingsError(
            f"{address} is no address of a Dask scheduler: {error}; give one such as "
            "tcp://host:8786"
        ) from error
    try:
        client = distributed.Client(address, timeout=_CONNECT, set_as_default=False)
    except (OSError, ImportError) as error:
        raise SettingsError(
            f"no Dask scheduler answers at {address} within {_CONNECT:g} s; start one with: dask "
            "scheduler"
        ) from error
    try:
        yield from _results(distributed, client, work, items, address, done)
    finally:
        # What was not done is given up.
        client.close(timeout=_LOOK)


def _results(
    distributed: Any,
    client: Any,
    work: Work[Item, _T],
    items: Sequence[Item],
    address: str,
    done: Callable[[], None],
) -> Iterator[Outcome[_T]]:
    if not client.nthreads():
        raise SettingsError(
            f"the Dask scheduler at {address} has no workers; start some with: dask worker "
            f"{address} --nthreads 1"
        )
    task = _Task(work)
    for worker, answer in client.run(_refusal, task, on_error="return").items():
        if answer:
            raise SettingsError(_refused(worker, answer))
    token, sent = f"{id(task)}-{time.time_ns()}", client.scatter(task, broadcast=True)
    waiting, outcomes = deque(enumerate(items)), dict[int, Outcome[_T]]()
    running: dict[Any, int] = {}
    wanted, seen = 0, time.monotonic()
    while wanted < len(items):
        try:
            threads = sum(client.nthreads().values())
        except OSError as error:
            raise WorkerLostError(
                f"the Dask scheduler at {address} is gone: {error}; begin again once it is back"
            ) from error
        if threads:
            seen = time.monotonic()
        elif time.monotonic() - seen > _ALONE:
            names = listed([items[place].name for place in running.values()], _NAMED)
            raise WorkerLostError(
                f"the Dask scheduler at {address} has lost all its workers, while they had "
                f"{names}; start some, and begin again"
            )
        while waiting and len(running) < _AHEAD * threads:
            place, item = waiting.popleft()
            future = client.submit(_do, token, sent, item, pure=False)
            running[future] = place
        try:
            with client.as_current():
                ready = distributed.wait([*running], _LOOK, return_when="FIRST_COMPLETED").done
        except TimeoutError:
            continue
        for future in ready:
            outcomes[running.pop(future)] = _outcome(distributed, future)
            done()
        while wanted in outcomes:
            yield outcomes.pop(wanted)
            wanted += 1
    client.run(_forget, token, on_error="ignore")


def _outcome(distributed: Any, future: Any) -> Any:
    """What came of an item.

    Raises:
        Exception: what nobody foresaw, on the worker; or a worker that joined must not take part.
    """
    if future.status == "finished":
        return future.result()
    error = future.exception() if future.status == "error" else None
    if error is not None and not isinstance(error, distributed.KilledWorker):
        raise error
    where = f" {error.last_worker.address}" if error is not None else ""
    return WorkerLostError(
        f"each worker that had it ended, the last one{where}, and it is not answered; is their "
        "memory full?"
    )


def _refused(worker: str, answer: object) -> str:
    if isinstance(answer, Exception):
        answer = (
            f"it cannot run edgekit: {one_line(answer) or type(answer).__name__}; install "
            f"edgekit-core=={__version__} there"
        )
    return f"the Dask worker {worker} must not take part: {answer}"


def _refusal(task: _Task) -> str:
    """On a worker, at first: why it must not take part; empty where it may."""
    return task.refusal()


def _do(token: str, task: _Task, item: Any) -> Any:
    """On a worker, in any of its threads: what comes of an item.

    Raises:
        SettingsError: this worker, which may have come later, must not take part.
    """
    thread = threading.get_ident()
    known, do = _open.get(thread, ("", None))
    if do is None or known != token:
        if refusal := task.refusal():
            raise SettingsError(_refused("that has joined", refusal))
        do = task.work.open()
        _open[thread] = token, do
    return outcome(do, item)


def _forget(token: str) -> None:
    """On a worker, at last: let go of the model."""
    for thread, (known, _) in [*_open.items()]:
        if known == token:
            del _open[thread]
