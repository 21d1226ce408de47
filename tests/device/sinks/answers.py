"""Answers made by hand, for what keeps frames."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgekit.inference.decision import Verdict
from edgekit.inference.events import UNKNOWN, Kind
from edgekit.inference.frame import Frame
from edgekit.inference.pipeline import Result
from edgekit.model.decision import DecisionSettings
from edgekit.model.geometry import Geometry
from tests.device.fakes import NAMES, FakeClassifier

DECISION = DecisionSettings(smoothing=9)


def noise(number: int) -> NDArray[np.uint8]:
    """A frame (9, 13, 3) uint8 that hardly compresses."""
    return np.random.default_rng(number).integers(0, 256, (9, 13, 3), dtype=np.uint8)


def answer(
    number: int,
    time: float | None = None,
    *,
    index: int | None = 0,
    event: Kind | None = None,
    first: bool = False,
    pixels: NDArray[np.uint8] | None = None,
    geometry: Geometry = FakeClassifier.geometry,
    decision: DecisionSettings = DECISION,
    labels: Sequence[str] = NAMES,
) -> Result:
    """The answer to frame `number`, a second after the one before by default."""
    model = FakeClassifier(labels)
    model.geometry = geometry
    pixels = noise(number) if pixels is None else pixels
    at = float(number) if time is None else time
    scores = np.array([0.5, 0.25, 0.125], np.float32)
    label = UNKNOWN if index is None else NAMES[index]
    verdict = Verdict(index, 0.5, event, None, first)
    frame = Frame(number, pixels, at, at)
    return Result(frame, pixels[None], scores, verdict, label, 1.0, model, decision)
