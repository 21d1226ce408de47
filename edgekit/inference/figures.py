"""What is measured of a picture, and of the answer to it, to tell whether it is a usual one."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

# About as many rows are looked at; each costs time, and the others look alike.
_ROWS = 64
# In grey values: below it there is no colour and no detail to speak of, but noise.
_NOISE = 4.0


def picture_figures(tensor: NDArray[np.uint8]) -> tuple[float, ...]:
    """`PICTURE_FIGURES` of a model's input (1, height, width, 3) uint8, RGB.

    - brightness: mean luma, from 0 to 255.
    - contrast: standard deviation of luma.
    - warmth: (red - blue) / (red + green + blue) of the mean colour; above 0 is reddish.
    - greenness: (green - (red + blue) / 2) / (red + green + blue).
    - sharpness: decadic logarithm of the energy of differences between neighbours, over that of
      luma itself; so neither light nor contrast changes it.
    """
    rows = np.ascontiguousarray(tensor[0, :: max(1, tensor.shape[1] // _ROWS)])
    luma = cv2.cvtColor(rows, cv2.COLOR_RGB2GRAY)
    red, green, blue, _ = cv2.mean(rows)
    mean, deviation = (float(value[0, 0]) for value in cv2.meanStdDev(luma))
    detail = cv2.norm(luma[:, 1:], luma[:, :-1], cv2.NORM_L2SQR) / max(1, luma[:, 1:].size)
    colour = red + green + blue + 3 * _NOISE
    return (
        mean,
        deviation,
        (red - blue) / colour,
        (green - (red + blue) / 2) / colour,
        math.log10((detail + 0.01) / (2 * deviation**2 + _NOISE)),
    )


def answer_figures(scores: NDArray[np.float32]) -> tuple[float, ...]:
    """`ANSWER_FIGURES` of scores (classes,): the best one, and by how much it beats the second."""
    if len(scores) < 2:
        return float(scores[0]), float(scores[0])
    second, best = np.partition(scores, -2)[-2:]
    return float(best), float(best) - float(second)
