"""Where a model's class names come from."""

from pathlib import Path

from edgekit.errors import LabelsError
from edgekit.model.labels import read_labels
from edgekit_convert.weights.trained import TrainedModel


def class_names(model: TrainedModel, file: Path | None, evaluation: Path | None) -> list[str]:
    """Names of a model's classes, in the order of training.

    Args:
        model: the trained classifier; ImageNet's weights know their names.
        file: of one name a line; decides where it is given.
        evaluation: pictures in a folder for each class, whose names do where nothing else has any.

    Raises:
        LabelsError: there are none, or not as many as classes.
    """
    if file is not None:
        return read_labels(file, model.classes)
    if model.labels is not None:
        return model.labels
    if evaluation is not None and evaluation.is_dir():
        names = sorted(child.name for child in evaluation.iterdir() if child.is_dir())
        if len(names) == model.classes:
            return names
    raise LabelsError(
        f"the checkpoint has {model.classes} classes and no names for them; pass --classes FILE "
        "with one name a line, in the order of training"
    )
