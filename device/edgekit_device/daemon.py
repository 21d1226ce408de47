"""The loop: frame, inference, answer."""

import statistics
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgekit.runtime import top_k
from edgekit_device.sinks import Answer, Label, Sink, timestamp
from edgekit_device.sources import Frame, Source


class Model(Protocol):
    """The part of `edgekit.runtime.Classifier` that the loop needs."""

    runtime_name: str

    def classify(self, frame: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Scores (classes,) float32 of a frame (H, W, 3) uint8 RGB."""

    def label(self, index: int) -> str:
        """Name of a class."""


@dataclass
class Statistics:
    """Counts since the start; latencies are the last thousand, in milliseconds."""

    frames: int = 0
    lines: int = 0
    seconds: float = 0.0
    latencies: deque[float] = field(default_factory=lambda: deque(maxlen=1000))


class Daemon:
    """Runs a model over a source and publishes its answers.

    Args:
        model, model_name: what answers, and its name in the output.
        source: where frames come from; closed when `run` returns.
        sinks: where answers go.
        top_k: labels in each answer.
        every_frame: publish every answer, not only those whose best label changed.
        max_frames: stop after so many frames; None for no limit.
    """

    def __init__(
        self,
        model: Model,
        model_name: str,
        source: Source,
        sinks: Sequence[Sink],
        *,
        top_k: int = 3,
        every_frame: bool = False,
        max_frames: int | None = None,
    ) -> None:
        self.statistics = Statistics()
        self._model = model
        self._model_name = model_name
        self._source = source
        self._sinks = sinks
        self._top_k = top_k
        self._every_frame = every_frame
        self._max_frames = max_frames
        self._best: int | None = None

    def run(self) -> None:
        """Work until the source ends, `max_frames` are done, or `stop` is called.

        Raises:
            SourceError, ImageError: the source broke.
            OutputError: a sink cannot write.
            BrokenPipeError: a sink's reader has gone.
        """
        start = time.monotonic()
        try:
            for frame in self._source:
                self._work(frame)
                self.statistics.seconds = time.monotonic() - start
                if self.statistics.frames == self._max_frames:
                    break
        finally:
            self._source.close()

    def stop(self) -> None:
        """End after the frame in hand; may be called from a signal handler."""
        self._source.stop()

    def summary(self) -> str:
        """What was done so far, as one line for people."""
        done = self.statistics
        median = statistics.median(done.latencies) if done.latencies else 0.0
        rate = done.frames / done.seconds if done.seconds else 0.0
        return (
            f"{done.frames} frames ({self._source.dropped} dropped), {done.lines} lines, "
            f"latency {median:.2f} ms median, {rate:.1f} frames/s ({self._model.runtime_name})"
        )

    def _work(self, frame: Frame) -> None:
        start = time.perf_counter()
        scores = self._model.classify(frame.pixels)
        latency_ms = 1000 * (time.perf_counter() - start)
        self.statistics.frames += 1
        self.statistics.latencies.append(latency_ms)
        ranking = top_k(scores, self._top_k)
        previous, self._best = self._best, ranking[0][0]
        if self._best == previous and not self._every_frame:
            return
        answer = Answer(
            ts=timestamp(),
            frame=frame.number,
            source=self._source.name,
            model=self._model_name,
            labels=[Label(self._model.label(i), i, round(score, 6)) for i, score in ranking],
            latency_ms=round(latency_ms, 3),
        )
        for sink in self._sinks:
            sink.publish(answer)
        self.statistics.lines += 1
