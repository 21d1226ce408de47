"""Where given pictures come from: a list or data set, read by number, or a stream of batches."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from inspect import isroutine
from itertools import islice
from typing import Any

from edgekit.errors import DatasetError, EdgekitError
from edgekit.text import first_line, last_line
from edgekit_convert.given.items import Item, is_label, is_list, is_picture, items_of
from edgekit_convert.given.loaded import copied, is_a, is_loader, is_loaders_of_fastai
from edgekit_convert.pictures import evenly_spread

# Pictures of a stream whose end is not known: it may have none.
LONGEST = 10_000
_WHAT = (
    "give a folder's path, an array or tensor (N, H, W, 3) or (N, 3, H, W), a list of pictures, a "
    "Dataset, a DataLoader, or anything that gives pictures, or (picture, label), one by one"
)


class Source(ABC):
    """Pictures, and their labels, as they come.

    Attributes:
        data: what tells about them: a data set without what was around it.
        option: what they were given for, for messages.
    """

    data: Any
    option: str

    @property
    def length(self) -> int | None:
        """How many there are; None where that is not known."""
        return None

    @abstractmethod
    def sample(self, count: int) -> list[tuple[int, Item]]:
        """Some of the pictures, with their numbers: `count` of them, or all."""

    @abstractmethod
    def read(self, limit: int | None) -> Iterator[tuple[int, Item]]:
        """Pictures by number: all, or `limit` of them from the first to the last.

        Where it is not known how many there are, they are all: see `edgekit_convert.pictures`.

        Raises:
            DatasetError: they cannot be had, which names the first that cannot.
        """

    @property
    def notes(self) -> list[str]:
        """What is to be known of what was read, in words."""
        return []


class Numbered(Source):
    """A list, an array, or a data set that gives a picture by its number."""

    def __init__(self, data: Any, option: str) -> None:
        self.data, self.option = data, option

    @property
    def length(self) -> int:
        return int(_asked(lambda: len(self.data), self.option))

    def get(self, number: int) -> Item:
        """One of the pictures."""
        where = f"{self.option}: item {number}"
        element = _asked(lambda: self.data[number], where)
        found = items_of(element, where)
        if len(found) != 1:
            raise DatasetError(f"{where} holds {len(found)} pictures, where each item is one")
        return found[0]

    def sample(self, count: int) -> list[tuple[int, Item]]:
        return list(self.read(count))

    def read(self, limit: int | None) -> Iterator[tuple[int, Item]]:
        count = self.length
        for number in evenly_spread(count, limit or count) if count else ():
            yield int(number), self.get(int(number))


class Stream(Source):
    """A loader, a generator, or anything else that gives pictures or batches one after another."""

    def __init__(self, data: Iterable[Any], option: str) -> None:
        self.data, self.option = data, option
        self._started: list[Item] = []
        self._running: Iterator[Item] | None = None
        self._cut = False

    def sample(self, count: int) -> list[tuple[int, Item]]:
        # A generator gives each only once, and a loader starts its processes only once.
        if self._running is None:
            self._running = self._items()
            self._started = [self._kept(one) for one in islice(self._running, count)]
        return list(enumerate(self._started))

    def read(self, limit: int | None) -> Iterator[tuple[int, Item]]:
        started, running = self._started, self._running
        self._started, self._running = [], None
        longest = None if isinstance(self.data, Sized) and _length(self.data) else LONGEST
        number = -1
        for number, item in enumerate(_chained(started, running or self._items())):
            if number == longest:
                self._cut = True
                return
            yield number, item

    @property
    def notes(self) -> list[str]:
        cut = f"the first {LONGEST:,} pictures are used, of a stream that does not say its length"
        return [cut] if self._cut else []

    def _kept(self, item: Item) -> Item:
        return Item(*_asked(lambda: [copied(part) for part in item], self.option))

    def _items(self) -> Iterator[Item]:
        name = f"{self.option}: element"
        elements = _asked(lambda: iter(self.data), self.option)
        number, end = 0, object()
        while (element := _asked(lambda: next(elements, end), f"{name} {number}")) is not end:
            yield from items_of(element, f"{name} {number}")
            number += 1


def find_source(data: Any, option: str) -> Source:
    """What a user means by pictures.

    Args:
        data: as `edgekit_convert.convert` takes calibration and evaluation pictures.
        option: which of them it is, for messages.

    Raises:
        DatasetError: it is nothing that gives pictures.
    """
    if is_picture(data) and getattr(data, "ndim", 3) < 4:
        shape = getattr(data, "shape", None)
        grey = "" if shape is None else f" or grey ones, of the shape {tuple(shape)}"
        raise DatasetError(f"{option} is one picture{grey}; {_WHAT}")
    if is_loaders_of_fastai(data):
        data = data.valid if option == "evaluate" else data.train
    if is_loader(data) and _is_plain(data):
        data = data.dataset
    if isinstance(data, Mapping):
        return Stream([data], option)
    if is_list(data) and len(data) == 2 and _is_collection(data[0]) and _are_labels(data[1]):
        pictures, labels = data
        if len(pictures) != len(labels):
            raise DatasetError(f"{option} has {len(labels)} labels for {len(pictures)} pictures")
        return _numbered(_Labelled(pictures, labels), option)
    kind = type(data)
    streams = is_a(data, "torch.utils.data", "IterableDataset") or is_loader(data)
    if hasattr(kind, "__getitem__") and hasattr(kind, "__len__") and not streams:
        return _numbered(data, option)
    if not (hasattr(kind, "__iter__") or hasattr(kind, "__getitem__")):
        called = "; call it" if isroutine(data) else ""
        raise DatasetError(f"{option} is {kind.__name__}{called}; {_WHAT}")
    return Stream(data, option)


def _numbered(data: Any, option: str) -> Source:
    """A data set, or the stream that it is where its items are batches."""
    batches = is_list(data) and len(data) and len(items_of(data[0], f"{option}: item 0")) > 1
    return Stream(data, option) if batches else Numbered(data, option)


class _Labelled(Sequence[Any]):
    """Pictures and labels that were given side by side, as a data set."""

    def __init__(self, pictures: Any, labels: Any) -> None:
        self._pictures, self._labels = pictures, labels

    def __len__(self) -> int:
        return len(self._pictures)

    def __getitem__(self, number: Any) -> Any:
        return self._pictures[number], self._labels[number]


def _is_plain(loader: Any) -> bool:
    """Whether a DataLoader gives what its data set has, put together as usual, and no more."""
    from torch.utils.data import DataLoader, RandomSampler, SequentialSampler, default_collate

    return (
        type(loader).__iter__ is DataLoader.__iter__
        and loader.collate_fn is default_collate
        and type(loader.sampler) in (RandomSampler, SequentialSampler)
        and hasattr(type(loader.dataset), "__len__")
        and loader.batch_size is not None
        and loader.worker_init_fn is None
        and not getattr(loader.sampler, "replacement", False)
        and len(loader.sampler) == len(loader.dataset)
    )


def _is_collection(value: Any) -> bool:
    """Whether it is many pictures, by number."""
    dimensions = getattr(value, "ndim", None)
    if dimensions is not None:
        return bool(dimensions == 4)
    return (
        hasattr(type(value), "__getitem__")
        and hasattr(type(value), "__len__")
        and not is_picture(value)
        and not isinstance(value, (str, Mapping))
    )


def _are_labels(value: Any) -> bool:
    """Whether it is labels of many pictures."""
    dimensions = getattr(value, "ndim", None)
    if dimensions is not None:
        return dimensions in (1, 2)
    return is_list(value) and bool(value) and all(map(is_label, value))


def _length(data: Sized) -> int:
    """Of what says how long it is; 0 where it does not, or is empty."""
    try:
        return len(data)
    except (TypeError, NotImplementedError):
        return 0


def _asked(ask: Callable[[], Any], where: str) -> Any:
    """What a user's own code gives.

    Raises:
        DatasetError: it fails.
    """
    try:
        return ask()
    except EdgekitError:
        raise
    except Exception as error:
        # A loader's process sends its whole traceback.
        text = str(error)
        line = last_line(text) if "Traceback" in text else first_line(text)
        raise DatasetError(f"{where} cannot be had ({type(error).__name__}: {line})") from error


def _chained(first: list[Item], rest: Iterator[Item]) -> Iterator[Item]:
    """Both; the first are let go of as they are taken."""
    first.reverse()
    while first:
        yield first.pop()
    yield from rest
