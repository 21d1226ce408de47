"""What is measured of a picture, and of the answer to it, to tell whether it is a usual one."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

# In grey values: of a darker picture there is no colour to speak of.
_DARK = 4.0
# In squared grey values: less is rounding.
_ROUNDING = 0.5


def picture_figures(tensor: NDArray[np.uint8]) -> tuple[float, ...]:
    """`PICTURE_FIGURES` of a model's input (1, height, width, 3) uint8, RGB.

    - brightness: mean luma, from 0 to 255.
    - contrast: decadic logarithm of luma's standard deviation and 1.
    - warmth: (red - blue) / (red + green + blue) of the mean colour; above 0 is reddish.
    - greenness: (green - (red + blue) / 2) / (red + green + blue).
    - sharpness: decadic logarithm of r - 1/4, where r is the energy of differences between pixels
      a 64th of the picture apart, but two at least, over that of pixels twice as far apart: 1/4 on
      a slope, 1/2 at an edge, 1 in noise. Light and contrast do not change it, and twice the blur
      takes a constant away.
    """
    luma = cv2.cvtColor(tensor[0], cv2.COLOR_RGB2GRAY)
    # Every fourth row tells the colour as well, in a quarter of the time; one channel after the
    # other is faster, too.
    red, green, blue = (cv2.mean(channel)[0] for channel in cv2.split(tensor[0, ::4]))
    mean, deviation = (float(value[0, 0]) for value in cv2.meanStdDev(luma))
    colour = red + green + blue + 3 * _DARK
    apart = max(2, min(luma.shape) // 64)
    ratio = (_energy(luma, apart) + _ROUNDING) / (_energy(luma, 2 * apart) + _ROUNDING)
    return (
        mean,
        math.log10(1 + deviation),
        (red - blue) / colour,
        (green - (red + blue) / 2) / colour,
        math.log10(max(ratio - 0.25, 0.001)),
    )


def _energy(luma: NDArray[np.uint8], distance: int) -> float:
    """Mean of squared differences between pixels so far apart, across and down, added."""
    total = 0.0
    for here, there in (
        (luma[:, distance:], luma[:, :-distance]),
        (luma[distance:], luma[:-distance]),
    ):
        if here.size:
            total += cv2.norm(here, there, cv2.NORM_L2SQR) / here.size
    return total


def answer_figures(scores: NDArray[np.float32]) -> tuple[float, ...]:
    """`ANSWER_FIGURES` of scores (classes,): the best one."""
    return (float(scores.max()),)
