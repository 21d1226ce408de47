"""deploy/prometheus: what is recorded and alerted of is there, and Prometheus's own tools agree."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT
from tests.deploy.exported import TARGET_LABELS, exported_metrics
from tests.deploy.queries import misuses, names

FOLDER = ROOT / "deploy" / "prometheus"
TESTS = Path(__file__).with_name("rules.test.yml")
PAGE = ROOT / "docs" / "monitoring.md"


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def rules(file: str) -> list[dict[str, Any]]:
    return [rule for group in load(FOLDER / file)["groups"] for rule in group["rules"]]


RECORDING, ALERTING = rules("recording.rules.yml"), rules("alerting.rules.yml")
ALERTS = [rule["alert"] for rule in ALERTING]


@pytest.fixture(scope="module")
def known() -> dict[str, set[str]]:
    """Labels by metric, and by what is recorded of them."""
    known = exported_metrics()
    for rule in RECORDING:
        read = names(rule["expr"])
        known[rule["record"]] = {label for name in read for label in known.get(name, ())}
    return known


@pytest.mark.parametrize("rule", RECORDING + ALERTING, ids=lambda rule: next(iter(rule.values())))
def test_what_a_rule_reads_is_there(rule: dict[str, Any], known: dict[str, set[str]]) -> None:
    assert misuses(rule["expr"], known) == []


@pytest.mark.parametrize("rule", ALERTING, ids=ALERTS)
def test_an_alert_says_what_happened_and_what_to_do(
    rule: dict[str, Any], known: dict[str, set[str]]
) -> None:
    said = rule["annotations"]
    assert set(said) == {"summary", "description", "runbook"}
    labels = TARGET_LABELS | {label for name in names(rule["expr"]) for label in known[name]}
    used = re.findall(r"\$labels\.(\w+)", said["summary"] + said["description"])
    assert set(used) <= labels
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    assert said["runbook"] == f"docs/monitoring.md#{rule['alert'].lower()}"
    assert f"\n#### {rule['alert']}\n" in PAGE.read_text(encoding="utf-8")


def gates() -> list[str]:
    """The queries of docs/fleet.md that are to be empty before the next stage of a roll-out."""
    page = (ROOT / "docs" / "fleet.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```promql\n(.*?)```", page, re.DOTALL)
    return [str(line) for line in block.splitlines()]


@pytest.mark.parametrize("query", gates())
def test_what_a_gate_of_a_roll_out_reads_is_there(query: str, known: dict[str, set[str]]) -> None:
    assert misuses(query, known) == []


def test_the_page_describes_no_alert_that_is_not_there() -> None:
    described = re.findall(r"^#### (Edgekit\w+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(described) == sorted(ALERTS)


def test_each_alert_is_seen_firing() -> None:
    text = TESTS.read_text(encoding="utf-8")
    fires = {
        test["alertname"]
        for group in load(TESTS)["tests"]
        for test in group.get("alert_rule_test", ())
        if test["exp_alerts"]
    }
    fires |= set(re.findall(r'alertname="(\w+)"', text))
    assert fires == set(ALERTS)


def test_files_of_devices_are_as_the_page_says() -> None:
    """The example, and the same in JSON."""
    text = (FOLDER / "devices.example.yml").read_text(encoding="utf-8")
    as_json = re.search(r"^# (\[\{.*\}\])$", text, re.MULTILINE)
    assert as_json
    for entry in [*yaml.safe_load(text), *json.loads(as_json[1])]:
        assert set(entry) == {"targets", "labels"}
        assert set(entry["labels"]) == {"group"}
        assert all(re.fullmatch(r"[\w.-]+:\d+", target) for target in entry["targets"])


class TestPromtool:
    """Prometheus's own judgement."""

    @pytest.fixture
    def promtool(self) -> str:
        program = shutil.which("promtool")
        if program is None:
            pytest.skip("promtool is not installed")
        return program

    def run(self, *command: str | Path) -> str:
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def test_rules_do_as_their_tests_say(self, promtool: str) -> None:
        assert "SUCCESS" in self.run(promtool, "test", "rules", TESTS)

    def test_gates_of_a_roll_out_are_shut_where_they_should_be(
        self, promtool: str, tmp_path: Path
    ) -> None:
        of = 'job="edgekit", group="canary", instance="pi:1"'
        well = {
            f"up{{{of}}}": "1x90",
            f'edgekit_model_info{{{of}, sha256="9f86d081884c7d65"}}': "1x90",
            f'edgekit_state{{{of}, edgekit_state="stalled"}}': "0x90",
            f'edgekit_drift{{{of}, figure="score"}}': "0x90",
            f"edgekit_model_rollbacks_total{{{of}}}": "2x90",
        }
        (up, model, state, drift, rollbacks), (gone, old, stalled, drifts, problem, back) = (
            well,
            gates(),
        )
        cases = [
            (well, []),
            (well | {up: "0x90"}, [gone]),
            ({}, [gone]),
            ({key: value for key, value in well.items() if key != model}, [old]),
            (well | {state: "1x90"}, [stalled]),
            (well | {drift: "1x90"}, [drifts]),
            (well | {f'edgekit_problem{{{of}, part="mqtt"}}': "1x90"}, [problem]),
            (well | {rollbacks: "2x30 3x60"}, [back]),
        ]
        tests = [
            {
                "interval": "1m",
                "input_series": [{"series": k, "values": v} for k, v in series.items()],
                "promql_expr_test": [
                    {
                        "expr": f"vector(1) and on () ({query})",
                        "eval_time": "1h",
                        "exp_samples": [{"labels": "{}", "value": 1}] if query in shut else [],
                    }
                    for query in gates()
                ],
            }
            for series, shut in cases
        ]
        file = tmp_path / "gates.yml"
        file.write_text(yaml.safe_dump({"tests": tests}))
        assert "SUCCESS" in self.run(promtool, "test", "rules", file)

    def test_the_configuration_is_one(self, promtool: str, tmp_path: Path) -> None:
        for file in FOLDER.glob("*.yml"):
            shutil.copy(file, tmp_path)
        (tmp_path / "token").write_text("secret")
        devices = tmp_path / "devices"
        devices.mkdir()
        shutil.copy(FOLDER / "devices.example.yml", devices / "ours.yml")
        (devices / "more.json").write_text(
            '[{"targets": ["kitchen-pi:8080"], "labels": {"group": "canary"}}]'
        )
        said = self.run(promtool, "check", "config", tmp_path / "prometheus.yml")
        assert f"{len(RECORDING)} rules found" in said
        assert f"{len(ALERTING)} rules found" in said
        assert "WARNING" not in said
