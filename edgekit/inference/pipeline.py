"""What happens to one frame: prepared, answered, decided. The same live and on a recording."""

import time
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgekit.inference.classifier import top_k
from edgekit.inference.decision import Decision, Verdict
from edgekit.inference.events import UNKNOWN, Event, Label, State, event_id, timestamp
from edgekit.inference.frame import Frame
from edgekit.model.decision import DecisionOverrides, DecisionSettings
from edgekit.model.geometry import Geometry
from edgekit.vision.preprocess import prepare


class AnyClassifier(Protocol):
    """The part of `edgekit.inference.classifier.Classifier` that is needed to answer frames.

    Attributes:
        geometry: what `prepare` does to a frame.
        labels: class names by index.
        recommended: decision settings that its file recommends.
    """

    geometry: Geometry
    labels: list[str]
    recommended: DecisionOverrides

    def invoke(self, tensor: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Scores (classes,) float32 of an input tensor."""

    def label(self, index: int) -> str:
        """Name of a class."""


@dataclass(frozen=True, slots=True)
class Result:
    """What was made of a frame.

    Attributes:
        frame: the frame itself.
        tensor: (1, height, width, 3) uint8, what the model was given of it.
        scores: (classes,) float32, the model's own answer.
        verdict: what is decided.
        label: name of the decided class, or `unknown`.
        latency_ms: preprocessing, where it was not done ahead, plus inference, in milliseconds.
        model: what answered.
        decision: the settings that made the label of the scores.
    """

    frame: Frame
    tensor: NDArray[np.uint8]
    scores: NDArray[np.float32]
    verdict: Verdict
    label: str
    latency_ms: float
    model: AnyClassifier
    decision: DecisionSettings

    def best(self, count: int) -> list[Label]:
        """The model's own answer to this frame, best first."""
        ranking = top_k(self.scores, count)
        return [Label(self.model.label(i), i, round(score, 6)) for i, score in ranking]


class Pipeline:
    """A model and a decision; frames go through in their order.

    Args:
        model, model_name: what answers, and its name in events.
        decision: what makes labels of scores.
        source: name of where the frames come from.
        live: whether they come by themselves; only a recording's times mean something in events.
        top_k: labels in each event.
    """

    def __init__(
        self,
        model: AnyClassifier,
        model_name: str,
        decision: Decision,
        source: str,
        *,
        live: bool,
        top_k: int = 3,
    ) -> None:
        self.model = model
        self.model_name = model_name
        self._decision = decision
        self._source = source
        self._live = live
        self._top_k = top_k

    def process(self, frame: Frame) -> Result:
        """Answer a frame.

        Raises:
            InferenceError: the interpreter or its delegate failed.
        """
        start = time.perf_counter()
        if frame.tensor is None or frame.geometry != self.model.geometry:
            tensor = prepare(frame.pixels, self.model.geometry, frame.region)
        else:
            tensor = frame.tensor
        scores = self.model.invoke(tensor)
        latency_ms = 1000 * (time.perf_counter() - start)
        verdict = self._decision.update(scores, frame.time)
        label = self._name(verdict.index)
        settings = self._decision.settings
        return Result(frame, tensor, scores, verdict, label, latency_ms, self.model, settings)

    def event(
        self,
        result: Result,
        state: State = "running",
        *,
        picture: bool = False,
        snapshot: bool = False,
    ) -> Event | None:
        """The event that a result gives; None for none.

        Args:
            result: what was made of a frame.
            state: of who answers.
            picture: whether the frame's picture goes with it.
            snapshot: whether there is to be one in any case, of kind `snapshot` but at a change.
        """
        verdict = result.verdict
        kind = "snapshot" if snapshot and verdict.event != "change" else verdict.event
        if kind is None:
            return None
        changed = kind == "change" and not verdict.first
        ts = timestamp()
        return Event(
            id=event_id(ts, result.frame.number),
            ts=ts,
            event=kind,
            label=result.label,
            score=round(verdict.score, 6),
            frame=result.frame.number,
            source=self._source,
            model=self.model_name,
            labels=result.best(self._top_k),
            latency_ms=round(result.latency_ms, 3),
            state=state,
            time=None if self._live else round(result.frame.time, 6),
            previous=self._name(verdict.previous) if changed else None,
            picture=picture,
        )

    def _name(self, index: int | None) -> str:
        return UNKNOWN if index is None else self.model.label(index)
