"""How the daemon is, as Prometheus metrics.

Names follow Prometheus's conventions: base units, `_total` for counters, `_info` for what is always
1. Counts by label are bounded by `edgekit_device.answers`.
"""

import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, get_args

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
    StateSetMetricFamily,
)
from prometheus_client.registry import Collector

from edgekit.inference.events import State
from edgekit_device.answers import Answers
from edgekit_device.health import Health
from edgekit_device.sinks.http.limits import REFUSALS

# States in which the newest answer is one of now.
_ANSWERS = ("running", "degraded")


class Space(NamedTuple):
    """Bytes of the file system that holds a folder.

    Attributes:
        available: that the daemon may still write there.
        size: of the whole.
    """

    available: int
    size: int


@dataclass(frozen=True)
class Disk:
    """What the disk says.

    Attributes:
        folders: how much room there is, by what is kept there.
        rollbacks: upgrades that were rolled back; None where nobody knows.
        configuration_rollbacks: configurations that were taken back; None where nobody knows.
    """

    folders: Mapping[str, Space] = field(default_factory=dict)
    rollbacks: int | None = None
    configuration_rollbacks: int | None = None


class _Ours(Collector):
    def __init__(self, health: Health, answers: Answers, disk: Disk) -> None:
        self._measured = health, answers, disk

    def collect(self) -> Iterator[Metric]:
        return families(*self._measured)


def exposition(health: Health, answers: Answers, disk: Disk, accept: str) -> tuple[bytes, str]:
    """Metrics as text.

    Args:
        health: how the daemon is.
        answers: what was answered.
        disk: what the disk says.
        accept: the Accept header of who asks.

    Returns:
        The text and its content type.
    """
    registry = CollectorRegistry()
    registry.register(_Ours(health, answers, disk))
    # Memory, processor time and open files of the process, under the names of all other programs.
    ProcessCollector(registry=registry)
    try:
        encoder, content_type = choose_encoder(accept)
    # A version that is no number, say.
    except (TypeError, ValueError):
        encoder, content_type = choose_encoder("")
    return encoder(registry), content_type


def families(health: Health, answers: Answers, disk: Disk) -> Iterator[Metric]:
    """All metrics of ours. Those whose value is not known are left out."""
    yield from _info(health)
    yield StateSetMetricFamily(
        "edgekit_state",
        "How the daemon is; one of the states is 1.",
        value={state: state == health.state for state in get_args(State)},
    )
    yield _problems(health)
    yield from _gauges(health)
    yield from _counters(health)
    yield from _answers(health, answers)
    yield from _sinks(health)
    yield from _disk(disk)


def _info(health: Health) -> Iterator[Metric]:
    build = {
        "version": health.version,
        "revision": health.commit,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
    yield InfoMetricFamily("edgekit_build", "What edgekit runs on what.", value=build)
    device = {"device": health.name, "source": health.source}
    yield InfoMetricFamily("edgekit_device", "Which device it is, and what it sees.", value=device)
    if health.model:
        model = {
            "model": health.model,
            "sha256": health.model_sha256,
            "signer": health.model_signer,
            "runtime": health.runtime,
            "accelerator": health.accelerator,
        }
        yield InfoMetricFamily("edgekit_model", "The model that runs, and by what.", value=model)


def _problems(health: Health) -> Metric:
    problem = GaugeMetricFamily(
        "edgekit_problem", "1 for each part that is not as it should be.", labels=["part"]
    )
    for part in dict.fromkeys(text.partition(":")[0] for text in health.problems):
        problem.add_metric([part], 1)
    return problem


def _gauges(health: Health) -> Iterator[Metric]:
    for name, text, value in (
        ("uptime_seconds", "Time since the start.", health.uptime_s),
        ("frame_age_seconds", "Time since the last frame.", health.frame_age_s),
        ("inference_age_seconds", "Time since the last answer.", health.inference_age_s),
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
        "edgekit_control_requests",
        "How often clients asked for each action, and what became of that.",
        labels=["action", "outcome"],
    )
    for action, outcomes in health.control.items():
        for outcome, count in outcomes.items():
            control.add_metric([action, outcome], count)
    yield control


def _answers(health: Health, answers: Answers) -> Iterator[Metric]:
    if health.latency_ms is not None:
        latency = Metric(
            "edgekit_inference_latency_seconds",
            "Preprocessing plus inference; quantiles of the last thousand frames.",
            "summary",
        )
        percentiles = health.latency_ms
        for quantile, milliseconds in (
            ("0.5", percentiles.p50),
            ("0.9", percentiles.p90),
            ("0.99", percentiles.p99),
        ):
            latency.add_sample(latency.name, {"quantile": quantile}, milliseconds / 1000)
        latency.add_sample(f"{latency.name}_count", {}, answers.frames)
        latency.add_sample(f"{latency.name}_sum", {}, answers.latency_s)
        yield latency
    frames = CounterMetricFamily(
        "edgekit_label_frames", "Frames that were decided to show each label.", labels=["label"]
    )
    changes = CounterMetricFamily(
        "edgekit_label_changes", "Changes of the decided label to each label.", labels=["label"]
    )
    for label, count in answers.labels.items():
        frames.add_metric([label], count.frames)
        changes.add_metric([label], count.changes)
    yield from (frames, changes)
    if answers.labels:
        yield GaugeMetricFamily(
            "edgekit_folded_labels",
            "Different labels that were counted as `other`.",
            value=answers.folded,
        )
    if answers.label and health.state in _ANSWERS:
        score = GaugeMetricFamily(
            "edgekit_decision_score",
            "Smoothed score of the label that is decided now.",
            labels=["label"],
        )
        score.add_metric([answers.label], round(answers.score, 6))
        yield score


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
    takeovers = CounterMetricFamily(
        "edgekit_sink_takeovers",
        "How often another device with the same name ended the connection.",
        labels=["sink"],
    )
    up = GaugeMetricFamily("edgekit_sink_up", "1 while a sink delivers.", labels=["sink"])
    for name, sink in health.sinks.items():
        messages.add_metric([name, "sent"], sink.sent)
        messages.add_metric([name, "dropped"], sink.dropped)
        queue.add_metric([name], sink.queued)
        # From 0 on: the first of a series is no increase to Prometheus, be it a thousand at once.
        reasons = dict.fromkeys(REFUSALS, 0) if name == "http" else {}
        for reason, count in (reasons | sink.refused).items():
            refused.add_metric([name, reason], count)
        pictures.add_metric([name], sink.pictures_dropped)
        takeovers.add_metric([name], sink.takeovers)
        up.add_metric([name], sink.problem is None)
    yield from (messages, queue, refused, pictures, takeovers, up)


def _disk(disk: Disk) -> Iterator[Metric]:
    available = GaugeMetricFamily(
        "edgekit_filesystem_avail_bytes",
        "Bytes that may still be written where each thing is kept.",
        labels=["kept"],
    )
    size = GaugeMetricFamily(
        "edgekit_filesystem_size_bytes", "Bytes of the file system it is in.", labels=["kept"]
    )
    for kept, space in disk.folders.items():
        available.add_metric([kept], space.available)
        size.add_metric([kept], space.size)
    yield from (available, size)
    for what, text, count in (
        (
            "model",
            "Upgrades that were rolled back: the model did not prove itself.",
            disk.rollbacks,
        ),
        ("configuration", "Configurations that were taken back.", disk.configuration_rollbacks),
    ):
        if count is not None:
            yield CounterMetricFamily(f"edgekit_{what}_rollbacks", text, value=count)
