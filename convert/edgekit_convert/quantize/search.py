"""Find the recipe whose int8 model is closest to the original."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgekit.model.manifest import Recipe
from edgekit_convert.quantize.output_correction import correct_output
from edgekit_convert.quantize.quantizer import FloatModel, quantize
from edgekit_convert.quantize.recipes import (
    RECIPES,
    TECHNIQUES,
    Candidate,
    Score,
    Scoring,
    without_each_technique,
)

# Maximum number of candidates, for a progress bar.
CANDIDATES = len(RECIPES) + len(TECHNIQUES)


@dataclass(frozen=True)
class Found:
    """The winner of a search.

    Attributes:
        flatbuffer: the int8 model.
        model: the float model it was made from, equalized where the recipe says so.
        recipe: how it was made.
        candidates: all that were tried, in order, the winner marked.
    """

    flatbuffer: bytes
    model: FloatModel
    recipe: Recipe
    candidates: list[Candidate]


@dataclass(frozen=True)
class _Attempt:
    recipe: Recipe
    flatbuffer: bytes
    score: Score


def search(
    model: FloatModel, recipes: Sequence[Recipe], score: Scoring, advance: Callable[[int], None]
) -> Found:
    """Try some recipes, then take from the best what does not help it.

    The highest mean of the pictures' signal-to-noise ratios wins. Agreement does not tell
    candidates apart on few pictures, a few doubtful ones decide the divergence of the
    probabilities, and a few with large logits the ratio over all pictures.

    Args:
        model: the float model with its activations.
        recipes: `RECIPES`, or those for distilled pictures.
        score: measures an int8 flatbuffer, on pictures that did not set the activations.
        advance: called with 1 after each candidate.
    """
    equalized = model.equalized() if any(one.equalized for one in recipes) else model
    attempts: list[_Attempt] = []

    def attempt(recipes: Sequence[Recipe]) -> None:
        made = (quantize(equalized if one.equalized else model, one) for one in recipes)
        # One is scored while the next is made.
        with ThreadPoolExecutor(1) as scorer:
            scored = [(flatbuffer, scorer.submit(score, flatbuffer)) for flatbuffer in made]
            for recipe, (flatbuffer, pending) in zip(recipes, scored, strict=True):
                attempts.append(_Attempt(recipe, flatbuffer, pending.result()))
                advance(1)

    attempt(recipes)
    full = _best(one for one in attempts if without_each_technique(one.recipe))
    tried = [one.recipe for one in attempts]
    attempt([one for one in without_each_technique(full.recipe) if one not in tried])
    winner = _best(attempts)
    return Found(
        flatbuffer=winner.flatbuffer,
        model=equalized if winner.recipe.equalized else model,
        recipe=winner.recipe,
        candidates=[Candidate.of(one.recipe, one.score, chosen=one is winner) for one in attempts],
    )


def corrected(
    found: Found, score: Scoring, answered: NDArray[np.float32]
) -> tuple[Found, NDArray[np.float32]]:
    """The winner with its output corrected, where that brings it closer to the original.

    Args:
        found: the winner, with bias correction or without; only with it its output is corrected.
        score: as for `search`.
        answered: its logits (N, classes) for the pictures that activations were observed on.

    Returns:
        it, and its logits for the same pictures, but for the rounding of a corrected output.
    """
    if not found.recipe.bias_corrected:
        return found, answered
    made = correct_output(found.flatbuffer, found.model.activations, answered)
    if made is None:
        return found, answered
    before = next(candidate.snr_db for candidate in found.candidates if candidate.chosen)
    after = score(made[0])
    if after.dropped or after.snr_db <= before:
        return found, answered
    flatbuffer, logits = made
    return replace(found, flatbuffer=flatbuffer), logits


def _best(attempts: Iterable[_Attempt]) -> _Attempt:
    # Those that were dropped answered other pictures, and the first of all never was.
    return max(attempts, key=lambda one: (not one.score.dropped, one.score.snr_db))
