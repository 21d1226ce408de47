"""What pixels a network's inputs were made of: normalization is undone, and has to give some."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekit.model.manifest import Normalization
from edgekit_convert.feeding.candidates import NORMALIZATIONS

# What data is normalized with. Those of one data set are as good as ImageNet's to a network, and
# not to who wants the pixels back.
KNOWN = (
    *NORMALIZATIONS.values(),
    Normalization((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),  # CIFAR-10
    Normalization((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),  # the same, as many have it
    Normalization((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)),  # CIFAR-100
    Normalization(
        (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # CLIP
    ),
)  # fmt: skip
_WHOLE = 0.1  # mean distance of pixels from whole values: 0 as they should be, 0.25 at random
_FLAT = 0.01  # standard deviation of a normalized picture: less than a pixel value


class Recognized(NamedTuple):
    """What inputs say of how they were normalized.

    Attributes:
        normalization: the one that gives pixels; None where none is found.
        shown: whether the inputs show it; they may only not contradict it.
    """

    normalization: Normalization | None
    shown: bool


def recognize(values: NDArray[Any], asked: Normalization) -> Recognized:
    """Find out what inputs were normalized with.

    Undone, it gives whole pixel values. Pictures that were resized in float have none; what they
    were normalized with is taken for another than `asked` where that, and not `asked`, gives each
    channel black and white and nothing beyond.

    Args:
        values: of many pictures, channel by channel, (3, N).
        asked: what they should be normalized with.
    """
    pixels = undo(values, asked)
    others = [one for one in KNOWN if one != asked]
    if is_whole(pixels):
        return Recognized(asked, shown=True)
    for other in others:
        if is_whole(undo(values, other)):
            return Recognized(other, shown=True)
    if not _is_full(pixels):
        for other in others:
            if _is_full(undo(values, other)):
                return Recognized(other, shown=True)
    return Recognized(asked if in_range(pixels) else None, shown=False)


def undo(values: NDArray[Any], normalization: Normalization) -> NDArray[np.float32]:
    """Pixels from 0 to 255 of normalized values (3, ...), by channel."""
    shape = (3, *(1,) * (values.ndim - 1))
    mean, std = (np.reshape(one, shape) for one in (normalization.mean, normalization.std))
    return np.asarray((values * std + mean) * 255, dtype=np.float32)


def in_range(pixels: NDArray[np.float32]) -> bool:
    """Whether they are from 0 to 255, but for rounding."""
    return bool(pixels.min() > -1 and pixels.max() < 256)


def is_whole(pixels: NDArray[np.float32]) -> bool:
    """Whether they are whole numbers from 0 to 255, but for rounding."""
    return in_range(pixels) and float(np.abs(pixels - pixels.round()).mean()) < _WHOLE


def is_flat(picture: NDArray[Any]) -> bool:
    """Whether a picture (3, pixels) is of one colour, which tells nothing."""
    return float(picture.std(axis=1).max()) < _FLAT


def _is_full(pixels: NDArray[np.float32]) -> bool:
    """Whether every channel (3, N) is from 0 to 255 and has both."""
    lowest, highest = pixels.min(axis=1), pixels.max(axis=1)
    return in_range(pixels) and bool((lowest < 1).all() and (highest > 254).all())
