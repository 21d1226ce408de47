"""Pictures to which float and int8 give different answers."""

import msgspec
import numpy as np

from edgekit.vision.encode import encode_png
from edgekit_convert.answers import Answers
from edgekit_convert.pictures import Pictures

_SHOWN = 24


class Disagreement(msgspec.Struct, frozen=True):
    """A picture to which float and int8 give different answers.

    Attributes:
        picture: file name.
        png: the model's input, as a PNG file.
        truth: its label, where known.
        float_label, float_score: PyTorch's (or the ONNX model's) answer.
        int8_label, int8_score: the int8 model's.
    """

    picture: str
    png: bytes
    truth: str | None
    float_label: str
    float_score: float
    int8_label: str
    int8_score: float


def find_disagreements(
    pictures: Pictures, labels: list[str], reference: Answers, answers: Answers
) -> tuple[list[Disagreement], int]:
    """The first 24 pictures with another top-1, the surest first, and how many there are in all.

    Args:
        pictures: that both answered.
        labels: class names.
        reference: the float model's answers.
        answers: the int8 model's.
    """
    exact, rounded = reference.probabilities, answers.probabilities
    before, after = exact.argmax(axis=1), rounded.argmax(axis=1)
    different = np.flatnonzero(before != after)
    order = different[np.argsort(-exact[different, before[different]], kind="stable")]
    found = [
        Disagreement(
            picture=pictures.names[i],
            png=encode_png(pictures.tensors[i]),
            truth=labels[int(pictures.truth[i])] if pictures.truth is not None else None,
            float_label=labels[int(before[i])],
            float_score=round(float(exact[i, before[i]]), 6),
            int8_label=labels[int(after[i])],
            int8_score=round(float(rounded[i, after[i]]), 6),
        )
        for i in order[:_SHOWN]
    ]
    return found, len(different)
