"""Labelled pictures: a folder per class, or a folder with `labels.tsv`."""

import difflib
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from edgekit.errors import DatasetError
from edgekit.files import read_text
from edgekit.model.labels import Notify, class_called, ignore
from edgekit.text import listed
from edgekit.vision.folders import IMAGE_SUFFIXES, image_files, is_hidden

TABLE = "labels.tsv"
_HEADERS = ("class_index", "class_id", "class", "index", "id", "label")
# Spellings of a name, each more forgiving than the one before.
_SPELLINGS: tuple[Callable[[str], str], ...] = (
    str,
    str.casefold,
    lambda name: re.sub(r"[\s_-]+", " ", name.casefold()),
)
# Up to so many, folders named by numbers sort alike as numbers and as text.
_SINGLE_DIGITS = 10
_SHOWN = 5


@dataclass(frozen=True)
class LabelledImage:
    """A picture file and its class index."""

    path: Path
    index: int


def labelled_images(
    folder: Path, labels: list[str], class_offset: int = 0, notify: Notify = ignore
) -> list[LabelledImage]:
    """List the labelled pictures in `folder`, in a fixed order.

    Args:
        folder: holds a folder per class, named as the classes are; or a table `labels.tsv` of
            `file<TAB>class_index`, or a class's name in its place. Names are forgiven another
            case, another Unicode form, and `_`, `-` and spaces for each other, where that leaves
            one class. Names that are all numbers, and no classes', are class indices.
        labels: the model's class names.
        class_offset: added to each class index of the dataset.
        notify: called with a line about what was guessed, is missing or is left out.

    Raises:
        DatasetError, ImageError: the layout is another, or there are no pictures.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder} is not a folder of labelled pictures")
    if (folder / TABLE).is_file():
        images = _from_table(folder, labels, class_offset, notify)
    else:
        images = _from_folders(folder, labels, class_offset, notify)
    empty = sorted(set(range(len(labels))) - {image.index for image in images})
    if not images:
        raise DatasetError(f"there are no images of any class in {folder}")
    if empty:
        notify(
            f"{len(empty)} of {len(labels)} classes have no pictures: "
            f"{listed([labels[index] for index in empty], _SHOWN)}"
        )
    return images


def class_folders(folder: Path) -> list[str]:
    """Names of the folders in `folder`, sorted, but for hidden ones and those of the system.

    The order is that in which torchvision's `ImageFolder` numbers classes.
    """
    children = (child for child in folder.iterdir() if child.is_dir())
    return sorted(child.name for child in children if not is_hidden(child.name))


def _pictures(paths: Iterator[Path]) -> list[Path]:
    return [
        path
        for path in paths
        if path.suffix.lower() in IMAGE_SUFFIXES and not is_hidden(path.name) and path.is_file()
    ]


def _classes_called(name: str, labels: list[str]) -> list[int]:
    """Indices of the classes that are spelt like a name, by the strictest spelling that has any."""
    wanted = class_called(unicodedata.normalize("NFC", name).strip())
    for spelling in _SPELLINGS:
        found = [
            index
            for index, label in enumerate(labels)
            if spelling(unicodedata.normalize("NFC", label)) == spelling(wanted)
        ]
        if found:
            return found
    return []


def _from_folders(
    folder: Path, labels: list[str], offset: int, notify: Notify
) -> list[LabelledImage]:
    names = class_folders(folder)
    if not names:
        raise DatasetError(
            f"{folder} has neither a folder per class nor a {TABLE}, so that nothing says what its "
            "pictures show; give each class a folder of its name"
        )
    found = {name: _classes_called(name, labels) for name in names}
    if all(name.isdecimal() for name in names) and not any(found.values()):
        indices = _numbered(folder, names, len(labels), offset)
    else:
        indices = {name: _only(folder / name, found[name], labels) for name in names}
        if offset:
            notify("folders are matched to classes by name; --class-offset changes nothing")
    owners: dict[int, str] = {}
    for name, index in indices.items():
        if index in owners:
            raise DatasetError(
                f"{folder / owners[index]} and {folder / name} are both the class "
                f"{labels[index]}; make one folder of them"
            )
        owners[index] = name
    respelt = [f"{name} is {labels[i]}" for name, i in indices.items() if name != labels[i]]
    if respelt:
        notify(f"folders that are not spelt like their classes: {listed(respelt, _SHOWN)}")
    loose = _pictures(folder.iterdir())
    if loose:
        notify(f"{len(loose)} pictures lie beside the class folders and are left out")
    return [
        LabelledImage(path, index)
        for name, index in indices.items()
        if not all(is_hidden(child.name) for child in (folder / name).iterdir())
        for path in image_files(folder / name)
    ]


def _only(folder: Path, found: list[int], labels: list[str]) -> int:
    """The class that a folder is named like.

    Raises:
        DatasetError: there is none, or more than one.
    """
    if len(found) == 1:
        return found[0]
    if found:
        likely = " or ".join(labels[index] for index in found)
        raise DatasetError(f"the folder {folder} may be {likely}; rename it")
    inside = class_folders(folder)
    if any(_classes_called(name, labels) for name in inside):
        raise DatasetError(
            f"the folder {folder} is no class, but has folders that are; did you mean {folder}?"
        )
    near = difflib.get_close_matches(folder.name, labels, n=3)
    remedy = f"did you mean {' or '.join(near)}?" if near else f"they are {listed(labels, _SHOWN)}"
    raise DatasetError(
        f"the folder {folder} is not named like one of the model's {len(labels)} classes; "
        f"{remedy} (rename it, or list the pictures in a {TABLE})"
    )


def _numbered(folder: Path, names: list[str], classes: int, offset: int) -> dict[str, int]:
    """Class indices that folders are named by."""
    if len({len(name) for name in names}) > 1 and classes > _SINGLE_DIGITS:
        # torchvision numbers 0, 1, 10, 2 in this order.
        raise DatasetError(
            f"the folders in {folder} are numbers, whose order as numbers and as text differ; name "
            f"them as the classes are, or list the pictures in a {TABLE}"
        )
    indices = {name: int(name) + offset for name in names}
    for name, index in indices.items():
        if not 0 <= index < classes:
            raise DatasetError(
                f"the folder {folder / name} is class {index}, which is not one of the model's "
                f"{classes} (0-based); see --class-offset"
            )
    return indices


def _from_table(
    folder: Path, labels: list[str], offset: int, notify: Notify
) -> list[LabelledImage]:
    table = folder / TABLE
    lines = re.split(r"\r\n|\r|\n", read_text(table, DatasetError, "table"))
    found: dict[str, tuple[int, int]] = {}
    for number, line in enumerate(lines, start=1):
        name, tab, word = line.rpartition("\t")
        name, word = name.strip(), word.strip()
        if not line.strip() or (number == 1 and word.lower() in _HEADERS):
            continue
        if not tab:
            raise DatasetError(
                f"{table}, line {number} is not 'file<TAB>class_index': it has no tab"
            )
        index = _index(f"{table}, line {number}", word, labels, offset)
        if not (folder / name).is_file():
            raise DatasetError(f"{table}, line {number}: no file {name} in {folder}")
        if name in found:
            raise DatasetError(f"{table}, line {number}: {name} is in line {found[name][1]}, too")
        found[name] = index, number
    if not found:
        raise DatasetError(f"{table} lists no pictures")
    listed = {folder / name for name in found}
    unlisted = [path for path in _pictures(folder.rglob("*")) if path not in listed]
    if unlisted:
        notify(f"{len(unlisted)} pictures are not in {table} and are left out")
    return [LabelledImage(folder / name, index) for name, (index, _) in found.items()]


def _index(place: str, word: str, labels: list[str], offset: int) -> int:
    """The class that a table names, by its index or by its name."""
    called = _classes_called(word, labels)
    if not re.fullmatch(r"[+-]?\d{1,9}", word):
        if len(called) != 1:
            raise DatasetError(f"{place}: {word!r} is neither a class index nor a class's name")
        return called[0]
    index = int(word) + offset
    if called not in ([], [index]):
        raise DatasetError(
            f"{place}: {word} is the name of class {called[0]}, and class {index} has another; "
            "write indices, and name the classes by more than a number"
        )
    if not 0 <= index < len(labels):
        raise DatasetError(
            f"{place}: class {index} is not one of the model's {len(labels)} (0-based); see "
            "--class-offset"
        )
    return index
