"""The score by which a search chooses among int8 models."""

import numpy as np
from numpy.typing import NDArray

from edgekit_convert.answers import Answers, agreement, logit_divergence, logit_ratio
from edgekit_convert.graph.execution import tflite_answer
from edgekit_convert.quantize.recipes import EXACT_DB, Score, Scoring


def scoring(pictures: NDArray[np.uint8], reference: Answers, threads: int) -> Scoring:
    """A function that measures an int8 flatbuffer against the original.

    Args:
        pictures: (N, H, W, 3) uint8.
        reference: the original's answers to them.
        threads: CPU threads.
    """

    def score(flatbuffer: bytes) -> Score:
        answers = tflite_answer(flatbuffer, threads)(pictures)
        ratios = [
            logit_ratio(exact[None], logits[None])
            for exact, logits in zip(reference.logits, answers.logits, strict=True)
        ]
        snr = np.mean([EXACT_DB if ratio is None else ratio for ratio in ratios])
        return Score(
            images=len(answers.logits),
            agreement=agreement(answers, reference),
            snr_db=round(float(snr), 2),
            # From the logits: 8-bit probabilities say 0 to whatever is below half a step.
            kl=logit_divergence(answers.logits, reference.logits),
        )

    return score
