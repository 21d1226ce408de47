"""Whether a graph computes what the network that it was made of computes, on a few pictures."""

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import ConversionError
from edgekit.model.geometry import Geometry
from edgekit_convert.answers import Answers, logit_ratio

# Between float32 orders of additions there are 100 dB and more; float16 rounds at 60 to 70.
_SAME_DB = 40.0


def trial_pictures(geometry: Geometry) -> NDArray[np.uint8]:
    """Three pictures that differ (3, H, W, 3): black, and random pixels."""
    shape = (3, geometry.height, geometry.width, 3)
    pictures = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    pictures[0] = 0
    return pictures


def difference(expected: Answers, found: Answers) -> float | None:
    """How far answers are from those expected, in dB, where they are not the same function's.

    Returns:
        the signal-to-noise ratio of the logits, 0 where they are of other classes; None where the
        two agree but for the order of additions, or for float16's rounding.
    """
    if expected.logits.shape != found.logits.shape:
        return 0.0
    ratio = logit_ratio(expected.logits, found.logits)
    return ratio if ratio is not None and ratio < _SAME_DB else None


def check_same(expected: Answers, found: Answers, how: str, remedy: str) -> None:
    """Refuse a graph that answers otherwise than the network that it was made of.

    Args:
        expected: answers of the network.
        found: of the graph, to the same pictures.
        how: what was done to the network.
        remedy: what to do about it.

    Raises:
        ConversionError: it does.
    """
    ratio = difference(expected, found)
    if ratio is not None:
        raise ConversionError(f"the network answers otherwise {how} ({ratio:.1f} dB); {remedy}")
