"""The recipes that a search tries, and what it finds out about each.

To add one, add it to `RECIPES`; a rule for ranges that is added to `RULES` is tried with all
techniques by itself. The search, the report, the manifest and `edgekit inspect` follow.
"""

from collections.abc import Callable
from typing import TypeAlias

import msgspec

from edgekit.model.manifest import Recipe
from edgekit_convert.quantize.ranges import RULES

# What a `Score` has for the signal-to-noise ratio of equal logits, in dB.
EXACT_DB = 200.0

PLAIN = Recipe(ranges="min-max", equalized=False, rounding="nearest", bias_corrected=False)
RECIPES: tuple[Recipe, ...] = (
    *(
        Recipe(ranges=rule, equalized=True, rounding="error-feedback", bias_corrected=True)
        for rule in RULES
    ),
    # Channels that few calibration pictures light up are taken for small, and equalization makes
    # them large: which rule is then the best says nothing about the best without it.
    Recipe(ranges="mse", equalized=False, rounding="error-feedback", bias_corrected=True),
    PLAIN,
)
# For distilled pictures: what BatchNorm remembers of a channel says nothing of the few pictures
# that light it up, and equalization would have those cut off.
DATA_FREE_RECIPES = tuple(
    dict.fromkeys(msgspec.structs.replace(recipe, equalized=False) for recipe in RECIPES)
)
# Fields of a recipe that are a technique, which may be left out: as `PLAIN` has them.
TECHNIQUES = ("equalized", "rounding", "bias_corrected")


def without_each_technique(recipe: Recipe) -> list[Recipe]:
    """The recipe without one of its techniques, for each that it has."""
    fewer = [msgspec.structs.replace(recipe, **{name: getattr(PLAIN, name)}) for name in TECHNIQUES]
    return [other for other in fewer if other != recipe]


class Score(msgspec.Struct, frozen=True):
    """How close an int8 model's answers are to the original's.

    Attributes:
        images: number of held-out pictures that it answered.
        agreement: fraction of them with the original's top-1, in [0, 1].
        snr_db: mean over the pictures of the signal-to-noise ratio of their logits against the
            original's, in dB; `EXACT_DB` for equal logits.
        kl: mean Kullback-Leibler divergence of the probabilities from the original's, in nats.
        dropped: whether it was so clearly worse than another that it answered no more.
    """

    images: int
    agreement: float
    snr_db: float
    kl: float
    dropped: bool = False


# Measures an int8 flatbuffer.
Scoring: TypeAlias = Callable[[bytes], Score]


class Candidate(Recipe, frozen=True, kw_only=True, omit_defaults=False):
    """A recipe that was tried, and its score on the held-out calibration pictures.

    Attributes:
        name: the recipe's readable name, for example `mse ranges, equalized, nearest rounding`.
        images, agreement, snr_db, kl, dropped: see `Score`.
        chosen: whether it won.
    """

    name: str
    images: int
    agreement: float
    snr_db: float
    kl: float
    dropped: bool = False
    chosen: bool = False

    @classmethod
    def of(cls, recipe: Recipe, score: Score, *, chosen: bool) -> "Candidate":
        """A recipe with its score."""
        asdict = msgspec.structs.asdict
        return cls(**asdict(recipe), name=str(recipe), **asdict(score), chosen=chosen)
