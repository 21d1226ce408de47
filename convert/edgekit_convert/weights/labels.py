"""Where a model's class names come from."""

from dataclasses import dataclass
from pathlib import Path

from edgekit.errors import LabelsError
from edgekit.model.labels import read_labels
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
    model: TrainedModel, file: Path | None, evaluation: Path | None, calibration: Path | None
) -> ClassNames:
    """Names of a model's classes, in the order of training.

    Args:
        model: the trained classifier; ImageNet's weights know their names, a checkpoint may.
        file: of one name a line; decides where it is given.
        evaluation, calibration: pictures in a folder for each class, whose names do where nothing
            else has any: in alphabetical order, as torchvision's ImageFolder numbers them.

    Raises:
        LabelsError: there are none, or not as many as classes.
    """
    ordered = {f"'{one.key}' in the checkpoint": one.names for one in model.saved_names}
    if model.labels is not None:
        ordered["torchvision's ImageNet"] = model.labels
    folders = {
        f"the folders of {option}": _folders(folder)
        for option, folder in (("--evaluate", evaluation), ("--calibration", calibration))
    }
    found = {source: names for source, names in (ordered | folders).items() if names}
    fitting = {source: names for source, names in found.items() if len(names) == model.classes}
    if file is not None:
        chosen = read_labels(file, model.classes)
        return ClassNames(chosen, str(file), _contradictions(chosen, str(file), ordered, found))
    if not fitting:
        counts = " (" + ", ".join(f"{len(names)} in {one}" for one, names in found.items()) + ")"
        raise LabelsError(_NO_NAMES.format(classes=model.classes, found=counts if found else ""))
    source, chosen = next(iter(fitting.items()))
    return ClassNames(chosen, source, _contradictions(chosen, source, ordered, found))


def _listed(names: list[str]) -> str:
    """The first few of them."""
    return f"{', '.join(names[:_SHOWN])}{', …' if len(names) > _SHOWN else ''}"


def _folders(folder: Path | None) -> list[str]:
    """Names of the folders of classes, as torchvision's ImageFolder numbers them."""
    if folder is None or not folder.is_dir():
        return []
    names = (child.name for child in folder.iterdir() if child.is_dir())
    return sorted(name for name in names if not name.startswith((".", "@", "__")))


def _contradictions(
    chosen: list[str], source: str, ordered: dict[str, list[str]], found: dict[str, list[str]]
) -> list[str]:
    """Which other names there are, and of those with an order, which have another."""
    notes = []
    for other, names in found.items():
        if other == source or (other in ordered and names == chosen):
            continue
        if set(names) != set(chosen):
            what = f"other names ({_listed(names)})"
        elif other in ordered:
            what = f"the same names in another order ({_listed(names)})"
        else:
            continue  # folders have no order
        notes.append(
            f"class names are those of {source} ({_listed(chosen)}); {other} has {what}, and one "
            "of the two is wrong"
        )
    return notes
