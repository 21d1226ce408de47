"""A real Prometheus scrapes real daemons: configuration, rules, and the dashboard's queries."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.deploy.queries import names
from tests.deploy.test_dashboard import BOARD, PANELS, filled
from tests.device.profiles import BRIGHT, profiled_model
from tests.faults.running import wait_for
from tests.integration.daemon import Daemon
from tests.integration.test_whole_daemon import free_port
from tests.tiny import tiny_model

FOLDER = ROOT / "deploy" / "prometheus"
TOKEN = "correct horse battery staple"
# What this machine has no values of.
ABSENT = {"edgekit_temperature_celsius", "edgekit_throttled", "edgekit_restarts_total"}


class Prometheus:
    """Prometheus on a free loopback port, with our configuration in a hurry.

    Args:
        folder: for its files.
        devices: files of devices, by name.
    """

    def __init__(self, folder: Path, devices: dict[str, str]) -> None:
        program = shutil.which("prometheus")
        if program is None:
            pytest.skip("Prometheus is not installed")
        for file in FOLDER.glob("*.rules.yml"):
            shutil.copy(file, folder)
        config = (FOLDER / "prometheus.yml").read_text(encoding="utf-8")
        hurried = re.sub(r"_interval: 30s", "_interval: 500ms", config)
        assert hurried.count("500ms") == 2
        (folder / "prometheus.yml").write_text(hurried, encoding="utf-8")
        (folder / "token").write_text(TOKEN)
        (folder / "devices").mkdir()
        for name, text in devices.items():
            (folder / "devices" / name).write_text(text)
        self.port = free_port()
        self.process = subprocess.Popen(
            [
                program, f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=error",
            ],
            cwd=folder, env=os.environ | {"GOMAXPROCS": "2"},
        )  # fmt: skip

    def ask(self, path: str, **parameters: str) -> Any:
        """What it answers; AssertionError where that is an error."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{parameters}: {error.read().decode()}") from None

    def query(self, query: str) -> list[dict[str, Any]]:
        """The series that a query gives now."""
        found: list[dict[str, Any]] = self.ask("query", query=query)["result"]
        return found

    def values(self, query: str, label: str) -> dict[str, float]:
        """The values that a query gives now, by a label."""
        return {one["metric"].get(label, ""): float(one["value"][1]) for one in self.query(query)}

    def is_ready(self) -> bool:
        """Whether it answers queries."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=30):
                return True
        except urllib.error.HTTPError as error:
            error.close()
        except (urllib.error.URLError, ConnectionError):
            pass
        return False

    def close(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def test_prometheus_watches_daemons(
    impatient: Callable[..., Daemon], start: Callable[..., Daemon], tmp_path: Path
) -> None:
    ports, away = [free_port(), free_port()], free_port()
    token = tmp_path / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    run_folder = tmp_path / "run"
    run_folder.mkdir()
    models = [
        profiled_model(tmp_path / "porch.tflite", BRIGHT), tiny_model(tmp_path / "hall.tflite"),
    ]  # fmt: skip
    prometheus = Prometheus(tmp_path, {
        "ours.yml": f"- targets: ['127.0.0.1:{ports[0]}', '127.0.0.1:{away}']\n"
                    "  labels: {group: canary}\n",
        "more.json": json.dumps([{"targets": [f"127.0.0.1:{ports[1]}"],
                                  "labels": {"group": "canary"}}]),
    })  # fmt: skip
    common = ("--source", "test:", "--http-token-file", token, "--camera-fps", "50")
    try:
        impatient(
            *common, "--model", models[0], "--name", "porch",
            "--http-listen", f"127.0.0.1:{ports[0]}",
            # Nobody is there: a problem.
            "--mqtt-host", "127.0.0.1", "--mqtt-port", str(away),
            environment={"RUNTIME_DIRECTORY": str(run_folder), "STATE_DIRECTORY": str(tmp_path)},
        )  # fmt: skip
        start(*common, "--model", models[1], "--http-listen", f"127.0.0.1:{ports[1]}")
        wait_for("Prometheus", prometheus.is_ready)
        porch, hall = (f"127.0.0.1:{port}" for port in ports)
        up = {porch: 1.0, hall: 1.0, f"127.0.0.1:{away}": 0.0}
        wait_for("the daemons to be up", lambda: prometheus.values("up", "instance") == up)
        wrong = urllib.request.Request(
            f"http://{porch}/api/state", headers={"Authorization": "Bearer wrong"}
        )
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(wrong, timeout=30)
        refused.value.close()
        wait_for("drift", lambda: prometheus.values("max by (instance) (edgekit_drift)",
                                                    "instance") == {porch: 1.0})  # fmt: skip
        frames = "sum by (instance) (edgekit_label_frames_total) > 20"
        wait_for("frames", lambda: set(prometheus.values(frames, "instance")) == {porch, hall})

        _check_the_figures(prometheus, porch, hall)
        _check_the_rules(prometheus, away)
        _check_the_dashboard(prometheus)
    finally:
        prometheus.close()


def _check_the_figures(prometheus: Prometheus, porch: str, hall: str) -> None:
    # Of one scrape, so that they agree: each frame is counted as one label.
    counted = prometheus.values(
        "edgekit_frames_total - on (instance) sum by (instance) (edgekit_label_frames_total)",
        "instance",
    )
    assert all(abs(difference) <= 1 for difference in counted.values())
    assert set(counted) == {porch, hall}
    labels = set(prometheus.values("edgekit_label_frames_total", "label"))
    assert labels == {"unknown", "red", "green", "blue"}
    assert prometheus.values("edgekit_problem", "part") == {"mqtt": 1.0}
    (model,) = prometheus.query(f'edgekit_model_info{{instance="{hall}"}}')
    assert model["metric"]["model"] == "hall.tflite"
    assert model["metric"]["group"] == "canary"


def _check_the_rules(prometheus: Prometheus, away: int) -> None:
    def evaluated() -> bool:
        rules = [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]
        return all(rule["health"] != "unknown" for rule in rules)

    wait_for("the rules", evaluated)
    for group in prometheus.ask("rules")["groups"]:
        for rule in group["rules"]:
            assert rule["health"] == "ok", rule
    # Both devices of the group run a model of their own.
    recorded = "group:edgekit_models:count"
    wait_for("the groups", lambda: prometheus.values(recorded, "group") == {"canary": 2.0})

    def alerts() -> set[tuple[str, str | None]]:
        return {
            (alert["labels"]["alertname"], alert["labels"].get("instance"))
            for alert in prometheus.ask("alerts")["alerts"]
        }

    # An alert on what another rule records comes one evaluation later.
    expected = {("EdgekitDeviceGone", f"127.0.0.1:{away}"), ("EdgekitModelsDiffer", None)}
    wait_for("the alerts", lambda: expected <= alerts())
    assert not any(alert == "EdgekitNothingWatched" for alert, _ in alerts())


def _check_the_dashboard(prometheus: Prometheus) -> None:
    queries = {
        filled(target["expr"]).replace("[5m]", "[1m]"): panel["title"]
        for panel in PANELS
        for target in panel["targets"]
    }

    def empty() -> dict[str, str]:
        return {
            query: title
            for query, title in queries.items()
            if names(query) - ABSENT and not prometheus.query(query)
        }

    # A rate takes a second scrape.
    with contextlib.suppress(AssertionError):
        wait_for("series of each panel", lambda: not empty())
    assert empty() == {}
    # What this machine has none of is asked for without an error all the same.
    for query in queries:
        prometheus.query(query)
    for variable in BOARD["templating"]["list"]:
        if variable["type"] == "query":
            match, label = re.fullmatch(
                r"label_values\((.*), (\w+)\)", variable["query"]["query"]
            ).groups()  # type: ignore[union-attr]
            assert prometheus.ask(f"label/{label}/values", **{"match[]": filled(match)})
