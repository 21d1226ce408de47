"""What is known about how the daemon is, and what state that amounts to."""

import time
from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgekit.inference.events import State
from edgekit_device.answers import AnswerCounts
from edgekit_device.health import Health, Latency

_LATENCIES = 1000
_RATE_SECONDS = 10.0
# A worker that is paused says every quarter of a second that it is there.
_RESTS_WITHIN = 5.0


@dataclass(frozen=True)
class Indicators:
    """What a state is judged by.

    Attributes:
        stopping: whether the end was asked for.
        ready: whether a frame was answered, since it was last resumed.
        frame_age, inference_age: seconds since the last frame, and since the last answer; since
            the start, or since it was resumed, when there was none.
        problems: what is not as it should be, in words, by part.
        rest_age: seconds since the worker last said that it waits, because it is paused; None
            while it is not.
    """

    stopping: bool
    ready: bool
    frame_age: float
    inference_age: float
    problems: dict[str, str]
    rest_age: float | None = None


def state_of(indicators: Indicators, stall_after: float) -> State:
    """The state: `stalled` outranks `degraded`, because frames are not answered at all."""
    if indicators.stopping:
        return "stopping"
    if indicators.rest_age is not None:
        return "stalled" if indicators.rest_age > max(stall_after, _RESTS_WITHIN) else "paused"
    if not indicators.ready:
        return "starting"
    if max(indicators.frame_age, indicators.inference_age) > stall_after:
        return "stalled"
    return "degraded" if indicators.problems else "running"


@dataclass
class Statistics:
    """Counts since the start. Written by the thread that infers, read by any.

    Attributes:
        frames, dropped, damaged, events: counts; `dropped` and `damaged` are of the sources that
            were closed.
        failed_pictures: of changes, that could not be encoded.
        answers: what was answered, by label.
        restarts: how often each part was opened again.
        fps: frames answered per second lately.
        ready: whether a frame was answered, since it was last resumed.
        first_inference, last_frame, last_inference: on the monotonic clock; before the first, the
            last ones are the start.
    """

    started: float = field(default_factory=time.monotonic)
    frames: int = 0
    dropped: int = 0
    damaged: int = 0
    events: int = 0
    failed_pictures: int = 0
    answers: AnswerCounts = field(default_factory=AnswerCounts)
    restarts: dict[str, int] = field(default_factory=dict)
    fps: float = 0.0
    ready: bool = False
    first_inference: float = 0.0
    last_frame: float = 0.0
    last_inference: float = 0.0
    _latencies: NDArray[np.float32] = field(
        default_factory=lambda: np.zeros(_LATENCIES, np.float32)
    )
    _times: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=64))

    def __post_init__(self) -> None:
        self.last_frame = self.last_inference = self.started

    def answered(self, latency_ms: float) -> None:
        """Count an answer."""
        if not self.frames:
            self.first_inference = time.monotonic()
        self._latencies[self.frames % _LATENCIES] = latency_ms
        self.last_inference = time.monotonic()
        self.frames += 1
        self.ready = True

    def resumed(self) -> None:
        """Wait for a frame as after the start: none was to come before."""
        self.ready = False
        self.last_frame = self.last_inference = time.monotonic()

    def restarted(self, part: str) -> None:
        """Count that a part was opened again."""
        self.restarts[part] = self.restarts.get(part, 0) + 1

    def latency(self) -> Latency | None:
        """Percentiles of the last thousand frames."""
        count = min(self.frames, _LATENCIES)
        if not count:
            return None
        p50, p90, p99 = np.percentile(self._latencies[:count].copy(), (50, 90, 99))
        return Latency(round(float(p50), 3), round(float(p90), 3), round(float(p99), 3))

    def tick(self) -> None:
        """Bring `fps` up to date; for one thread, every second or so."""
        now = time.monotonic()
        self._times.append((now, self.frames))
        while len(self._times) > 2 and now - self._times[1][0] >= _RATE_SECONDS:
            self._times.popleft()
        before, counted = self._times[0]
        if now - before >= 1:
            self.fps = (self.frames - counted) / (now - before)

    def summary(self, health: Health) -> str:
        """What was done, as one line for people; `health` is how the daemon is at its end."""
        if not health.frames:
            return "stopped before the first frame"
        latency = f"{health.latency_ms.p50:.2f}" if health.latency_ms else "no"
        seconds = self.last_inference - self.first_inference
        rate = (health.frames - 1) / seconds if seconds > 0 else 0.0
        return (
            f"{health.frames} frames ({health.dropped} dropped), {health.events} events, "
            f"latency {latency} ms median, {rate:.1f} frames/s "
            f"({health.runtime}, {health.accelerator})"
        )
