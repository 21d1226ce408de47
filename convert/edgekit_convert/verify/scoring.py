"""The score by which a search chooses among int8 models."""

import numpy as np
from numpy.typing import NDArray

from edgekit_convert.answers import Answers, agreement, logit_divergence, logit_ratio
from edgekit_convert.graph.execution import tflite_answer
from edgekit_convert.quantize.recipes import EXACT_DB, Score, Scoring

# Pictures between two looks at whether a model is clearly worse than the best, and standard errors
# that make it clear.
_LOOK = 16
_CLEAR = 3


def scoring(pictures: NDArray[np.uint8], reference: Answers, threads: int) -> Scoring:
    """A function that measures an int8 flatbuffer against the original, one after the other.

    One that is clearly worse than the best so far does not answer all pictures: a race (Maron and
    Moore 1994, Hoeffding Races), on the differences between the two on the same pictures.

    Args:
        pictures: (N, H, W, 3) uint8.
        reference: the original's answers to them.
        threads: CPU threads.
    """
    # Pictures of a class, or of a minute, may lie side by side.
    order = np.random.default_rng(0).permutation(len(pictures))
    best: NDArray[np.float64] | None = None

    def score(flatbuffer: bytes) -> Score:
        nonlocal best
        answer = tflite_answer(flatbuffer, threads)
        ratios = np.empty(0)
        parts: list[Answers] = []
        worse = False
        for start in range(0, len(order), _LOOK):
            chosen = order[start : start + _LOOK]
            parts.append(answer(pictures[chosen]))
            ratios = np.append(ratios, _ratios(parts[-1], reference.of(chosen)))
            worse = best is not None and _is_clearly_below(ratios, best[: len(ratios)])
            if worse:
                break
        if not worse and (best is None or ratios.mean() > best.mean()):
            best = ratios
        answers, exact = Answers.join(parts), reference.of(order[: len(ratios)])
        return Score(
            images=len(ratios),
            agreement=agreement(answers, exact),
            snr_db=round(float(ratios.mean()), 2),
            # From the logits: 8-bit probabilities say 0 to whatever is below half a step.
            kl=logit_divergence(answers.logits, exact.logits),
            dropped=worse and len(ratios) < len(order),
        )

    return score


def _ratios(answers: Answers, reference: Answers) -> NDArray[np.float64]:
    """Signal-to-noise ratio of each picture's logits (N,), in dB."""
    found = [
        logit_ratio(exact[None], logits[None])
        for exact, logits in zip(reference.logits, answers.logits, strict=True)
    ]
    return np.array([EXACT_DB if ratio is None else ratio for ratio in found])


def _is_clearly_below(ratios: NDArray[np.float64], best: NDArray[np.float64]) -> bool:
    """Whether the mean difference is further below 0 than chance takes it."""
    if len(ratios) < 2:
        return False  # nothing is known of chance
    difference = ratios - best
    error = float(difference.std(ddof=1)) / len(difference) ** 0.5
    return bool(difference.mean() + _CLEAR * error < 0)
