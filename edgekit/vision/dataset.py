"""Labelled pictures: a folder per class, or a folder with `labels.tsv`."""

from dataclasses import dataclass
from pathlib import Path

from edgekit.errors import DatasetError
from edgekit.vision.folders import image_files

TABLE = "labels.tsv"


@dataclass(frozen=True)
class LabelledImage:
    """A picture file and its class index."""

    path: Path
    index: int


def _from_table(folder: Path, classes: int, offset: int) -> list[LabelledImage]:
    table = folder / TABLE
    try:
        lines = table.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"cannot read {table} as text: {error}") from error
    images = []
    for number, line in enumerate(lines, start=1):
        if not line.strip() or (number == 1 and line.rstrip().endswith("class_index")):
            continue
        name, tab, index = line.rpartition("\t")
        if not tab or not index.strip().lstrip("-").isdigit():
            raise DatasetError(f"{table}, line {number} is not 'file<TAB>class_index'")
        value = int(index) + offset
        if not 0 <= value < classes:
            raise DatasetError(
                f"{table}, line {number}: class {value} is not one of the model's {classes} "
                "(0-based); see --class-offset"
            )
        if not (folder / name).is_file():
            raise DatasetError(f"{table}, line {number}: no file {name} in {folder}")
        images.append(LabelledImage(folder / name, value))
    if not images:
        raise DatasetError(f"{table} lists no pictures")
    return images


def _from_folders(folder: Path, labels: list[str], offset: int) -> list[LabelledImage]:
    names = sorted(child.name for child in folder.iterdir() if child.is_dir())
    if not names:
        raise DatasetError(f"{folder} has neither a folder per class nor a {TABLE}")
    if set(names) <= set(labels):
        indices = {name: labels.index(name) for name in names}
    elif len(names) + offset == len(labels):
        # Named otherwise: alphabetical order, as torchvision's ImageFolder has it.
        indices = {name: i + offset for i, name in enumerate(names)}
    else:
        strange = next(name for name in names if name not in labels)
        raise DatasetError(
            f"the folder {folder / strange} is not named like one of the model's {len(labels)} "
            f"classes ({', '.join(labels[:3])}, …)"
        )
    return [
        LabelledImage(path, indices[name]) for name in names for path in image_files(folder / name)
    ]


def labelled_images(folder: Path, labels: list[str], class_offset: int = 0) -> list[LabelledImage]:
    """List the labelled pictures in `folder`, in a fixed order.

    Args:
        folder: holds a folder per class, named as the classes are (or as many folders as classes,
            in alphabetical order); or a table `labels.tsv` of `file<TAB>class_index`.
        labels: the model's class names.
        class_offset: added to each class index of the dataset.

    Raises:
        DatasetError, ImageError: the layout is another, or a class has no pictures.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder} is not a folder of labelled pictures")
    if (folder / TABLE).is_file():
        return _from_table(folder, len(labels), class_offset)
    return _from_folders(folder, labels, class_offset)
