"""Health as Prometheus metrics."""

from collections.abc import Iterator
from typing import get_args

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
    StateSetMetricFamily,
)

from edgekit.inference.events import State
from edgekit_device.health import Health


class _Collector:
    def __init__(self, health: Health) -> None:
        self._health = health

    def collect(self) -> Iterator[Metric]:
        return families(self._health)


def exposition(health: Health, accept: str) -> tuple[bytes, str]:
    """Metrics as text.

    Args:
        health: what they are made of.
        accept: the Accept header of who asks.

    Returns:
        The text and its content type.
    """
    registry = CollectorRegistry()
    registry.register(_Collector(health))
    try:
        encoder, content_type = choose_encoder(accept)
    # A version that is no number, say.
    except (TypeError, ValueError):
        encoder, content_type = choose_encoder("")
    return encoder(registry), content_type


def families(health: Health) -> Iterator[Metric]:
    """All metrics. Those whose value is not known are left out."""
    info = {
        "device": health.name,
        "version": health.version,
        "source": health.source,
        "model": health.model,
        "model_sha256": health.model_sha256,
        "model_signer": health.model_signer,
        "runtime": health.runtime,
        "accelerator": health.accelerator,
    }
    yield InfoMetricFamily("edgekit", "What runs.", value=info)
    yield StateSetMetricFamily(
        "edgekit_state",
        "How the daemon is; one of the states is 1.",
        value={state: state == health.state for state in get_args(State)},
    )
    yield from _gauges(health)
    yield from _counters(health)
    if health.latency_ms is not None:
        latency = Metric(
            "edgekit_inference_latency_seconds",
            "Preprocessing plus inference of the last thousand frames.",
            "summary",
        )
        percentiles = health.latency_ms
        for quantile, milliseconds in (
            ("0.5", percentiles.p50),
            ("0.9", percentiles.p90),
            ("0.99", percentiles.p99),
        ):
            latency.add_sample(latency.name, {"quantile": quantile}, milliseconds / 1000)
        yield latency
    yield from _sinks(health)


def _gauges(health: Health) -> Iterator[Metric]:
    for name, text, value in (
        ("problems", "Things that are not as they should be.", len(health.problems)),
        ("uptime_seconds", "Time since the start.", health.uptime_s),
        ("frames_per_second", "Frames answered per second lately.", health.fps),
        ("frame_age_seconds", "Time since the last frame.", health.frame_age_s),
        ("inference_age_seconds", "Time since the last answer.", health.inference_age_s),
        ("resident_memory_bytes", "Resident memory of the process.", health.memory_bytes),
        ("temperature_celsius", "Temperature of the processor.", health.temperature_c),
    ):
        if value is not None:
            yield GaugeMetricFamily(f"edgekit_{name}", text, value=value)
    throttled = GaugeMetricFamily(
        "edgekit_throttled", "1 for each reason that slows the processor down.", labels=["reason"]
    )
    for reason in health.throttled:
        throttled.add_metric([reason], 1)
    yield throttled
    drift = GaugeMetricFamily(
        "edgekit_drift",
        "1 for each figure that is not as when the model was converted, 0 for the others.",
        labels=["figure"],
    )
    signs = {sign.figure for sign in health.drift.signs} if health.drift else set()
    for figure in health.drift_figures:
        drift.add_metric([figure], figure in signs)
    yield drift


def _counters(health: Health) -> Iterator[Metric]:
    for name, text, value in (
        ("frames", "Frames answered.", health.frames),
        ("dropped_frames", "Frames that came and were never answered.", health.dropped),
        ("damaged_frames", "Dropped frames that arrived damaged.", health.damaged),
        ("events", "Events told.", health.events),
        ("failed_pictures", "Changes of which no picture could be made.", health.failed_pictures),
    ):
        yield CounterMetricFamily(f"edgekit_{name}", text, value=value)
    restarts = CounterMetricFamily(
        "edgekit_restarts", "How often each part was opened again.", labels=["part"]
    )
    for part, count in health.restarts.items():
        restarts.add_metric([part], count)
    yield restarts
    control = CounterMetricFamily(
        "edgekit_control",
        "How often clients asked for each action, and what became of that.",
        labels=["action", "outcome"],
    )
    for action, outcomes in health.control.items():
        for outcome, count in outcomes.items():
            control.add_metric([action, outcome], count)
    yield control


def _sinks(health: Health) -> Iterator[Metric]:
    messages = CounterMetricFamily(
        "edgekit_sink_messages", "What became of each sink's messages.", labels=["sink", "outcome"]
    )
    queue = GaugeMetricFamily(
        "edgekit_sink_queue", "Messages that wait to be delivered.", labels=["sink"]
    )
    refused = CounterMetricFamily(
        "edgekit_sink_refused",
        "How often clients did not get what they wanted.",
        labels=["sink", "reason"],
    )
    pictures = CounterMetricFamily(
        "edgekit_sink_dropped_pictures",
        "Pictures that their events went without.",
        labels=["sink"],
    )
    up = GaugeMetricFamily("edgekit_sink_up", "1 while a sink delivers.", labels=["sink"])
    for name, sink in health.sinks.items():
        messages.add_metric([name, "sent"], sink.sent)
        messages.add_metric([name, "dropped"], sink.dropped)
        queue.add_metric([name], sink.queued)
        for reason, count in sink.refused.items():
            refused.add_metric([name, reason], count)
        pictures.add_metric([name], sink.pictures_dropped)
        up.add_metric([name], sink.problem is None)
    yield from (messages, queue, refused, pictures, up)
