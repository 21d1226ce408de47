"""Messages for tests, and a way to wait for what another thread does."""

import time
from collections.abc import Callable

from edgekit_device.health import Health

from edgekit.inference.events import Event, Kind, Label


def make_event(frame: int = 7, event: Kind = "change", label: str = "mug") -> Event:
    return Event(
        id="20260101T000000000Z-0",
        ts="2025-06-01T12:00:00.125Z", event=event, label=label, score=0.75, frame=frame,
        source="test:", model="m.tflite", labels=[Label(label, 0, 0.5)], latency_ms=1.25,
        state="running",
    )  # fmt: skip


def make_health(temperature_c: float | None = None, frames: int = 9) -> Health:
    return Health(
        ts="2025-06-01T12:00:00.125Z", name="pi", state="running", problems=[], version="1",
        uptime_s=3.5, source="test:", model="m.tflite", model_sha256="", runtime="litert",
        accelerator="cpu", frames=frames, dropped=0, events=1, fps=30.0, memory_bytes=1,
        restarts={}, sinks={}, temperature_c=temperature_c,
    )  # fmt: skip


def until(condition: Callable[[], object], timeout: float = 30.0) -> None:
    """Return once `condition` holds; fail when it does not for `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)
