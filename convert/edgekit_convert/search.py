"""Find the best way to quantise a model, on calibration pictures held out for the choice."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgekit_convert.answers import Answers, tflite_answer
from edgekit_convert.fidelity import agreement, divergence, signal_to_noise
from edgekit_convert.findings import Candidate
from edgekit_convert.quantize import FloatModel, Recipe, quantise
from edgekit_convert.ranges import RULES

# Candidates of a search, for a progress bar: all rules plain and equalised, then two more.
CANDIDATES = 2 * len(RULES) + 2


@dataclass(frozen=True)
class Found:
    """The winner of a search.

    Attributes:
        flatbuffer: the int8 model.
        model: the float model it was made from, equalised where the recipe says so.
        recipe: how it was made.
        candidates: all that were tried, in order, the winner marked.
    """

    flatbuffer: bytes
    model: FloatModel
    recipe: Recipe
    candidates: list[Candidate]


def search(
    model: FloatModel,
    pictures: NDArray[np.uint8],
    threads: int,
    advance: Callable[[int], None],
) -> Found:
    """Try every range rule with and without equalisation, then add to the best what helps it.

    The highest signal-to-noise ratio of the logits wins: unlike agreement, and more surely than
    the divergence of the probabilities, which a few doubtful pictures decide, it tells candidates
    apart on few pictures.

    Args:
        model: the float model with its activations.
        pictures: (N, H, W, 3) uint8, none of them among those that set the activations.
        threads: CPU threads.
        advance: called with 1 after each candidate.
    """
    reference = tflite_answer(model.flatbuffer, threads)(pictures)
    equalised = model.equalised()
    tried: list[tuple[Candidate, Recipe, bytes]] = []

    def attempt(recipe: Recipe) -> None:
        flatbuffer = quantise(equalised if recipe.equalise else model, recipe)
        answers = tflite_answer(flatbuffer, threads)(pictures)
        tried.append((_score(recipe, answers, reference), recipe, flatbuffer))
        advance(1)

    def best() -> tuple[Candidate, Recipe, bytes]:
        return max(tried, key=lambda one: one[0].snr_db)

    for recipe in _plain():
        attempt(recipe)
    attempt(replace(best()[1], correct_bias=True))
    attempt(replace(best()[1], feedback=True))
    winner, recipe, flatbuffer = best()
    candidates = [msgspec.structs.replace(one, chosen=one is winner) for one, *_ in tried]
    return Found(flatbuffer, equalised if recipe.equalise else model, recipe, candidates)


def _plain() -> Iterator[Recipe]:
    for equalise in (False, True):
        for rule in RULES:
            yield Recipe(ranges=rule, equalise=equalise)


def _score(recipe: Recipe, answers: Answers, reference: Answers) -> Candidate:
    snr = signal_to_noise(reference.logits, answers.logits)
    return Candidate(
        name=str(recipe),
        ranges=recipe.ranges,
        equalised=recipe.equalise,
        rounding=recipe.rounding,
        bias_corrected=recipe.correct_bias,
        images=len(answers.logits),
        agreement=agreement(answers, reference),
        snr_db=snr if snr is not None else 200.0,
        # From the logits: 8-bit probabilities say 0 to whatever is below half a step.
        kl=divergence(answers.logits, reference.logits),
    )
