"""The metrics that the daemon exports, and the labels of each."""

import msgspec
from edgekit_device.answers import AnswerCounts
from edgekit_device.sinks.http.metrics import Disk, Space, exposition
from prometheus_client.parser import text_string_to_metric_families as parse

from tests.device.sinks.player import HEALTH, make_result

# What Prometheus adds to each metric of a target, and our files of targets to them.
TARGET_LABELS = {"job", "instance", "group"}


def exported_metrics() -> dict[str, set[str]]:
    """Labels by name, those of Prometheus's own `up` and `ALERTS` among them."""
    answers = AnswerCounts()
    answers.count(make_result())
    health = msgspec.structs.replace(HEALTH, problems=["mqtt: no broker at pi"])
    text, _ = exposition(health, answers.snapshot(), Disk({"data": Space(1, 2)}, 0, 0), "")
    found = {"up": set(TARGET_LABELS), "ALERTS": TARGET_LABELS | {"alertname", "alertstate"}}
    for family in parse(text.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, set(TARGET_LABELS)).update(sample.labels)
    return found
