"""What a model's pictures and answers looked like on its workstation: what drift is told by."""

from itertools import pairwise
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

# Quantiles that are kept of each figure, evenly spaced: the minimum, 19 between, the maximum.
QUANTILES = 21
# What `edgekit.inference.figures` measures of a picture, and of an answer.
PICTURE_FIGURES = ("brightness", "contrast", "warmth", "greenness", "sharpness")
ANSWER_FIGURES = ("score",)
# None of them comes near it; what is computed with them stays finite.
_LARGEST = 1e6

Quantiles = Annotated[
    list[Annotated[float, Meta(ge=-_LARGEST, le=_LARGEST)]],
    Meta(min_length=QUANTILES, max_length=QUANTILES),
]
Source = Literal["calibration", "evaluation", "calibration and evaluation"]


class Reference(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """Figures over a number of pictures.

    Attributes:
        images: number of pictures.
        source: which they were.
        figures: by name, `QUANTILES` evenly spaced quantiles over the pictures, ascending.
    """

    images: Annotated[int, Meta(ge=1, le=2**31)]
    source: Source
    figures: dict[str, Quantiles]

    def __post_init__(self) -> None:
        for name, values in self.figures.items():
            if any(after < before for before, after in pairwise(values)):
                raise ValueError(f"quantiles of {name} do not ascend")


class Profile(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """What a model's pictures and answers looked like.

    Attributes:
        pictures: `PICTURE_FIGURES` of its pictures; none where it had no real ones.
        answers: `ANSWER_FIGURES` of the finished model's answers to real pictures, if any.
    """

    pictures: Reference | None = None
    answers: Reference | None = None

    def __str__(self) -> str:
        parts = [
            f"{what} {one.images} {one.source} pictures"
            for what, one in (("looks of", self.pictures), ("answers to", self.answers))
            if one is not None
        ]
        return ", ".join(parts) or "empty"

    def __post_init__(self) -> None:
        for reference, names in (
            (self.pictures, PICTURE_FIGURES),
            (self.answers, ANSWER_FIGURES),
        ):
            if reference is not None and set(reference.figures) != set(names):
                raise ValueError(f"a profile has figures of {', '.join(names)}, and no others")
