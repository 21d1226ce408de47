"""Pictures whose class is known: of a folder, or from a program's own data."""

import operator
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import DatasetError
from edgekit.model.labels import Notify, ignore
from edgekit.text import encodable
from edgekit.vision.dataset import TABLE, labelled_images
from edgekit.vision.folders import left_out
from edgekit.vision.notes import Notes
from edgekit.vision.pictures import read_image
from edgekit.vision.preprocess import cut
from edgekit.vision.view import Region

# A picture (H, W, 3) uint8 RGB, and its class: an index or a name.
Pair = tuple[Any, Any]


class LabelledPicture(NamedTuple):
    """A picture and its class.

    Attributes:
        name: its path below the folder, or `picture 17`, counted from 0.
        pixels: (H, W, 3) uint8 RGB.
        truth: index of its class.
    """

    name: str
    pixels: NDArray[np.uint8]
    truth: int


class LabelledPictures:
    """Labelled pictures, of which one is in memory at a time.

    Attributes:
        name: the folder's; `pictures` for those of a program.
        files: what is read: the pictures and the table; none for those of a program.
        length: their number; None where it is not known.
    """

    def __init__(
        self,
        name: str,
        pictures: Callable[[Notes], Iterator[LabelledPicture]],
        *,
        length: int | None,
        files: Sequence[Path] = (),
        notes: Sequence[str] = (),
    ) -> None:
        self.name = name
        self.files = list(files)
        self.length = length
        self._pictures = pictures
        self._told = notes
        self._notes = Notes(*notes)

    @classmethod
    def in_folder(
        cls,
        folder: Path,
        labels: list[str],
        class_offset: int = 0,
        notify: Notify = ignore,
        region: Region | None = None,
    ) -> "LabelledPictures":
        """Those of a folder, as `labelled_images` lists them.

        Args:
            folder, labels, class_offset: as there.
            notify: called with a line about what was guessed, is missing or is left out.
            region: what is used of each picture; the whole by default.

        Raises:
            DatasetError, ImageError: as there.
        """
        told: list[str] = [] if region is None else [f"of each picture the region {region} is used"]
        images = labelled_images(folder, labels, class_offset, told.append)
        for line in told:
            notify(line)
        name, others = encodable(folder.resolve().name), left_out(folder)
        if others:
            notify(f"{name}: {others}")

        def read(notes: Notes) -> Iterator[LabelledPicture]:
            for image in images:
                path = image.path
                # A table may name pictures that lie elsewhere.
                below = path.relative_to(folder) if path.is_relative_to(folder) else path
                pixels = cut(read_image(path, notes), region)
                yield LabelledPicture(encodable(below.as_posix()), pixels, image.index)

        return cls(
            name,
            read,
            length=len(images),
            files=[*(image.path for image in images), folder / TABLE],
            notes=[*told, others],
        )

    @classmethod
    def of_pairs(
        cls,
        pairs: Iterable[Pair],
        labels: list[str],
        class_offset: int = 0,
        notify: Notify = ignore,
    ) -> "LabelledPictures":
        """Those of a program, which are looked at as they come, ahead and in another thread.

        Args:
            pairs: (picture, class), any number of times: a list, a generator, a `Dataset`. A
                picture is (H, W, 3) uint8 RGB, or what numpy makes that of; a class is an index
                or a name. Where they have `classes`, as those of torchvision, names that are the
                model's, too, say what an index means; else it is the model's.
            labels: the model's class names.
            class_offset: added to each index that is the model's.
            notify: called with a line where `classes` are others than the model's.

        Raises:
            DatasetError: they are no pairs.
        """
        if not hasattr(pairs, "__iter__") and not hasattr(pairs, "__getitem__"):
            raise DatasetError(
                f"{type(pairs).__name__} is neither a folder nor pairs of a picture and its class"
            )
        length = len(pairs) if isinstance(pairs, Sized) else None
        classes, note = _classes_of(pairs, labels)
        if note:
            notify(note)
        offset = class_offset if classes is labels else 0

        def look(_: Notes) -> Iterator[LabelledPicture]:
            for number, pair in enumerate(_items(pairs, length)):
                yield _checked(f"picture {number}", pair, labels, classes, offset)

        return cls("pictures", look, length=length, notes=[note])

    def __iter__(self) -> Iterator[LabelledPicture]:
        """The pictures, in order.

        Raises:
            ImageError: one cannot be read.
            DatasetError: one of a program is something else.
        """
        self._notes = Notes(*self._told)
        return self._pictures(self._notes)

    @property
    def notes(self) -> list[str]:
        """What is to be known about them, a line each; complete once they were read."""
        return self._notes.lines


def _items(pairs: Any, length: int | None) -> Iterator[Any]:
    # A Dataset of PyTorch has a length and items, and nothing need tell `iter` where it ends.
    if length is not None and not hasattr(pairs, "__iter__"):
        return (pairs[number] for number in range(length))
    return iter(pairs)


def _classes_of(pairs: Any, labels: list[str]) -> tuple[list[str], str]:
    """What indices mean, and what there is to say about it."""
    classes = getattr(pairs, "classes", None)
    if not isinstance(classes, (list, tuple)) or not classes:
        return labels, ""
    if all(isinstance(name, str) and name in labels for name in classes):
        return list(classes), ""
    return labels, (
        f"the pictures' classes are called otherwise than the model's ({classes[0]}, not "
        f"{labels[0]}); their indices are taken for the model's"
    )


def _checked(
    name: str, pair: Any, labels: list[str], classes: list[str], offset: int
) -> LabelledPicture:
    try:
        picture, truth = pair
    except (TypeError, ValueError) as error:
        raise DatasetError(f"{name} is no pair of a picture and its class") from error
    try:
        # A copy: a program may write its next picture into the same memory, and is read ahead.
        pixels = np.array(picture)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DatasetError(f"{name} is nothing that numpy makes an array of: {error}") from error
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise DatasetError(
            f"{name} is {pixels.dtype} {pixels.shape}; give pixels as they come from a file: "
            "uint8, (height, width, 3), RGB, neither scaled nor normalized"
        )
    called = truth if isinstance(truth, str) else _called(name, truth, classes, offset)
    if called not in labels:
        raise DatasetError(f"{name} is of the class {called}, which the model does not have")
    return LabelledPicture(name, pixels, labels.index(called))


def _called(name: str, truth: Any, classes: list[str], offset: int) -> str:
    try:
        index = operator.index(truth) + offset
    except TypeError as error:
        raise DatasetError(f"the class of {name} is {truth!r}; give an index or a name") from error
    if not 0 <= index < len(classes):
        raise DatasetError(
            f"{name} is of class {index}, and there are {len(classes)}, counted from 0"
        )
    return classes[index]
