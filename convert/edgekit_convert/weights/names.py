"""Class names that a training left in its checkpoint."""

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# Keys under which trainings keep them, those with indices of their own first.
KEYS = (
    "class_to_idx", "class_to_index", "class_to_id", "label2id", "label_to_idx", "class_indices",
    "idx_to_class", "index_to_class", "id2label", "id_to_label", "idx2label", "idx_to_label",
    "classes", "class_names", "classnames", "labels", "label_names", "names", "categories",
    "target_names", "vocab", "CLASSES", "class2idx", "idx2class",
)  # fmt: skip
_DEPTH = 4  # dictionaries in dictionaries, such as Lightning's hyper_parameters


@dataclass(frozen=True)
class SavedNames:
    """Class names in a checkpoint.

    Attributes:
        key: under which they are.
        names: in the order of their indices.
    """

    key: str
    names: list[str]


def find_names(loaded: Any) -> list[SavedNames]:
    """All class names in what a checkpoint holds, the surest first."""
    found = [one for one in _find(loaded, 0) if not _are_numbers(one.names)]
    return sorted(found, key=lambda one: KEYS.index(one.key))


def _are_numbers(names: list[str]) -> bool:
    """Whether they are Transformers' for classes without names: LABEL_0, LABEL_1, …"""
    return names == [f"LABEL_{index}" for index in range(len(names))]


def _find(value: Any, depth: int) -> Iterator[SavedNames]:
    if isinstance(value, argparse.Namespace):
        value = vars(value)
    if not isinstance(value, Mapping) or depth > _DEPTH:
        return
    for key, item in value.items():
        if key in KEYS and (names := _names(item)):
            yield SavedNames(key, names)
        else:
            yield from _find(item, depth + 1)


def _names(value: Any) -> list[str] | None:
    """Names by index: of a list, or of a dictionary in either direction."""
    if isinstance(value, Mapping):
        value = _by_index(value)
    if not isinstance(value, (list, tuple)) or len(value) < 2:
        return None
    return list(value) if all(isinstance(name, str) for name in value) else None


def _by_index(names: Mapping[Any, Any]) -> list[Any] | None:
    """The names, where the indices are 0, 1, 2, …; JSON has them as text where they are keys."""
    numbered = all(isinstance(index, int) for index in names.values())
    pairs = names.items() if not numbered else [(index, name) for name, index in names.items()]
    try:
        ordered = {int(index): name for index, name in pairs}
    except (TypeError, ValueError):
        return None
    indices = sorted(ordered)
    # Counted from 1, as in MATLAB; the order is the same.
    complete = indices in (list(range(len(names))), list(range(1, len(names) + 1)))
    return [ordered[index] for index in indices] if complete else None
