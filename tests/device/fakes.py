"""Models, sources and sinks that do as the test says."""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from edgekit_device.config.settings import Settings
from edgekit_device.daemon.models import Loaded
from edgekit_device.health import Health
from edgekit_device.sinks.base import Sink
from edgekit_device.sources import EndOfSource
from numpy.typing import NDArray

from edgekit.files import FileStamp
from edgekit.inference.events import Event
from edgekit.inference.frame import Frame
from edgekit.inference.pipeline import Result
from edgekit.model.decision import DecisionOverrides
from edgekit.model.geometry import Geometry
from edgekit.vision.view import ViewSettings

NAMES = ("cat", "dog", "eel")


class FakeClassifier:
    """Says the class that the frame's first pixel names; `failures` are raised first."""

    runtime_name = "litert"
    geometry = Geometry(height=2, width=2)
    recommended = DecisionOverrides()
    profile = None

    def __init__(
        self,
        labels: Sequence[str] = NAMES,
        accelerator: str = "cpu",
        failures: Sequence[Exception] = (),
        name: str = "m.tflite",
    ) -> None:
        self.labels = list(labels)
        self.accelerator = accelerator
        self.path = Path(name)
        self.sha256 = "0" * 64
        self.notes: list[str] = []
        self.failures = list(failures)
        self.closed = False

    def invoke(self, tensor: NDArray[np.uint8]) -> NDArray[np.float32]:
        if self.failures:
            raise self.failures.pop(0)
        scores = np.full(len(self.labels), 0.1, np.float32)
        scores[tensor[0, 0, 0, 0]] = 0.8
        return scores

    def label(self, index: int) -> str:
        return self.labels[index]

    def close(self) -> None:
        self.closed = True


def loaded(classifier: FakeClassifier | None = None, degraded: str | None = None) -> Loaded:
    """A model as `models.open_model` gives it for the file m.tflite."""
    stamp = FileStamp.of(Path("m.tflite"))
    return Loaded(classifier or FakeClassifier(), stamp, degraded)  # type: ignore[arg-type]


def picture(shown: int) -> NDArray[np.uint8]:
    """A frame that shows a class."""
    return np.full((2, 2, 3), shown, np.uint8)


class FakeSource:
    """Gives the frames and failures of a script, then ends.

    Each entry is a class to show, an exception to raise, None for "no frame yet", or a function
    to call first.
    """

    def __init__(
        self,
        *script: int | Exception | Callable[[], None] | None,
        live: bool = False,
        name: str = "fake.avi",
        dropped: int = 0,
        damaged: int = 0,
    ) -> None:
        self.name = name
        self.live = live
        self.dropped = dropped
        self.damaged = damaged
        self.message = ""
        self.script = list(script)
        self.number = 0
        self.closed = 0
        self.view = ViewSettings()

    def read(self, timeout: float) -> Frame | None:
        if not self.script:
            raise EndOfSource
        step = self.script.pop(0)
        if callable(step):
            step()
            return None
        if isinstance(step, Exception):
            raise step
        if step is None:
            return None
        seconds, view = float(self.number), self.view
        frame = Frame(
            self.number, picture(step), seconds, time.monotonic(), region=view.looks_at, view=view
        )
        self.number += 1
        return frame

    def look(self, view: ViewSettings) -> None:
        self.view = view

    def expect(self, geometry: Geometry) -> None:
        self.expected = geometry

    def close(self) -> None:
        self.closed += 1


@dataclass
class Sources:
    """Opens scripted sources one after the other; an exception is raised in its place."""

    script: list[FakeSource | Exception]
    settings: list[Settings] = field(default_factory=list)

    def __call__(self, settings: Settings) -> FakeSource:
        self.settings.append(settings)
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        return step


class KeptSink(Sink):
    """Keeps what it is given."""

    name = "kept"

    def __init__(self) -> None:
        self.results: list[Result] = []
        self.events: list[Event] = []
        self.healths: list[Health] = []

    def frame(self, result: Result) -> None:
        self.results.append(result)

    def event(self, event: Event, picture: object = None) -> None:
        self.events.append(event)

    def health(self, health: Health) -> None:
        self.healths.append(health)


class Ending:
    """What a worker said at its end."""

    def __init__(self) -> None:
        self._said: queue.SimpleQueue[Exception | None] = queue.SimpleQueue()

    def __call__(self, failure: Exception | None) -> None:
        self._said.put(failure)

    def wait(self) -> Exception | None:
        """The failure it ended with, as soon as it has."""
        return self._said.get(timeout=30)


class Gate:
    """Holds a thread up until it is opened."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self._open = threading.Event()

    def __call__(self) -> None:
        self.reached.set()
        assert self._open.wait(30)

    def open(self) -> None:
        self._open.set()


class HangingClassifier(FakeClassifier):
    """Does not answer before its gate is opened."""

    def __init__(self, gate: Gate, accelerator: str = "cpu") -> None:
        super().__init__(accelerator=accelerator)
        self._gate = gate

    def invoke(self, tensor: NDArray[np.uint8]) -> NDArray[np.float32]:
        self._gate()
        return super().invoke(tensor)
