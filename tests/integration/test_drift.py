"""Drift, from pictures unlike those of a model's conversion to everybody who is to know."""

import json
from collections.abc import Callable
from pathlib import Path

from edgekit_device.health import read_status

from tests.device.profiles import BRIGHT, DARKER, profiled_model
from tests.device.sources.clips import write_clip
from tests.faults.running import wait_for
from tests.integration.broker import Listener, running_broker
from tests.integration.daemon import Daemon
from tests.integration.test_whole_daemon import fetch, free_port


def test_everybody_is_told(impatient: Callable[..., Daemon], tmp_path: Path) -> None:
    model = profiled_model(tmp_path / "tiny.tflite", BRIGHT)
    port, run_folder = free_port(), tmp_path / "run"
    run_folder.mkdir()
    with running_broker(tmp_path) as broker, Listener(broker) as listener:
        daemon = impatient(
            "--model", model, "--source", "test:", "--camera-fps", "100", "--name", "porch",
            "--mqtt-host", broker.host, "--mqtt-port", str(broker.port),
            "--http-listen", f"127.0.0.1:{port}", "--health-interval", "0.2",
            environment={"RUNTIME_DIRECTORY": str(run_folder)},
        )  # fmt: skip
        line = daemon.wait_for("drift: ")
        assert line.startswith(f"edgekit: drift: {DARKER}; ")
        health = json.loads(fetch(port, "/api/health")[1])
        drift = health["drift"]
        assert [sign["figure"] for sign in drift["signs"]] == ["brightness"]
        status, text = fetch(port, "/healthz")
        assert (status, json.loads(text)["state"], json.loads(text)["problems"]) == (
            200, "running", [],
        )  # fmt: skip
        metrics = fetch(port, "/metrics")[1]
        assert 'edgekit_drift{figure="brightness"} 1.0' in metrics
        assert 'edgekit_drift{figure="sharpness"} 0.0' in metrics

        def told() -> bool:
            sent = listener.payloads("edgekit/porch/health")
            return json.loads(sent[-1]).get("drift") == drift

        wait_for("the broker's word", told)
        config = "homeassistant/binary_sensor/edgekit_porch/drift/config"
        assert json.loads(listener.await_message(config))["name"] == "Drift"
        left = wait_for("a status", lambda: read_status(run_folder))
        assert str(left.health.drift) == DARKER
        # With a model that has no profile nobody knows.
        other = profiled_model(tmp_path / "new.tflite", None)
        other.replace(model)
        daemon.wait_for("has no profile of pictures and answers")
        wait_for("its end", lambda: "drift" not in json.loads(fetch(port, "/api/health")[1]))
        assert sum("drift: " in line for line in daemon.said) == 1


def test_a_recording_is_looked_at_by_its_own_times(
    start: Callable[..., Daemon], tmp_path: Path
) -> None:
    # Ten minutes, one picture a second: dark ones, then some as they should be.
    clip = write_clip(tmp_path / "clip.avi", [20] * 300 + [210] * 300, fps=1)
    model = profiled_model(tmp_path / "tiny.tflite", BRIGHT)
    daemon = start("--model", model, "--source", clip)
    assert daemon.end() == 0
    lines = [line for line in daemon.said if "drift: " in line]
    assert len(lines) == 2
    assert DARKER in lines[0]
    assert lines[1] == "edgekit: drift: pictures and answers are as usual again\n"


def test_it_can_be_switched_off(start: Callable[..., Daemon], tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.avi", [20] * 300, fps=1)
    model = profiled_model(tmp_path / "tiny.tflite", BRIGHT)
    daemon = start("--model", model, "--source", clip, "--no-health-drift")
    assert daemon.end() == 0
    assert not any("drift" in line for line in daemon.said)
