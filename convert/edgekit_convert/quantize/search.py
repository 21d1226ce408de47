"""Find the best way to quantize a model, on calibration pictures held out for the choice."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgekit_convert.answers import Answers, agreement, logit_divergence, signal_to_noise
from edgekit_convert.graph.execution import tflite_answer
from edgekit_convert.quantize.quantizer import FloatModel, Recipe, quantize
from edgekit_convert.quantize.ranges import RULES
from edgekit_convert.report.findings import EXACT_DB, Candidate

# Candidates of a search, for a progress bar: all techniques with every rule for ranges, none, and
# the best of the first without each of the other three.
CANDIDATES = 1 + len(RULES) + 3


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


def search(
    model: FloatModel,
    pictures: NDArray[np.uint8],
    reference: Answers,
    threads: int,
    advance: Callable[[int], None],
) -> Found:
    """Try all techniques with every range rule, then take from the best what does not help it.

    The highest mean of the pictures' signal-to-noise ratios wins. Agreement does not tell
    candidates apart on few pictures, a few doubtful ones decide the divergence of the
    probabilities, and a few with large logits the ratio over all pictures.

    Args:
        model: the float model with its activations.
        pictures: (N, H, W, 3) uint8, none of them among those that set the activations.
        reference: the original's answers to them.
        threads: CPU threads.
        advance: called with 1 after each candidate.
    """
    equalized = model.equalized()
    tried: list[tuple[Candidate, Recipe, bytes]] = []

    def attempt(recipe: Recipe) -> None:
        flatbuffer = quantize(equalized if recipe.equalize else model, recipe)
        answers = tflite_answer(flatbuffer, threads)(pictures)
        tried.append((_score(recipe, answers, reference), recipe, flatbuffer))
        advance(1)

    def best() -> tuple[Candidate, Recipe, bytes]:
        return max(tried, key=lambda one: one[0].snr_db)

    for rule in RULES:
        attempt(Recipe(rule, equalize=True, feedback=True, correct_bias=True))
    _, full, _ = best()
    attempt(Recipe())
    attempt(replace(full, equalize=False))
    attempt(replace(full, feedback=False))
    attempt(replace(full, correct_bias=False))
    winner, recipe, flatbuffer = best()
    candidates = [msgspec.structs.replace(one, chosen=one is winner) for one, *_ in tried]
    return Found(flatbuffer, equalized if recipe.equalize else model, recipe, candidates)


def _score(recipe: Recipe, answers: Answers, reference: Answers) -> Candidate:
    ratios = [
        signal_to_noise(exact, logits)
        for exact, logits in zip(reference.logits, answers.logits, strict=True)
    ]
    snr = np.mean([EXACT_DB if ratio is None else ratio for ratio in ratios])
    return Candidate(
        name=str(recipe),
        ranges=recipe.ranges,
        equalized=recipe.equalize,
        rounding=recipe.rounding,
        bias_corrected=recipe.correct_bias,
        images=len(answers.logits),
        agreement=agreement(answers, reference),
        snr_db=round(float(snr), 2),
        # From the logits: 8-bit probabilities say 0 to whatever is below half a step.
        kl=logit_divergence(answers.logits, reference.logits),
    )
