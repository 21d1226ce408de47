"""Labels of a data set as class indices of the model."""

import difflib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import DatasetError
from edgekit.model.labels import Notify, distinct, ignore
from edgekit.text import listed
from edgekit_convert.given.decode import as_array

_SHOWN = 5
_NONE = -1  # what data sets write where a picture has no label


class LabelReader:
    """Reads labels.

    Args:
        labels: the model's class names.
        own: the data set's, by its own indices; None where it has none.
        name: of the data set, for messages.
        notify: called with a line about what was guessed.

    Raises:
        DatasetError: it has classes that the model does not have.
    """

    def __init__(
        self,
        labels: Sequence[str],
        own: Sequence[str] | None,
        name: str,
        notify: Notify = ignore,
    ) -> None:
        self._labels = list(labels)
        self._own = distinct(list(own)) if own else self._labels
        self._indices = self._matched(name)
        if self._indices != list(range(len(self._labels))):
            notify(
                f"{name}: its classes ({listed(self._own, _SHOWN)}) are matched to the model's by "
                "name, as they are others or in another order"
            )

    def _matched(self, name: str) -> list[int]:
        """The model's index of each class of the data set.

        By name; as many classes of other names only are the same in the same order.
        """
        found = {label: index for index, label in enumerate(self._labels)}
        missing = [label for label in self._own if label not in found]
        same_place = all(found.get(label, index) == index for index, label in enumerate(self._own))
        if len(self._own) == len(self._labels) and same_place:
            return list(range(len(self._labels)))
        if missing:
            raise DatasetError(
                f"{name} has classes that the model does not have: {listed(missing, _SHOWN)}; the "
                f"model's are {listed(self._labels, _SHOWN)}; name them alike (classes=…)"
            )
        return [found[label] for label in self._own]

    def index(self, label: Any, where: str, offset: int = 0) -> int | None:
        """The class of a label.

        Args:
            label: an index of the data set's, a class's name, or one-hot; None or -1 for none.
            where: which picture's, for messages.
            offset: added to an index.

        Raises:
            DatasetError: it is none of these, or no class of the model's.
        """
        if label is None or isinstance(label, str):
            return None if label is None else self._named(label, where)
        number = _number(as_array(label, f"{where}'s label"), where)
        if number == _NONE:
            return None
        last = len(self._indices) - 1 - offset
        if not 0 <= number <= last:
            raise DatasetError(
                f"{where} has the label {number}, where the classes are from 0 to {last}"
            )
        return self._indices[number + offset]

    def _named(self, label: str, where: str) -> int:
        for names, indices in ((self._own, self._indices), (self._labels, None)):
            if label in names:
                index = names.index(label)
                return index if indices is None else indices[index]
        near = difflib.get_close_matches(label, self._labels, n=3) or self._labels
        raise DatasetError(
            f"{where} has the label {label!r}, which is no class of the model; they are "
            f"{listed(near, _SHOWN)}"
        )


def _number(label: NDArray[Any], where: str) -> int:
    """A whole number: of one, or of one-hot."""
    if label.size == 1:
        value = label.reshape(-1)[0]
        if not np.isfinite(value) or value != int(value):
            raise DatasetError(f"{where} has the label {value}, which is no whole number")
        return int(value)
    if label.ndim == 1 and np.count_nonzero(label) == 1 and label.max() == 1:
        return int(label.argmax())
    raise DatasetError(
        f"{where} has several labels at once, {label.shape}, or mixed ones; give one each"
    )
