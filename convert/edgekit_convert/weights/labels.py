"""Where a model's class names come from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit.errors import LabelsError
from edgekit.model.labels import check_names, ordered_names, read_labels
from edgekit.text import listed
from edgekit.vision.dataset import class_folders
from edgekit_convert.weights.trained import TrainedModel

_SHOWN = 6
_NO_NAMES = (
    "the checkpoint has {classes} classes and no names for them{found}; pass --classes FILE with "
    "one name a line, in the order of training, or put the pictures of --evaluate or --calibration "
    "into a folder for each class, or save the names beside the state dict: {{'state_dict': …, "
    "'classes': […]}}"
)


@dataclass(frozen=True)
class ClassNames:
    """Names of a model's classes.

    Attributes:
        names: in the order of training.
        source: where they are from, in words.
        notes: what else is named otherwise, in words.
    """

    names: list[str]
    source: str
    notes: list[str]


def class_names(
    model: TrainedModel,
    given: Path | Sequence[str] | None,
    evaluation: Path | None,
    calibration: Path | None,
    datasets: Mapping[str, Sequence[str] | None] | None = None,
) -> ClassNames:
    """Names of a model's classes, in the order of training.

    Args:
        model: the trained classifier; ImageNet's weights know their names, a checkpoint may.
        given: the names, or a file of one name a line; decides where it is given.
        evaluation, calibration: pictures in a folder for each class, whose names do where nothing
            else has any: in alphabetical order, as torchvision's ImageFolder numbers them.
        datasets: names that data sets in Python have, by what they were given for; their order is
            that of their labels.

    Raises:
        LabelsError: there are none, or not as many as classes.
    """
    saved = {f"'{one.key}' in the checkpoint": one.names for one in model.saved_names}
    published = {"torchvision's ImageNet": model.labels} if model.labels is not None else {}
    folders = {
        f"the folders of {option}": _folders(folder)
        for option, folder in (("--evaluate", evaluation), ("--calibration", calibration))
    }
    own = {
        f"the data set of {one}": list(names) for one, names in (datasets or {}).items() if names
    }
    found = {
        source: names for source, names in (saved | published | own | folders).items() if names
    }
    fitting = {source: names for source, names in found.items() if len(names) == model.classes}
    if isinstance(given, Path):
        source, chosen = str(given), read_labels(given, model.classes)
    elif given is not None:
        source, chosen = "the call", _checked(given, model.classes)
    elif fitting:
        source, chosen = next(iter(fitting.items()))
    else:
        counts = ", ".join(f"{len(names)} in {one}" for one, names in found.items())
        raise LabelsError(
            _NO_NAMES.format(classes=model.classes, found=f" ({counts})" if counts else "")
        )
    others = {one: names for one, names in (saved | own | folders).items() if one != source}
    # Folders and data sets may be something else, as the days of a recording, or lack classes.
    notes = [
        f"class names are those of {source} ({listed(chosen, _SHOWN)}); {other} has {difference} "
        f"({listed(names, _SHOWN)}), and one of the two is wrong"
        for other, names in others.items()
        if (other in saved or len(names) == len(chosen))
        and (difference := _difference(names, chosen, ordered=other not in folders))
    ]
    return ClassNames(chosen, source, notes)


def _checked(given: Sequence[str], expected: int) -> list[str]:
    """Names that came from Python.

    Raises:
        LabelsError: they are none, or of another number.
    """
    names = ordered_names(given)
    try:
        check_names(names)
    except ValueError as error:
        raise LabelsError(f"classes {error}") from error
    if len(names) != expected:
        raise LabelsError(f"classes are {len(names)}, but the model has {expected}")
    return names


def _folders(folder: Path | None) -> list[str]:
    """Names of the folders of classes, as torchvision's ImageFolder numbers them."""
    if folder is None or not folder.is_dir():
        return []
    return class_folders(folder)


def _difference(names: list[str], chosen: list[str], *, ordered: bool) -> str | None:
    """In what names contradict those chosen, in words.

    Folders have no order.
    """
    if {name.casefold() for name in names} != {name.casefold() for name in chosen}:
        return "other names"
    return "the same names in another order" if ordered and names != chosen else None
