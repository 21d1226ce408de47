"""What a data set or loader gives at a time: a picture, a picture and its label, or a batch."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

from edgekit.errors import DatasetError
from edgekit.text import listed
from edgekit.vision.folders import IMAGE_SUFFIXES
from edgekit_convert.given.loaded import is_pil

# What data sets and loaders call pictures and labels in a dictionary; the first that is there.
PICTURES = ("image", "images", "img", "pixel_values", "picture", "pixels", "x", "jpg", "png")
LABELS = ("label", "labels", "fine_label", "target", "targets", "class", "cls", "y")
_SHOWN = 6
_BATCH = 4  # dimensions


class Item(NamedTuple):
    """A picture and its label, as they came; a label of None is none."""

    picture: Any
    label: Any = None


def items_of(element: Any, where: str) -> list[Item]:
    """The pictures of what a data set or loader gives at a time.

    Args:
        element: a picture, an array (N, H, W, 3) or (N, 3, H, W) or a list of pictures; a tuple of
            those and labels; a list of such tuples; or a dictionary.
        where: which element it is, for messages.

    Raises:
        DatasetError: it is none of these.
    """
    if is_picture(element):
        return [Item(one) for one in _each(element)]
    if isinstance(element, Mapping):
        return _of_mapping(element, where)
    if is_list(element):
        if len(element) > 1 and _is_pictures(element[0]) and _is_labels(element[1], element[0]):
            return _labelled(element[0], element[1], where)
        if _is_many(element):
            return [item for one in element for item in items_of(one, where)]
    raise DatasetError(
        f"{where} is {_described(element)}, neither a picture nor a picture and its label"
    )


def is_list(value: Any) -> TypeGuard[Sequence[Any]]:
    """Whether it is a list or a tuple."""
    return isinstance(value, (list, tuple))


def is_picture(value: Any) -> bool:
    """Whether it is a picture, or an array or tensor of one or many."""
    if isinstance(value, Mapping):
        return "bytes" in value and ("path" in value or len(value) == 1)
    if isinstance(value, str):
        return Path(value).suffix.lower() in IMAGE_SUFFIXES
    if isinstance(value, (bytes, os.PathLike)) or is_pil(value):
        return True
    return _dimensions(value) >= 2


def is_label(value: Any) -> bool:
    """Whether it is what may be one picture's label: a number, a name, one-hot, or None."""
    if value is None or isinstance(value, (int, float)):
        return True
    if isinstance(value, str):
        return not is_picture(value)
    return _dimensions(value) in (0, 1)


def _dimensions(value: Any) -> int:
    """Of an array or a tensor of any library; -1 of anything else."""
    count = getattr(value, "ndim", -1)
    return count if isinstance(count, int) and hasattr(value, "dtype") else -1


def _is_many(element: Sequence[Any]) -> bool:
    """Whether it is a list of pictures, labelled or not: in a tuple a picture's label is next."""
    if len(element) > 1 and is_picture(element[0]) and isinstance(element, tuple):
        return False
    return all(
        isinstance(one, Mapping)
        or is_list(one)
        or (is_picture(one) and (_dimensions(one) != _BATCH or len(element) == 1))
        for one in element
    )


def _is_pictures(value: Any) -> bool:
    return is_picture(value) or (is_list(value) and bool(value) and all(map(is_picture, value)))


def _is_labels(labels: Any, pictures: Any) -> bool:
    """Whether they are the labels of a picture, or of a batch."""
    if is_list(pictures) or _dimensions(pictures) == _BATCH:
        return _dimensions(labels) in (1, 2) or (is_list(labels) and all(map(is_label, labels)))
    return is_label(labels)


def _labelled(pictures: Any, labels: Any, where: str) -> list[Item]:
    if not (is_list(pictures) or _dimensions(pictures) == _BATCH):
        return [Item(pictures, labels)]
    if len(pictures) != len(labels):
        raise DatasetError(f"{where} has {len(labels)} labels for {len(pictures)} pictures")
    return [Item(*pair) for pair in zip(_each(pictures), labels, strict=True)]


def _of_mapping(element: Mapping[Any, Any], where: str) -> list[Item]:
    there = [name for name, value in element.items() if _is_pictures(value)]
    names = [name for name in PICTURES if name in there] or there
    if not names or (len(names) > 1 and names[0] not in PICTURES):
        keys = listed([str(key) for key in element], _SHOWN)
        raise DatasetError(
            f"{where} is a dictionary of {keys}, none of which is the picture: call it image; of "
            "several splits pass one"
        )
    pictures = element[names[0]]
    label = next((name for name in LABELS if name in element), None)
    labels = None if label is None else element[label]
    if labels is None:
        return items_of(pictures, where)
    if not _is_labels(labels, pictures):
        raise DatasetError(f"{where} has {_described(labels)} for its {label}, which is no label")
    return _labelled(pictures, labels, where)


def _each(pictures: Any) -> Iterator[Any]:
    return iter(pictures if is_list(pictures) or _dimensions(pictures) == _BATCH else [pictures])


def _described(value: Any) -> str:
    name = type(value).__name__
    if is_list(value):
        return f"a {name} of {listed([type(one).__name__ for one in value], _SHOWN) or 'nothing'}"
    shape = getattr(value, "shape", None)
    return name if shape is None else f"{name} of the shape {tuple(shape)}"
