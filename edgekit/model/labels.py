"""Where a label gets its name, and that no two things have the same."""

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Set
from pathlib import Path
from typing import Any, NamedTuple

from edgekit.errors import LabelsError
from edgekit.files import decode_text, read_file
from edgekit.model import limits
from edgekit.model.label_file import parse

# What the daemon answers while no class is sure enough.
UNKNOWN = "unknown"
# Home Assistant's words for "no value" (its `const.py`; `None` is an MQTT sensor's payload for it).
_TAKEN = (UNKNOWN, "unavailable")
_TAKEN_EXACTLY = "None"
_SUFFIX = " (class)"

Notify = Callable[[str], None]


def ignore(_: str) -> None:
    """Tell nobody."""


class LabelFile(NamedTuple):
    """A file with class names as it was read, once.

    Attributes:
        path: where it was read from, for messages.
        content: its bytes.
    """

    path: Path
    content: bytes

    @classmethod
    def read(cls, path: Path) -> "LabelFile":
        """Read it.

        Raises:
            LabelsError: it cannot be read, is a pipe or a device, or is too long.
        """
        return cls(path, read_file(path, LabelsError, "labels", limits.LABEL_FILE_BYTES))


def class_names(
    model: Path,
    classes: int,
    carried: list[str] | None,
    file: LabelFile | None,
    notify: Notify = ignore,
) -> list[str]:
    """The name of every class of a model, by index; no two are the same.

    Args:
        model: the model file, for messages.
        classes: that it has.
        carried: the names inside the model file, if any.
        file: names that the user gives instead, as `--labels`.
        notify: called with a line about what was understood, or changed.

    Returns:
        Those of `file`; else those carried; else `class 0`, `class 1` and so on.

    Raises:
        LabelsError: `file` cannot be used, or there are more or fewer names than classes.
    """
    if file is not None:
        return distinct(parse_labels(file, classes, notify), notify)
    if carried is None:
        return [f"class {index}" for index in range(classes)]
    if len(carried) != classes:
        raise LabelsError(
            f"{model} carries {len(carried)} labels for {classes} classes; pass the right ones "
            "with --labels"
        )
    return distinct(carried, notify)


def read_labels(path: Path, expected: int | None = None, notify: Notify = ignore) -> list[str]:
    """Read class names from `path`, as they stand there.

    Args:
        path: a text file in one of the forms of `edgekit.model.label_file`.
        expected: the number of classes the model has, where known.
        notify: called with a line when the form is another than one name a line.

    Raises:
        LabelsError: the file is missing, or as `parse_labels`.
    """
    return parse_labels(LabelFile.read(path), expected, notify)


def parse_labels(
    file: LabelFile, expected: int | None = None, notify: Notify = ignore
) -> list[str]:
    """Class names of a file that was read, as they stand there; arguments as for `read_labels`.

    Raises:
        LabelsError: the file is not text, empty, in no form that is understood, has blank names,
            or their number is not `expected`.
    """
    path = file.path
    try:
        text = decode_text(file.content)
    except ValueError as error:
        raise LabelsError(f"{path} {error}; save it as UTF-8") from error
    try:
        names, note = parse(text)
        check_names(names)
    except ValueError as error:
        raise LabelsError(f"{path} {error}") from error
    if not names:
        raise LabelsError(f"{path} holds no class names; write one a line")
    if expected is not None and len(names) != expected:
        how = f" ({note})" if note else ""
        raise LabelsError(
            f"{path} has {len(names)} class names{how}, but the model has {expected} classes"
        )
    if note:
        notify(f"{path}: {note}")
    return names


def check_names(names: list[str]) -> None:
    """Refuse what is no name: nothing, too much, or what a terminal obeys and does not show.

    Raises:
        ValueError: the message is a clause that says which.
    """
    for index, name in enumerate(names):
        if not name.strip():
            raise ValueError(f"has an empty name for class {index}")
        if len(name) > limits.LABEL:
            raise ValueError(
                f"has {len(name):,} characters in the name of class {index}; at most "
                f"{limits.LABEL} are read"
            )
        # Cc: escapes and the like. Bidirectional controls reorder what is around them.
        if any(
            unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp")
            or unicodedata.bidirectional(letter) in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI",
                                                     "RLI", "FSI", "PDI")
            for letter in name
        ):  # fmt: skip
            raise ValueError(f"has control characters in the name of class {index}, {name!a}")


def ordered_names(names: Any) -> list[str]:
    """Class names that a program gives, by class index.

    Raises:
        LabelsError: they are no names, or in no order: a set has none, and a map says its own.
    """
    if isinstance(names, (str, Mapping, Set)) or not isinstance(names, Iterable):
        remedy = "; of a map to indices that is sorted(names, key=names.get)"
        raise LabelsError(
            f"classes are not a list of names in the order of training, but of type "
            f"{type(names).__name__}{remedy if isinstance(names, Mapping) else ''}"
        )
    found = list(names)
    for index, name in enumerate(found):
        if not isinstance(name, str):
            raise LabelsError(
                f"the name of class {index} is {name!r}, of type "
                f"{type(name).__name__}; names are text"
            )
    return found


def distinct(names: list[str], notify: Notify = ignore) -> list[str]:
    """Class names that cannot be confused, with each other or with a word that means no class.

    A name that several classes have gets their index: ImageNet's `crane` is a bird and a machine.
    One that is the daemon's or Home Assistant's word for "no value" gets ` (class)`. All are in
    Unicode's composed form (NFC), as keyboards write them.

    Args:
        names: by class index.
        notify: called with a line about each name that was changed, and each two that differ by
            case alone.

    Raises:
        LabelsError: one is no name.
    """
    try:
        check_names(names)
    except ValueError as error:
        raise LabelsError(f"the list of classes {error}; rename it") from error
    names = [unicodedata.normalize("NFC", name).strip() for name in names]
    counts = Counter(names)
    found: list[str] = []
    for index, name in enumerate(names):
        wanted = f"{name} ({index})" if counts[name] > 1 else class_called(name)
        while wanted != name and wanted in counts:
            wanted += _SUFFIX
        found.append(wanted)
    for name, count in counts.items():
        given = [label for label, one in zip(found, names, strict=True) if one == name]
        if count > 1:
            notify(f"{count} classes are called {name}; here they are {', '.join(given)}")
        elif given != [name]:
            notify(f"the class {name} is called {given[0]}: alone the word means no class")
    folded: dict[str, str] = {}
    for name in found:
        other = folded.setdefault(name.casefold(), name)
        if other != name:
            notify(f"{other} and {name} are two classes whose names differ by case alone")
    return found


def is_taken(name: str) -> bool:
    """Whether a name is a word that means no class."""
    return name.casefold() in _TAKEN or name == _TAKEN_EXACTLY


def class_called(name: str) -> str:
    """What `distinct` makes of a name that means no class."""
    return f"{name}{_SUFFIX}" if is_taken(name) else name
