"""What state the indicators amount to, and what is counted."""

import pytest
from edgekit_device.daemon.statistics import Indicators, Statistics, state_of


@pytest.mark.parametrize(
    ("indicators", "state"),
    [
        (Indicators(False, False, 99, 99, {}), "starting"),
        (Indicators(False, True, 1, 1, {}), "running"),
        (Indicators(False, True, 1, 1, {"mqtt": "away"}), "degraded"),
        (Indicators(False, True, 11, 1, {}), "stalled"),
        (Indicators(False, True, 1, 11, {}), "stalled"),
        (Indicators(False, True, 11, 1, {"camera": "gone"}), "stalled"),
        (Indicators(True, True, 11, 1, {"camera": "gone"}), "stopping"),
        (Indicators(True, False, 1, 1, {}), "stopping"),
    ],
)
def test_the_state_follows_from_the_indicators(indicators: Indicators, state: str) -> None:
    assert state_of(indicators, stall_after=10) == state


def test_latencies_are_those_of_the_last_thousand_frames() -> None:
    statistics = Statistics()
    assert statistics.latency() is None
    for _ in range(1000):
        statistics.answered(1000.0)
    for milliseconds in range(1000):
        statistics.answered(float(milliseconds))
    latency = statistics.latency()
    assert latency is not None
    assert (latency.p50, latency.p90, latency.p99) == pytest.approx((499.5, 899.1, 989.01))
    assert statistics.frames == 2000


def test_restarts_are_counted_by_part() -> None:
    statistics = Statistics()
    for part in ("camera", "accelerator", "camera"):
        statistics.restarted(part)
    assert statistics.restarts == {"camera": 2, "accelerator": 1}
