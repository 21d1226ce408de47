"""What is done with each of many things, wherever it is done."""

import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeAlias, TypeVar

from edgekit.errors import EdgekitError
from edgekit.offline.jobs.model_source import ModelSource


class Named(Protocol):
    """What something is done with; it can be pickled.

    Attributes:
        name: what messages call it.
    """

    @property
    def name(self) -> str: ...


Item = TypeVar("Item", bound=Named)
Result = TypeVar("Result", covariant=True)
_Item = TypeVar("_Item", bound=Named, contravariant=True)
_T = TypeVar("_T")

# What came of an item: a result, or the failure that is told of it while others go on.
Outcome: TypeAlias = _T | EdgekitError


class Work(Protocol[_Item, Result]):
    """What is to be done; it can be pickled, and so can its results.

    Attributes:
        source: the model that does it.
    """

    @property
    def source(self) -> ModelSource: ...

    def open(self) -> Callable[[_Item], Result]:
        """What does it, one item at a time; called once in each worker.

        Raises:
            EdgekitError: the model cannot be opened, say.
        """
        ...


def here(
    work: Work[Item, _T], items: Sequence[Item], done: Callable[[], None]
) -> Iterator[Outcome[_T]]:
    """Do it in this process, one after the other.

    Args:
        work: opened once.
        items: what it is done with.
        done: called as often as an item is done.

    Raises:
        EdgekitError: the work cannot be begun.
        Exception: what nobody foresaw.
    """
    do = work.open()
    for item in items:
        yield outcome(do, item)
        done()


def outcome(do: Callable[[Item], _T], item: Item) -> Outcome[_T]:
    """What comes of an item. An exception that nobody foresaw is raised, with where it was."""
    try:
        return do(item)
    except EdgekitError as error:
        return error
    except Exception as error:
        # A traceback does not travel between processes.
        error.add_note(f"{item.name}: {traceback.format_exc()}")
        raise
