"""Frames of a recording through the daemon's own pipeline and decision."""

from typing import NamedTuple

from edgekit.inference.classifier import Classifier, top_k
from edgekit.inference.decision import Decision
from edgekit.inference.events import Event
from edgekit.inference.frame import Frame
from edgekit.inference.looking import Look
from edgekit.inference.pipeline import Pipeline, Result
from edgekit.model.decision import DecisionSettings
from edgekit.offline.clip import ClipHeader, hash_input
from edgekit.offline.drift_course import DriftCourse

TOP = 3  # classes in each event


class Played(NamedTuple):
    """What was made of a frame.

    Attributes:
        frame, result: the frame and its answer.
        scores: the model's own best classes and their scores, best first.
        event: the one that it gives, if any.
    """

    frame: Frame
    result: Result
    scores: list[tuple[str, float]]
    event: Event | None


class Player:
    """Answers frames as the daemon does, in their own time.

    Where frames were left out of a clip the decision begins afresh; what it settles on first there
    is no event, because nothing is known to have changed.

    Args:
        name, header: the recording's.
        classifier: the model.
        decision: how its scores become labels.

    Attributes:
        drift: what the daemon would say of drift; it changes no answer and no event.
        look: what the model sees of the first frame; None before.
    """

    def __init__(
        self,
        name: str,
        header: ClipHeader | None,
        classifier: Classifier,
        decision: DecisionSettings,
    ) -> None:
        self._source = name
        self._classifier = classifier
        self._decision = decision
        # As long as the model looks at the same part of frames, too.
        comparable = header is not None and header.geometry == classifier.geometry
        self._recorded = header.view if header is not None and comparable else None
        self._stretch = 0
        self._pipeline = self._begin()
        self.drift = DriftCourse(classifier.profile)
        self.look: Look | None = None

    def prepare(self, frame: Frame) -> Frame:
        """Make the model's input; may be called ahead, and in another thread."""
        frame, record = frame.prepared_for(self._classifier.geometry), frame.record
        if record is None or self._recorded is None or frame.view != self._recorded:
            return frame
        assert frame.tensor is not None
        return frame._replace(input_differs=record.input_sha256 != hash_input(frame.tensor))

    def play(self, frame: Frame) -> Played:
        """Answer the next frame, prepared.

        Raises:
            InferenceError: the interpreter failed.
        """
        if frame.stretch != self._stretch:
            self._pipeline, self._stretch = self._begin(), frame.stretch
            self.drift.begin()
        if self.look is None:
            self.look = Look.at(frame, self._classifier.geometry)
        result = self._pipeline.process(frame)
        self.drift.add(result.tensor, result.scores, frame.time)
        event = self._pipeline.event(result)
        if result.verdict.first and not _begins(frame):
            event = None
        scores = [
            (self._classifier.label(index), score) for index, score in top_k(result.scores, TOP)
        ]
        return Played(frame, result, scores, event)

    def _begin(self) -> Pipeline:
        name = self._classifier.path.name
        decision = Decision(self._decision, self._classifier.labels)
        return Pipeline(self._classifier, name, decision, self._source, live=False, top_k=TOP)


def _begins(frame: Frame) -> bool:
    """Whether a frame is the first that there was, or was a change at the time."""
    return frame.record is None or frame.record.event == "change"
