"""What the numbers of a floating-point picture mean: found out from many of them, never guessed."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import DatasetError
from edgekit.model.manifest import Normalization
from edgekit_convert.feeding.candidates import NORMALIZATIONS, triple
from edgekit_convert.feeding.pixels import in_range, is_flat, is_whole, recognize, undo

_TO_1 = NORMALIZATIONS["pixels from 0 to 1"]
_TO_255 = NORMALIZATIONS["pixels from 0 to 255"]
_ROUNDING = 1e-3
# Normalized values that are nowhere below 0 are at most some 3; pixels of less are next to black.
_SURELY_PIXELS = 16
# Of normalized pictures that are no whole pixels, lightest less darkest: another normalization's
# -1 to 1, undone with ImageNet's, are 65 to 182.
_SPAN = 160
# Two notations of one mean or standard deviation.
_ALIKE = 5e-4
_SAFE = "give the pixels themselves, uint8 from 0 to 255"


class Reading(NamedTuple):
    """How the values of floating-point pictures become pixels.

    Attributes:
        normalization: which is undone.
        note: what is open about it, in words; empty for nothing.
    """

    normalization: Normalization
    note: str = ""

    def pixels(self, values: NDArray[np.float32], where: str) -> NDArray[np.uint8]:
        """Raw pixels of a picture's values, (3, H, W) both.

        Raises:
            DatasetError: they would not be from 0 to 255; `where` says which picture.
        """
        found = undo(values, self.normalization)
        if not in_range(found):
            raise DatasetError(
                f"{where} has values from {values.min():.3g} to {values.max():.3g}, which as "
                f"those of the first pictures would be pixels from {found.min():.0f} to "
                f"{found.max():.0f}; {_SAFE}"
            )
        return np.clip(np.rint(found), 0, 255).astype(np.uint8)


def find_reading(
    pictures: Sequence[NDArray[np.float32]],
    asked: Normalization,
    of_loader: Normalization | None,
    option: str,
) -> Reading:
    """Find out what the values of pictures mean.

    As a loader is how the network was fed, one that normalizes otherwise than the conversion
    contradicts it.

    Args:
        pictures: some of them, or some pixels of each, (3, pixels).
        asked: the normalization of the conversion.
        of_loader: what the data set's transforms normalize with, where that is known.
        option: what they were given for, for messages.

    Raises:
        DatasetError: they contradict the conversion, or show nothing.
    """
    telling = [picture for picture in pictures if not is_flat(picture)]
    if not telling:
        raise DatasetError(
            f"{option} is floating-point, and its first pictures are of one colour each, so what "
            f"its numbers mean cannot be told; {_SAFE}"
        )
    values = np.concatenate(telling, axis=1)
    lowest, highest = float(values.min()), float(values.max())
    if of_loader is not None:
        if not _alike(of_loader, asked):
            raise _contradiction(option, of_loader)
        # A transform may be there and not applied: then pixels would be pale.
        if is_whole(undo(values, asked)) or _span(values, asked) >= _SPAN:
            return Reading(asked)
    if lowest < -_ROUNDING:
        return _normalized(values, asked, option)
    if is_whole(undo(values, asked)) and asked != _TO_255:
        return Reading(asked)
    if highest <= 1 + _ROUNDING:
        return Reading(_TO_1, _note("from 0 to 1", _TO_1, asked))
    if is_whole(undo(values, _TO_255)) or _SURELY_PIXELS < highest < 256:
        return Reading(_TO_255, _note("from 0 to 255", _TO_255, asked))
    raise _unclear(option, lowest, highest)


def _normalized(values: NDArray[Any], asked: Normalization, option: str) -> Reading:
    """Of values that are below 0, which no pixels are."""
    lowest, highest = float(values.min()), float(values.max())
    found, shown = recognize(values, asked)
    if found is not None and found != asked:
        raise _contradiction(option, found)
    if shown:
        return Reading(asked)
    if found is None or _span(values, asked) < _SPAN:
        raise _unclear(option, lowest, highest)
    return Reading(
        asked,
        "its values are no whole pixels, as pictures resized in floating point are not: that they "
        f"are normalized with {_arguments(asked)} they do not show",
    )


def _span(values: NDArray[Any], normalization: Normalization) -> float:
    """The lightest pixel less the darkest."""
    pixels = undo(values, normalization)
    return float(pixels.max() - pixels.min())


def _note(words: str, taken: Normalization, asked: Normalization) -> str:
    """What to do where the network was trained on what the loader gives."""
    if _alike(taken, asked):
        return ""
    return (
        f"its values are taken for pixels {words}; if the network was trained on them as they are, "
        f"without {_arguments(asked)}, convert it with {_arguments(taken)}"
    )


def _contradiction(option: str, found: Normalization) -> DatasetError:
    return DatasetError(
        f"{option} is normalized otherwise than the conversion would; as the network was fed so, "
        f"convert it with {_arguments(found)}"
    )


def _unclear(option: str, lowest: float, highest: float) -> DatasetError:
    return DatasetError(
        f"{option} has values from {lowest:.3g} to {highest:.3g}, and whether they are pixels, or "
        f"pixels normalized with mean and std, cannot be told; convert with the mean and std that "
        f"it was normalized with, or {_SAFE}"
    )


def _arguments(normalization: Normalization) -> str:
    return f"mean=({triple(normalization.mean)}), std=({triple(normalization.std)})"


def _alike(one: Normalization, other: Normalization) -> bool:
    return bool(
        np.allclose(one.mean, other.mean, rtol=0, atol=_ALIKE)
        and np.allclose(one.std, other.std, rtol=0, atol=_ALIKE)
    )
