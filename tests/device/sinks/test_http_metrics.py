"""`/metrics`, over real connections."""

import os
import platform
import re
import shutil
import subprocess
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from edgekit_device import installed
from edgekit_device.answers import OWN_LABELS
from edgekit_device.sinks.http import Http
from edgekit_device.sinks.http.api import metrics as operation
from edgekit_device.sinks.http.limits import REFUSALS
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse
from prometheus_client.samples import Sample

from tests.conftest import ROOT
from tests.device.fakes import FakeClassifier
from tests.device.sinks.player import DRIFT, HEALTH, Player, make_result
from tests.device.sinks.samples import until
from tests.device.sinks.web import ask, make, served


def samples(text: str) -> list[Sample]:
    # The exposition format writes states and info as gauges; the names are what a user sees.
    return [sample for family in parse(text) for sample in family.samples]


def exported(text: str) -> set[str]:
    return {sample.name for sample in samples(text)}


def values(text: str) -> dict[tuple[str, ...], float]:
    """By name and the values of labels, in the order of their names."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for sample in samples(text)
    }


def scrape(player: Player) -> str:
    with served(make(player=player)) as sink:
        return ask(sink, "/metrics").text


def seen(player: Player) -> Player:
    """The same, with an answer."""
    player.answers.count(make_result())
    return player


def with_health(**changes: Any) -> Player:
    return Player(health=msgspec.structs.replace(HEALTH, **changes))


@pytest.fixture
def everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The text of a service, where all is known."""
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    health = msgspec.structs.replace(HEALTH, problems=["mqtt: no broker at pi"])
    return scrape(seen(Player(health=health, folders={"data": tmp_path})))


