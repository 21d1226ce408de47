"""The user's own ONNX file in onnxruntime, as it came: the measure of all that is made of it."""

from collections.abc import Callable

import numpy as np
import onnx
from numpy.typing import NDArray

from edgekit.model.manifest import Normalization
from edgekit_convert.answers import Answer, Answers
from edgekit_convert.graph.ending import Ending, row_each
from edgekit_convert.graph.picture import Picture
from edgekit_convert.graph.session import Session
from edgekit_convert.weights.trained import normalize


def original_answer(
    model: onnx.ModelProto, picture: Picture, ending: Ending, normalization: Normalization
) -> Answer:
    """A classifier, to which nothing is done but to show the logits that it ends in.

    Args:
        model: the file.
        picture: its input.
        ending: its end.
        normalization: what it was trained with.

    Raises:
        ConversionError: onnxruntime refuses it; from the answer, too.
    """
    shown = model
    if ending.scores != ending.output:
        shown = onnx.ModelProto()
        shown.CopyFrom(model)
        if ending.scores not in {value.name for value in model.graph.output}:
            shown.graph.output.append(onnx.ValueInfoProto(name=ending.scores))
    session = Session(shown)
    count = picture.batch or 1

    def run(values: NDArray[np.float32]) -> Answers:
        found = session.run([ending.output, ending.scores], {picture.tensor: picture.feed(values)})
        output, scores = (row_each(tensor, count) for tensor in found)
        return ending.answers(output, scores)

    return lambda pictures: _in_turn(run, normalize(pictures, normalization), count)


def _in_turn(
    run: Callable[[NDArray[np.float32]], Answers], values: NDArray[np.float32], count: int
) -> Answers:
    """Answers to pictures, `count` at once; the last is repeated to make the number even."""
    parts = []
    for start in range(0, len(values), count):
        part = values[start : start + count]
        there = len(part)
        part = np.concatenate([part, *[part[-1:]] * (count - there)])
        parts.append(run(part).of(np.arange(there)))
    return Answers.join(parts)
