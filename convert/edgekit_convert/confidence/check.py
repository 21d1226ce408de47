"""Whether a model with a temperature is what it was made of, but for its confidence."""

import math

import numpy as np
from numpy.typing import NDArray

from edgekit.child import cores
from edgekit.errors import ConversionError
from edgekit_convert.answers import Answer, Answers, in_batches, softmax
from edgekit_convert.confidence.last_layer import integers, logit_scale
from edgekit_convert.graph.execution import tflite_answer
from edgekit_convert.pictures import Pictures, evenly_spread

_SAMPLE = 16
# Of a layer with a scale for each class, by a step; see `last_layer.temper`.
_MAXIMUM_OTHERWISE = 0.001
_THREADS = cores()


def check_tempered(
    after: bytes, before: bytes, temperature: float, pictures: Pictures, answers: Answers
) -> None:
    """Whether a model has a temperature, and on some pictures the same integers of logits.

    Args:
        after, before: the model with it and without.
        temperature: it.
        pictures: what the one without has answered.
        answers: its answers.

    Raises:
        ConversionError: it has not.
    """
    chosen = evenly_spread(len(pictures.tensors), _SAMPLE)
    found = in_batches(tflite_answer(after, _THREADS), pictures.tensors[chosen])
    new = integers(after, found.logits).astype(np.int64)
    old = integers(before, answers.logits[chosen]).astype(np.int64)
    steps = np.abs(new - old)
    has = logit_scale(before) / logit_scale(after)
    if (
        not math.isclose(has, temperature, rel_tol=1e-5)
        or steps.max() > 1
        or np.count_nonzero(steps) > _MAXIMUM_OTHERWISE * steps.size
    ):
        raise ConversionError(
            "a temperature changed more than the model's confidence; please report this, and "
            "convert with --keep-confidence"
        )


def without_temperature(answer: Answer, temperature: float) -> Answer:
    """The answers that a model would give without its temperature.

    Args:
        answer: of the model, which leaves no logits to see.
        temperature: that it has.
    """

    def untempered(pictures: NDArray[np.uint8]) -> Answers:
        logits = answer(pictures).logits * np.float32(temperature)
        return Answers(logits, softmax(logits))

    return answer if temperature == 1 else untempered
