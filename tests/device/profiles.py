"""Profiles of pictures and answers, and a model that carries one."""

from pathlib import Path

import numpy as np

from edgekit.model.profile import (
    ANSWER_FIGURES,
    PICTURE_FIGURES,
    QUANTILES,
    Profile,
    Reference,
)
from tests.tiny import own_model

# Bounds within which no picture and no answer is unusual.
_ANY = {
    "brightness": (0, 255), "contrast": (0, 128), "warmth": (-1, 1), "greenness": (-1, 1),
    "sharpness": (-9, 9), "score": (-1, 1),
}  # fmt: skip


def make_profile(**bounds: tuple[float, float]) -> Profile:
    """A profile in which everything is usual but for the figures named, evenly spread there."""
    spread = {name: np.linspace(*bounds.get(name, _ANY[name]), QUANTILES).tolist() for name in _ANY}

    def reference(names: tuple[str, ...]) -> Reference:
        figures = {name: spread[name] for name in names}
        return Reference(images=1000, source="calibration", figures=figures)

    return Profile(pictures=reference(PICTURE_FIGURES), answers=reference(ANSWER_FIGURES))


BRIGHT = make_profile(brightness=(200, 220))
DARK = make_profile(brightness=(0, 20))
DARKER = "darker than anything it was calibrated on"


def profiled_model(path: Path, profile: Profile | None) -> Path:
    """Write the tiny model with a manifest that has this profile."""
    return own_model(path, profile=profile)
