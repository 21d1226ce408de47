"""What commands that take several recordings share: who works on them, and what is printed."""

import functools
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click
import msgspec

from edgekit.commands.notify import notify
from edgekit.errors import EdgekitError, ReplayDiffersError, SourceError
from edgekit.inference.classifier import Classifier
from edgekit.model.settled import Settled
from edgekit.offline.decision_settings import decision_settings
from edgekit.offline.decisions_used import DecisionsUsed
from edgekit.offline.jobs.cluster import on_cluster
from edgekit.offline.jobs.how_many import how_many
from edgekit.offline.jobs.model_source import ModelSource
from edgekit.offline.jobs.processes import in_processes
from edgekit.offline.jobs.work import Item, Outcome, Work, here
from edgekit.offline.recording import Recording
from edgekit.offline.told import Told

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar

_F = TypeVar("_F", bound=Callable[..., Any])
_T = TypeVar("_T")
_MOST = 256


@dataclass(frozen=True)
class Jobs:
    """Who works on several recordings: what `jobs_options` was given.

    Attributes:
        processes: of this machine; None for as many as there are cores.
        dask: address of a scheduler, whose workers do it.
    """

    processes: int | None
    dask: str | None

    @property
    def elsewhere(self) -> bool:
        """Whether other machines may do it."""
        return self.dask is not None

    def check_single(self) -> None:
        """Refuse a cluster for a single recording, which is no work for several.

        Raises:
            UsageError: one was given.
        """
        if self.dask is not None:
            raise click.UsageError("--dask is for several recordings, or a folder of clips")

    def run(
        self,
        work: Work[Item, _T],
        items: Sequence[Item],
        classifier: Classifier,
        label: str,
        hidden: bool,
    ) -> Iterator[Outcome[_T]]:
        """What comes of recordings, in their order, with a bar that goes on as they are done.

        Args:
            work: what is done with each.
            items: they.
            classifier: the model, which is closed where others open it.
            label: stands before the bar.
            hidden: show no bar.

        Raises:
            EdgekitError: the work cannot be begun, or be finished.
        """
        classifier.close()
        processes = 0
        if self.dask is None:
            size = len(work.source.model.flatbuffer)
            processes = how_many(self.processes, len(items), size, notify)
        bar: ProgressBar[int] = click.progressbar(
            length=len(items), label=label, file=sys.stderr, hidden=hidden
        )
        done = functools.partial(bar.update, 1)
        with bar:
            if self.dask is not None:
                yield from on_cluster(work, items, self.dask, done)
            elif processes > 1:
                yield from in_processes(work, items, processes, done)
            else:
                yield from here(work, items, done)


def jobs_options(command: _F) -> _F:
    """Add the options that say who works on several recordings; the command gets them as `jobs`."""

    @functools.wraps(command)
    def chosen(*arguments: Any, **values: Any) -> Any:
        processes, dask = values.pop("processes"), values.pop("dask")
        if processes is not None and dask is not None:
            raise click.UsageError("--jobs is for this machine, and --dask for others; give one")
        return command(*arguments, jobs=Jobs(processes, dask), **values)

    decorated: Any = chosen
    for option in (
        click.option(
            "--dask",
            metavar="ADDRESS",
            help="Have several recordings answered by the workers of a Dask scheduler, such as "
            "tcp://host:8786.",
        ),
        click.option(
            "--jobs",
            "processes",
            type=click.IntRange(1, _MOST),
            help="Processes that answer several recordings, one each at a time; fewer where memory "
            "is short.  [default: as many as cores]",
        ),
    ):
        decorated = option(decorated)
    return cast(_F, decorated)


def open_here(source: ModelSource) -> Classifier:
    """Open a model, and print what was understood or guessed of it.

    Raises:
        EdgekitError: as `Classifier`.
    """
    classifier = source.open()
    for note in classifier.notes:
        notify(note)
    return classifier


def settle_all(
    recordings: Sequence[Recording],
    classifier: Classifier,
    config: Path | None,
    options: dict[str, Any],
) -> list[Settled]:
    """The decision settings of each recording, which are printed.

    Raises:
        EdgekitError: as `decision_settings`.
    """
    used = DecisionsUsed()
    found = [decision_settings(config, options, one.header, classifier) for one in recordings]
    for recording, settled in zip(recordings, found, strict=True):
        used.add(str(recording.path), settled)
    for line in used.lines():
        notify(f"decision: {line}")
    return found


class Many:
    """Gathers what is told of several recordings, and prints it at the end.

    Args:
        done: what was done with them, in a word.
        as_json: print one JSON object.
        total: what the counts of all say, in a line.
    """

    def __init__(self, done: str, as_json: bool, total: Callable[[Counter[str]], str]) -> None:
        self._done = done
        self._as_json = as_json
        self._total = total
        self._told: list[tuple[str, Outcome[Told]]] = []

    def add(self, name: str, told: Outcome[Told]) -> None:
        """Take what came of the next one; its file, which may be large, is let go of."""
        self._told.append((name, told if isinstance(told, EdgekitError) else told.without_file()))

    def finish(self) -> None:
        """Print it.

        Raises:
            SourceError: of some, nothing is known.
            ReplayDiffersError: of some, something else is than was expected.
        """
        good = [one for _, one in self._told if isinstance(one, Told)]
        failed, differ = len(self._told) - len(good), sum(bool(one.differs) for one in good)
        counts = sum((Counter(one.counts) for one in good), Counter[str]())
        if self._as_json:
            rows = [
                {"name": name, "error": str(one)}
                if isinstance(one, EdgekitError)
                else {"name": name, **one.summary}
                for name, one in self._told
            ]
            told = {"recordings": rows, "all": counts, "failed": failed, "differ": differ}
            click.echo(msgspec.json.encode(told).decode())
        for name, one in self._told:
            self._print(name, one)
        done = f"{len(good)} of {len(self._told)} recordings {self._done}"
        if good and not self._as_json:
            click.echo(f"{done}: {self._total(counts)}")
        if failed:
            raise SourceError(f"{done}; what is wrong with the others is said above")
        if differ:
            raise ReplayDiffersError(
                f"{differ} of {len(good)} recordings are decided otherwise than expected"
            )

    def _print(self, name: str, one: Outcome[Told]) -> None:
        if isinstance(one, EdgekitError):
            notify(f"{name}: {one}")
            return
        for line in (*one.before, *one.after):
            notify(f"{name}: {line}")
        if self._as_json:
            return
        click.echo(f"{name}: {one.heading}" if one.heading else name)
        for line in one.lines:
            click.echo(f"  {line}")


def tell_one(told: Told, as_json: bool) -> None:
    """Print what is told of a single recording."""
    for line in told.before:
        notify(line)
    if as_json:
        click.echo(msgspec.json.encode(told.summary).decode())
        return
    for line in told.lines:
        click.echo(line)
    for line in (*told.after, *filter(None, [told.pace])):
        notify(line)
