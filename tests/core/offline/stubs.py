"""A model that answers what a test says."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from numpy.typing import NDArray

from edgekit.inference.classifier import Classifier
from edgekit.model.manifest import Confidence


class Stub(Classifier):
    """Answers picture number n, whose pixels all are n, with the nth scores."""

    def __init__(
        self,
        scores: Sequence[Sequence[float]],
        labels: Sequence[str],
        name: str = "stub.tflite",
        step: float = 0.0,
    ) -> None:
        self.path, self.sha256 = Path(name), "0" * 64
        self.confidence: Confidence | None = None
        self.labels, self.notes, self.step = list(labels), [], step
        self.runtime_name, self.accelerator = "litert", "cpu"
        self.geometry = SimpleNamespace(width=8, height=8)  # type: ignore[assignment]
        self._scores = [np.array(one, np.float32) for one in scores]
        self.invoked = 0

    def invoke(self, tensor: NDArray[np.uint8]) -> NDArray[np.float32]:
        """That of a grey picture, with which it is warmed up."""
        return self._scores[0]

    def classify(self, frame: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The scores that were given."""
        self.invoked += 1
        return self._scores[int(frame[0, 0, 0])]


def numbered(
    truths: Sequence[int | str], height: int = 6, width: int = 8
) -> list[tuple[NDArray[np.uint8], int | str]]:
    """Pictures for it, of these classes."""
    return [
        (np.full((height, width, 3), number, np.uint8), truth)
        for number, truth in enumerate(truths)
    ]
