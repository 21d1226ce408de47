"""A profile of bright grey pictures that were answered with confidence."""

import numpy as np
from numpy.typing import NDArray

from edgekit.inference.figures import answer_figures, picture_figures
from edgekit.model.profile import (
    ANSWER_FIGURES,
    PICTURE_FIGURES,
    QUANTILES,
    Profile,
    Reference,
)

SURE = np.array([0.95, 0.05], np.float32)


def grey(value: int) -> NDArray[np.uint8]:
    """A model's input (1, 8, 8, 3) of this grey, with a little structure."""
    tensor = np.full((1, 8, 8, 3), value, np.uint8)
    tensor[:, ::2] += 20
    return tensor


def profile() -> Profile:
    """That of pictures as bright as `grey(150)`, answered with `SURE`."""

    def reference(names: tuple[str, ...], values: tuple[float, ...]) -> Reference:
        figures = {name: [value] * QUANTILES for name, value in zip(names, values, strict=True)}
        return Reference(images=100, source="calibration", figures=figures)

    return Profile(
        pictures=reference(PICTURE_FIGURES, picture_figures(grey(150))),
        answers=reference(ANSWER_FIGURES, answer_figures(SURE)),
    )
