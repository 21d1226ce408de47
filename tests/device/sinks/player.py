"""Feeds a sink with answers made by hand, as the daemon would."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
from edgekit_device.answers import AnswerCounts
from edgekit_device.health import DriftHealth, DriftSign, Health, Latency, SinkHealth
from edgekit_device.sinks.base import Sink
from numpy.typing import NDArray

from edgekit.inference.decision import Verdict
from edgekit.inference.events import Event, Label, State, timestamp
from edgekit.inference.frame import Frame
from edgekit.inference.pipeline import Result
from edgekit.model.decision import DecisionSettings, LabelSettings
from tests.device.fakes import FakeClassifier

DECISION = DecisionSettings()
OWN = DecisionSettings(
    enter=0.7,
    labels={
        "teapot": LabelSettings(0.85, 0.5, 2.0),
        "mug": LabelSettings(0.7, 0.4, 0.5, ignore=True),
    },
)
LABELS = ["mug", "teapot", "watering can", "pair of scissors"]


def make_pixels(number: int, width: int = 320, height: int = 240) -> NDArray[np.uint8]:
    """A slope of colours with a bright square that wanders; (height, width, 3) uint8 RGB."""
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[..., 0] = np.linspace(30, 90, width)
    pixels[..., 1] = np.linspace(40, 120, height)[:, None]
    pixels[..., 2] = 110
    side = height // 4
    x = number * 7 % (width - side)
    y = number * 3 % (height - side)
    pixels[y : y + side, x : x + side] = 235, 190, 80
    return pixels


def make_result(
    number: int = 0,
    best: int = 0,
    score: float = 0.9,
    *,
    pixels: NDArray[np.uint8] | None = None,
    age: float = 0.0,
    decision: DecisionSettings = DECISION,
) -> Result:
    """The answer to a frame, seen `age` seconds ago, that shows class `best` of `LABELS`."""
    scores = np.full(len(LABELS), (1 - score) / (len(LABELS) - 1), np.float32)
    scores[best] = score
    seen = time.monotonic() - age
    frame = Frame(number, make_pixels(number) if pixels is None else pixels, seen, seen)
    verdict = Verdict(best, score, None, None, False)
    model = FakeClassifier(LABELS)
    return Result(frame, frame.pixels[None], scores, verdict, LABELS[best], 8.25, model, decision)


def make_change(number: int = 0, best: int = 0, score: float = 0.9) -> Event:
    """The event of a change to class `best`."""
    return Event(
        id=f"20260101T000000000Z-{number}",
        ts=timestamp(), event="change", label=LABELS[best], score=score, frame=number,
        source="test:", model="toys.tflite", labels=[Label(LABELS[best], best, score)],
        latency_ms=8.25, state="running",
    )  # fmt: skip


DRIFT = DriftHealth(
    "2025-06-01T11:20:00Z", [DriftSign("brightness", "darker than anything it was calibrated on")],
    "mend the light, or collect such pictures (edgekit collect) and convert again",
)  # fmt: skip
HEALTH = Health(
    control={"pause": {"done": 1}},
    ts="2025-06-01T12:00:00.125Z", name="pi", state="running", problems=[], version="0.1.0",
    uptime_s=93784.5, source="test:", model="toys-int8.tflite",
    model_sha256="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    runtime="litert", accelerator="cpu", frames=1234567, dropped=12, events=345, fps=19.9,
    memory_bytes=97_500_000, restarts={"camera": 2},
    sinks={
        "mqtt": SinkHealth(1021, 4, 0),
        "http": SinkHealth(88, 0, 0, refused={"wrong-token": 3}),
        "webhook": SinkHealth(7, 3, 2, "hooks.example.org does not answer (503)"),
    },
    latency_ms=Latency(8.25, 9.5, 12.75), frame_age_s=0.04, inference_age_s=0.05,
    temperature_c=51.25, throttled=["under-voltage"],
    drift_figures=["brightness", "sharpness"], decision_from="the model file",
)  # fmt: skip


@dataclass
class Player:
    """Plays answers to a sink, twenty a second.

    Attributes:
        best, score: class that is seen, and how surely.
        decision: the settings that hold.
        health: what `snapshot` gives.
        paused: whether frames stay away.
        played: frames so far.
        answers: counts of what was answered.
        folders: whose disk metrics tell of.
    """

    best: int = 0
    score: float = 0.9
    decision: DecisionSettings = DECISION
    health: Health = HEALTH
    paused: bool = False
    played: int = 0
    answers: AnswerCounts = field(default_factory=AnswerCounts)
    folders: dict[str, Path | None] = field(default_factory=dict)

    def snapshot(self) -> Health:
        """Fresh health."""
        return self.health

    @contextmanager
    def playing(self, sink: Sink) -> Iterator[None]:
        """Play, in a thread of its own, for as long as the context lasts."""
        stop = threading.Event()
        thread = threading.Thread(target=self._run, args=(sink, stop))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def set_health(self, sink: Sink, state: State, *problems: str) -> None:
        """Let the daemon be in another state, and tell the sink."""
        self.health = msgspec.structs.replace(self.health, state=state, problems=list(problems))
        sink.health(self.health)

    def set_drift(self, sink: Sink, drift: DriftHealth | None) -> None:
        """Let pictures and answers differ from what they were, and tell the sink."""
        self.health = msgspec.structs.replace(self.health, drift=drift)
        sink.health(self.health)

    def _run(self, sink: Sink, stop: threading.Event) -> None:
        told = None
        while not stop.wait(0.05):
            if self.paused:
                continue
            best = self.best
            sink.frame(make_result(self.played, best, self.score, decision=self.decision))
            if best != told:
                sink.event(make_change(self.played, best, self.score))
                told = best
            self.played += 1
