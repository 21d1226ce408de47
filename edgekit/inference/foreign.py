"""Pixels to the input, and the output to probabilities, of a model that edgekit did not make."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import ModelFileError
from edgekit.inference.interpreter import Interpreter
from edgekit.inference.probabilities import are_probabilities, trial_pictures
from edgekit.model.container import ModelFile
from edgekit.model.foreign import Hints, understand_input
from edgekit.model.structure import ending


class Foreign:
    """What to do before and behind the interpreter, where there is no manifest.

    Args:
        model: the model, which has none.
        hints: what its user knows.

    Attributes:
        notes: what was understood, a line each.
        softmax: whether a softmax makes scores of the answers.

    Raises:
        ModelFileError: it cannot be told how its input is to be fed.
    """

    def __init__(self, model: ModelFile, hints: Hints) -> None:
        self._path = model.path
        self._geometry = model.geometry
        self._output = model.graph.tensors[model.graph.outputs[0]]
        self._ending = ending(model.graph)
        self.softmax = hints.softmax
        tensor = model.graph.tensors[model.graph.inputs[0]]
        try:
            wanted = understand_input(model.graph, model.flatbuffer, hints)
        except ModelFileError as error:
            raise ModelFileError(f"{model.path} {error}") from error
        self._bgr = wanted.bgr
        self._table: NDArray[Any] | None = None
        if wanted.normalization is not None:
            self._table = lookup_table(
                wanted.normalization.mean,
                wanted.normalization.std,
                tensor.dtype,
                tensor.scale[0] if tensor.scale else 1.0,
                tensor.zero_point[0] if tensor.zero_point else 0,
            )
        self.notes = [f"{model.path.name} has no manifest; {wanted.note}"]

    def scores(self, interpreter: Interpreter, tensor: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Scores (classes,) float32 of raw pixels (1, H, W, 3) uint8 RGB.

        Raises:
            InferenceError: the interpreter, or its delegate, failed.
        """
        values = interpreter.answer(self._encoded(tensor))
        return softmax(values) if self.softmax else values

    def check_scores(self, interpreter: Interpreter) -> None:
        """Refuse a model whose answers are no probabilities, unless a softmax is to make them so.

        A softmax at the end says that they are. Otherwise black, white, grey and noise are tried.

        Raises:
            ModelFileError: they are none.
            InferenceError: the interpreter, or its delegate, failed.
        """
        certain = self._ending == "SOFTMAX"
        if not certain:
            pictures = trial_pictures(self._geometry)
            answers = [interpreter.answer(self._encoded(one)) for one in pictures]
            step = self._output.scale[0] if self._output.scale else 0.0
            certain = all(are_probabilities(one, step) for one in answers)
        if certain and self.softmax:
            self.softmax = False
            self.notes.append("its answers are probabilities already; --softmax changes nothing")
        elif not certain and not self.softmax:
            values = np.concatenate(answers)
            what = "log-probabilities" if self._ending == "LOG_SOFTMAX" else "logits"
            raise ModelFileError(
                f"{self._path} answers no probabilities, but values from {values.min():.4g} to "
                f"{values.max():.4g}; where they are {what}, pass --softmax"
            )
        elif self.softmax:
            self.notes.append("its answers are logits; a softmax makes probabilities of them")

    def _encoded(self, tensor: NDArray[np.uint8]) -> NDArray[Any]:
        values: NDArray[Any] = tensor
        if self._table is not None:
            # Where a model is only tried, it may be the one thing that needs OpenCV.
            import cv2

            values = np.asarray(cv2.LUT(tensor[0], self._table))[np.newaxis]
        return np.ascontiguousarray(values[..., ::-1]) if self._bgr else values


def lookup_table(
    mean: tuple[float, ...], std: tuple[float, ...], dtype: str, scale: float, zero_point: int
) -> NDArray[Any] | None:
    """What each pixel value becomes, in the input's own type.

    q = (pixel / 255 - mean) / std / scale + zero point, rounded and kept within the type.

    Args:
        mean, std: of each channel, for pixels from 0 to 1.
        dtype: `uint8`, `int8` or `float32`, which has no scale.
        scale, zero_point: of the input.

    Returns:
        (1, 256, 3), as OpenCV has them; None where no value is more than one step from the pixel
        value itself, which a uint8 input takes as it is, as Coral's own models are fed.
    """
    pixels = np.arange(256)[np.newaxis, :, np.newaxis]
    real = (pixels / 255 - np.array(mean)) / np.array(std)
    if dtype == "float32":
        return np.asarray(real, dtype=np.float32)
    limits = np.iinfo(dtype)
    values = np.clip(np.rint(real / scale + zero_point), limits.min, limits.max)
    if dtype == "uint8" and np.abs(values - pixels).max() <= 1:
        return None
    return np.asarray(values, dtype=dtype)


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities (classes,) of logits (classes,)."""
    powers = np.exp(logits - logits.max())
    return np.asarray(powers / powers.sum(), dtype=np.float32)
