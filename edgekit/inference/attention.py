"""Where a model looks: what its answer loses when a part of the picture is hidden.

An occlusion map (Zeiler and Fergus, Visualizing and Understanding Convolutional Networks, 2014,
arXiv:1311.2901), which needs nothing of a model but its answers.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekit.errors import InferenceError

# Of the picture's smaller side: the blur's standard deviation.
_BLUR = 0.2
# What is hidden beside each part on every side, in parts: something that two parts share would else
# never be hidden whole.
_MARGIN = 0.5

Invoke = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class OcclusionMap:
    """What a class's score loses where the picture is hidden.

    Attributes:
        index: of the class.
        score: its probability for the whole picture, in [0, 1].
        drops: (rows, columns) float32, what is missing of it with the picture hidden there;
            negative where it gains.
    """

    index: int
    score: float
    drops: NDArray[np.float32]


def occlusion_map(
    invoke: Invoke,
    tensor: NDArray[np.uint8],
    rows: int,
    columns: int,
    *,
    progress: Callable[[float], bool] = lambda done: True,
) -> OcclusionMap | None:
    """Hide one part of the picture after the other, and see what the best class's score loses.

    Args:
        invoke: scores (classes,) float32 of a tensor; called rows * columns + 1 times.
        tensor: (1, height, width, 3) uint8, the picture.
        rows, columns: parts, from 1 to the picture's height and width.
        progress: called with what is done, in [0, 1], before each further call; False to stop.

    Returns:
        The map, None where it was stopped.

    Raises:
        InferenceError: `invoke` failed, or a score is not a number.
    """
    whole = _finite(invoke(tensor))
    index = int(whole.argmax())
    drops = np.zeros((rows, columns), np.float32)
    hidden = _hidden(tensor[0])
    height, width = hidden.shape[:2]
    down, across = (np.linspace(0, size, n + 1) for size, n in ((height, rows), (width, columns)))
    for at in range(rows * columns):
        if not progress((at + 1) / (rows * columns + 1)):
            return None
        row, column = divmod(at, columns)
        part = _span(down, row, height), _span(across, column, width)
        picture = tensor.copy()
        picture[0][part] = hidden[part]
        drops[row, column] = whole[index] - _finite(invoke(picture))[index]
    return OcclusionMap(index, float(whole[index]), drops)


def _hidden(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture without anything to be recognized.

    Blurred, not grey: a grey square is itself a thing to be seen, with edges and a colour that the
    place does not have (docs/live-page.md has the figures).
    """
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), _BLUR * min(pixels.shape[:2])), np.uint8)


def _span(edges: NDArray[np.float64], number: int, size: int) -> slice:
    """Rows or columns of a part and its margin."""
    margin = _MARGIN * (edges[1] - edges[0])
    return slice(
        max(0, round(edges[number] - margin)), min(size, round(edges[number + 1] + margin))
    )


def _finite(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    if not np.isfinite(scores).all():
        raise InferenceError("the model answers with what is not a number")
    return scores