def test_values(sink: Http) -> None:
    answer = ask(sink, "/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    found = values(answer.text)
    assert found["edgekit_frames_total",] == 1234567
    assert found["edgekit_inference_latency_seconds", "0.99"] == 0.01275
    assert found["edgekit_state", "running"] == 1
    assert found["edgekit_state", "stalled"] == 0
    assert found["edgekit_restarts_total", "camera"] == 2
    assert found["edgekit_throttled", "under-voltage"] == 1
    assert found["edgekit_drift", "brightness"] == found["edgekit_drift", "sharpness"] == 0
    assert found["edgekit_sink_messages_total", "dropped", "mqtt"] == 4
    assert found["edgekit_sink_queue", "webhook"] == 2
    assert found["edgekit_sink_refused_total", "wrong-token", "http"] == 3
    assert found["edgekit_sink_up", "mqtt"] == 1
    assert found["edgekit_sink_up", "webhook"] == 0


def test_refusals_of_the_web_server_are_counted_from_0(sink: Http) -> None:
    """To Prometheus the first sample of a series is no increase, so a burst would not be seen."""
    found = values(ask(sink, "/metrics").text)
    counts = {
        key[1]: value for key, value in found.items() if key[0] == "edgekit_sink_refused_total"
    }
    assert counts == dict.fromkeys(REFUSALS, 0) | {"wrong-token": 3}


def test_what_runs(sink: Http) -> None:
    info = {
        sample.name: sample.labels
        for sample in samples(ask(sink, "/metrics").text)
        if sample.name.endswith("_info")
    }
    assert info == {
        "edgekit_build_info": {
            "version": "0.1.0",
            "revision": HEALTH.commit,
            "python": platform.python_version(),
            "machine": platform.machine(),
        },
        "edgekit_device_info": {"device": "pi", "source": "test:"},
        "edgekit_model_info": {
            "model": "toys-int8.tflite", "sha256": HEALTH.model_sha256, "signer": "",
            "runtime": "litert", "accelerator": "cpu",
        },
    }  # fmt: skip


def test_before_a_model_runs_there_is_none() -> None:
    names = exported(scrape(with_health(model="", model_sha256="", runtime="", accelerator="")))
    assert "edgekit_build_info" in names
    assert "edgekit_model_info" not in names


def test_answers_by_label() -> None:
    player = Player()
    for number, best in enumerate((0, 1, 1)):
        player.answers.count(make_result(number, best, score=0.8))
    found = values(scrape(player))
    assert found["edgekit_label_frames_total", "teapot"] == 2
    assert found["edgekit_label_frames_total", "watering can"] == 0
    assert found["edgekit_label_changes_total", "teapot"] == 0
    assert found["edgekit_decision_score", "teapot"] == 0.8
    assert found["edgekit_folded_labels",] == 0
    assert found["edgekit_inference_latency_seconds_count",] == 3
    assert found["edgekit_inference_latency_seconds_sum",] == pytest.approx(0.02475)


def test_a_model_of_a_thousand_labels_costs_few_series() -> None:
    player = Player()
    model = FakeClassifier([f"class {index}" for index in range(1000)])
    for label in model.labels:
        player.answers.count(replace(make_result(), label=label, model=model))
    text = scrape(player)
    by_label = [sample for sample in samples(text) if "label" in sample.labels]
    assert len(by_label) <= 2 * (OWN_LABELS + 2) + 1
    assert values(text)["edgekit_folded_labels",] == 1000 - OWN_LABELS


@pytest.mark.parametrize("state", ["starting", "stalled", "paused", "stopping"])
def test_no_score_of_what_is_no_longer_seen(state: str) -> None:
    assert "edgekit_decision_score" not in exported(scrape(seen(with_health(state=state))))


def test_a_problem_names_its_part_once_and_no_more() -> None:
    problems = ["mqtt: no broker at pi", "camera: gone: really", "camera: twice"]
    text = scrape(with_health(problems=problems))
    parts = [line for line in text.splitlines() if line.startswith("edgekit_problem{")]
    assert parts == ['edgekit_problem{part="mqtt"} 1.0', 'edgekit_problem{part="camera"} 1.0']


def test_drift_by_figure() -> None:
    text = scrape(with_health(drift=DRIFT))
    assert 'edgekit_drift{figure="brightness"} 1.0' in text
    assert 'edgekit_drift{figure="sharpness"} 0.0' in text
    assert 'edgekit_state{edgekit_state="running"} 1.0' in text
    assert "edgekit_problem{" not in text


def test_what_was_asked_for_is_counted() -> None:
    text = scrape(with_health(control={"pause": {"done": 2, "refused": 1}}))
    assert 'edgekit_control_requests_total{action="pause",outcome="done"} 2.0' in text
    assert 'edgekit_control_requests_total{action="pause",outcome="refused"} 1.0' in text


def test_labels_are_escaped() -> None:
    """What a label file holds cannot make a line of its own."""
    player = Player()
    label = 'mug"} 7\nedgekit_frames_total 5 \\'
    player.answers.count(replace(make_result(), label=label, model=FakeClassifier([label])))
    found = values(scrape(player))
    assert found["edgekit_label_frames_total", label] == 1
    assert found["edgekit_frames_total",] == 1234567


def test_openmetrics_when_asked_for(sink: Http) -> None:
    answer = ask(sink, "/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
    types = {family.name: family.type for family in parse_openmetrics(answer.text)}
    assert types["edgekit_model"] == "info"
    assert types["edgekit_state"] == "stateset"
    assert types["edgekit_frames"] == "counter"
    assert types["edgekit_inference_latency_seconds"] == "summary"


def test_what_is_not_known_is_left_out() -> None:
    player = with_health(
        temperature_c=None, latency_ms=None, frame_age_s=None, throttled=[], drift_figures=[]
    )
    names = exported(scrape(player))
    assert "edgekit_uptime_seconds" in names
    assert not names & {
        "edgekit_temperature_celsius", "edgekit_inference_latency_seconds",
        "edgekit_frame_age_seconds", "edgekit_throttled", "edgekit_drift",
        "edgekit_label_frames_total", "edgekit_folded_labels", "edgekit_decision_score",
        "edgekit_filesystem_avail_bytes", "edgekit_model_rollbacks_total",
        "edgekit_configuration_rollbacks_total",
    }  # fmt: skip


class TestDisk:
    def test_room_by_what_is_kept_there(self, tmp_path: Path) -> None:
        gone = tmp_path / "gone"
        player = Player(folders={"data": tmp_path, "history": gone, "nothing": None})
        found = values(scrape(player))
        usage = shutil.disk_usage(tmp_path)
        assert found["edgekit_filesystem_size_bytes", "data"] == usage.total
        assert 0 < found["edgekit_filesystem_avail_bytes", "data"] <= usage.total
        assert not any("history" in key or "nothing" in key for key in found)

    def test_one_that_hangs_keeps_nobody_from_an_answer(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        hanging, release = threading.Event(), threading.Event()
        asked: list[Path] = []

        def hang(folder: Path) -> os.statvfs_result:
            asked.append(folder)
            hanging.set()
            assert release.wait(60)
            raise OSError

        monkeypatch.setattr(operation, "DISK_TIMEOUT", 0.2)
        monkeypatch.setattr(operation.os, "statvfs", hang)
        try:
            with served(make(player=Player(folders={"history": tmp_path}))) as sink:
                for _ in range(3):
                    names = exported(ask(sink, "/metrics").text)
                    assert hanging.is_set()
                    assert "edgekit_frames_total" in names
                    assert "edgekit_filesystem_avail_bytes" not in names
                assert ask(sink, "/healthz").status == 200
                # No thread more for each who asks.
                assert len(asked) == 1
                monkeypatch.undo()
                release.set()
                # It is asked again once it answers.
                available = "edgekit_filesystem_avail_bytes"
                until(lambda: available in exported(ask(sink, "/metrics").text))
        finally:
            release.set()

    @pytest.mark.parametrize(
        ("content", "count"), [(None, 0.0), (b"3", 3.0), (b"-3", 0.0), (b"much", None),
                               (b"\xff", None), (b"1" * 33, None)],
    )  # fmt: skip
    @pytest.mark.parametrize(
        ("file", "metric"),
        [
            (installed.ROLLED_BACK, "edgekit_model_rollbacks_total"),
            (installed.CONFIGURATION_ROLLED_BACK, "edgekit_configuration_rollbacks_total"),
        ],
    )
    def test_rollbacks_of_the_service(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None,
        count: float | None, file: str, metric: str,
    ) -> None:  # fmt: skip
        if content is not None:
            (tmp_path / file).write_bytes(content)
        monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
        monkeypatch.setattr(operation, "MODELS_FOLDER", tmp_path)
        assert values(scrape(Player())).get((metric,)) == count


class TestConventions:
    def test_the_documentation_names_them_all(self, everything: str) -> None:
        text = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
        metrics = text.partition("## Metrics")[2].partition("### By label")[0]
        documented = set(re.findall(r"`((?:edgekit|process)_\w+)`", metrics))
        summary = {"edgekit_inference_latency_seconds_count",
                   "edgekit_inference_latency_seconds_sum"}  # fmt: skip
        assert documented == exported(everything) - summary

    def test_the_documentation_names_their_labels(self, everything: str) -> None:
        text = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
        rows = re.findall(r"^\| `(edgekit_\w+)` \|([^|]*)\|", text, re.MULTILINE)
        documented = {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows}
        for sample in samples(everything):
            if not sample.name.startswith("process_"):
                name = re.sub("_(count|sum)$", "", sample.name)
                assert set(sample.labels) <= documented[name], name

    def test_the_documentation_says_how_many_labels(self) -> None:
        text = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
        assert f"model of more than {OWN_LABELS} labels" in text.replace("\n", " ")

    def test_promtool_finds_nothing_to_say(self, everything: str) -> None:
        promtool = shutil.which("promtool")
        if promtool is None:
            pytest.skip("promtool is not installed")
        done = subprocess.run(
            [promtool, "check", "metrics"], input=everything, capture_output=True, text=True,
            timeout=60,
        )  # fmt: skip
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
