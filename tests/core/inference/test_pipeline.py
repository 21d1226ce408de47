"""What is told about a frame."""

import re

import numpy as np

from edgekit.inference.decision import Decision
from edgekit.inference.events import Event, Label
from edgekit.inference.frame import Frame
from edgekit.inference.pipeline import Pipeline
from edgekit.model.decision import DecisionSettings
from edgekit.model.geometry import Geometry
from tests.device.fakes import NAMES, FakeClassifier, picture

PLAIN = DecisionSettings(smoothing=1, enter=0.6, leave=0.4, hold=0, heartbeat=0)


def events(*shown: int, live: bool = False, every_frame: bool = False) -> list[Event]:
    decision = Decision(PLAIN, NAMES, every_frame)
    pipeline = Pipeline(FakeClassifier(), "m.tflite", decision, "fake.avi", live=live, top_k=2)
    told = []
    for number, index in enumerate(shown):
        result = pipeline.process(Frame(number, picture(index), 0.5 * number, 0.0))
        told.append(pipeline.event(result))
    return [event for event in told if event is not None]


def test_an_event_says_what_was_seen_where() -> None:
    (event,) = events(1)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event.ts)
    assert (event.event, event.label, event.score) == ("change", "dog", 0.8)
    assert (event.frame, event.time, event.source, event.model) == (0, 0, "fake.avi", "m.tflite")
    assert event.labels == [Label("dog", 1, 0.8), Label("cat", 0, 0.1)]
    assert event.latency_ms == round(event.latency_ms, 3) > 0
    assert (event.state, event.previous) == ("running", None)


def test_a_change_names_what_was_before() -> None:
    assert [(e.frame, e.label, e.previous) for e in events(0, 0, 2)] == [
        (0, "cat", None), (2, "eel", "cat"),
    ]  # fmt: skip


def test_unknown_has_a_name() -> None:
    decision = Decision(DecisionSettings(enter=0.9), NAMES)
    pipeline = Pipeline(FakeClassifier(), "m", decision, "fake.avi", live=False)
    result = pipeline.process(Frame(0, picture(0), 0.0, 0.0))
    assert result.label == "unknown"
    assert np.isclose(result.verdict.score, 0.8)


def test_every_frame_is_told_when_that_is_asked_for() -> None:
    told = events(0, 0, 1, every_frame=True)
    assert [event.event for event in told] == ["change", "frame", "change"]


def test_only_a_recording_has_a_time_of_its_own() -> None:
    assert [event.time for event in events(0, 1)] == [0, 0.5]
    assert [event.time for event in events(0, 1, live=True)] == [None, None]


def test_what_was_prepared_ahead_is_used_where_it_fits() -> None:
    model = FakeClassifier()
    ahead = picture(2)[np.newaxis]
    pipeline = Pipeline(model, "m", Decision(PLAIN, NAMES), "fake.avi", live=False)
    frame = Frame(0, picture(0), 0.0, 0.0, model.geometry, ahead)
    result = pipeline.process(frame)
    assert (result.label, result.tensor is ahead) == ("eel", True)
    # Of a model that was exchanged since.
    other = frame._replace(number=1, time=1.0, geometry=Geometry(height=9, width=9))
    assert pipeline.process(other).label == "cat"
