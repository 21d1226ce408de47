"""What a model's pictures and answers looked like on its workstation: what drift is told by."""

from typing import Annotated

import msgspec
from msgspec import Meta

# Quantiles that are kept of each figure, evenly spaced: the minimum, 19 between, the maximum.
QUANTILES = 21


class Profile(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """Figures of pictures and of the answers to them.

    Attributes:
        images: number of pictures.
        source: which they were: `evaluation` or `calibration`.
        figures: by name, `QUANTILES` evenly spaced quantiles over the pictures.
        classes: fraction of the pictures answered with each class; none where the pictures say
            nothing about how often a class is to be expected.
    """

    images: Annotated[int, Meta(ge=1)]
    source: str
    figures: dict[str, list[float]]
    classes: list[float] | None = None
