"""`edgekit run` as a whole: a process with a source, a broker, a web server and a delegate."""

import json
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from edgekit_device.health import read_status

from edgekit.files import FileStamp
from tests.faults.running import wait_for
from tests.integration.broker import Broker, Listener, running_broker
from tests.integration.daemon import Daemon
from tests.tiny import tiny_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tiny_model(tmp_path / "tiny.tflite")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with running_broker(tmp_path) as broker:
        yield broker


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


def fetch(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def configuration(folder: Path, **lines: str) -> Path:
    """A configuration file; each argument is a section's text, `top` that before them."""
    path = folder / "edgekit.toml"
    sections = [f"[{name}]\n{text}\n" for name, text in lines.items() if name != "top"]
    path.write_text("\n".join([lines.get("top", ""), *sections]))
    return path


def test_everything_at_once(
    start: Callable[..., Daemon], model: Path, broker: Broker, tmp_path: Path
) -> None:
    port = free_port()
    config = configuration(
        tmp_path,
        top=f'model = "{model}"\nsource = "test:"\nname = "porch"\nevery-frame = true',
        mqtt=f'host = "{broker.host}"\nport = {broker.port}',
        http=f'listen = "127.0.0.1:{port}"',
        health="interval = 0.5",
    )
    with Listener(broker) as listener:
        daemon = start("--config", config)
        event = daemon.wait_for_event(lambda event: event["event"] == "frame")
        assert (event["source"], event["model"], event["state"]) == (
            "test:", "tiny.tflite", "running",
        )  # fmt: skip
        listener.await_message("edgekit/porch/status", "online")
        assert json.loads(listener.await_message("edgekit/porch/event"))["source"] == "test:"
        health = json.loads(listener.await_message("edgekit/porch/health"))
        assert health["name"] == "porch"
        status, text = fetch(port, "/healthz")
        assert (status, json.loads(text)["state"]) == (200, "running")
        metrics = fetch(port, "/metrics")[1]
        assert 'edgekit_sink_messages_total{outcome="sent",sink="mqtt"}' in metrics
        assert fetch(port, "/")[1].startswith("<!doctype html>")
        daemon.signal(signal.SIGTERM)
        assert daemon.end(timeout=10) == 0
        listener.await_message("edgekit/porch/status", "offline")
    assert daemon.said[-1].startswith("edgekit: ")
    assert "dropped" in daemon.said[-1]


def test_a_broker_that_comes_and_goes_costs_nothing_else(
    start: Callable[..., Daemon], model: Path, broker: Broker, tmp_path: Path
) -> None:
    daemon = start(
        "--model", model, "--source", "test:", "--name", "porch", "--every-frame",
        "--mqtt-host", broker.host, "--mqtt-port", str(broker.port),
    )  # fmt: skip
    daemon.wait_for_event(lambda event: event["event"] == "frame")
    broker.kill()
    away = daemon.wait_for_event(lambda event: event["frame"] > 0)
    daemon.wait_for_event(lambda event: event["frame"] > away["frame"] + 30)
    broker.start()
    with Listener(broker) as listener:
        listener.await_message("edgekit/porch/status", "online")
        listener.await_message("edgekit/porch/event")
    daemon.signal(signal.SIGINT)
    assert daemon.end(timeout=10) == 0


def test_a_new_model_is_swapped_in_and_a_bad_one_refused(
    start: Callable[..., Daemon], model: Path, tmp_path: Path
) -> None:
    daemon = start("--model", model, "--source", "test:")
    daemon.wait_for_event(lambda event: True)
    bad = tmp_path / "bad"
    bad.write_bytes(model.read_bytes()[:200])
    kept = model.with_suffix(".kept")
    shutil.copy(model, kept)
    bad.replace(model)
    daemon.wait_for("going on with the one before")
    kept.replace(model)
    daemon.wait_for("runs from the next frame on")
    daemon.signal(signal.SIGTERM)
    assert daemon.end(timeout=10) == 0


def test_sighup_reads_the_configuration_again(
    start: Callable[..., Daemon], model: Path, tmp_path: Path
) -> None:
    top = f'model = "{model}"\nsource = "test:"\n'
    run_folder = tmp_path / "run"
    run_folder.mkdir()

    def follows() -> FileStamp | None:
        status = read_status(run_folder)
        return status.configuration if status else None

    file = configuration(tmp_path, top=top)
    daemon = start("--config", file, environment={"RUNTIME_DIRECTORY": str(run_folder)})
    daemon.wait_for_event(lambda event: event["event"] == "change")
    first = FileStamp.of(file)
    wait_for("its status", lambda: follows() == first)
    configuration(tmp_path, top=top + "threads = -1\n")
    daemon.signal(signal.SIGHUP)
    assert "line 3: threads: expected whole number >= 0" in daemon.wait_for("configuration: ")
    assert follows() == first != FileStamp.of(file)
    configuration(tmp_path, top=top + "every-frame = true\n")
    daemon.signal(signal.SIGHUP)
    daemon.wait_for("the configuration was read again")
    daemon.wait_for_event(lambda event: event["event"] == "frame")
    wait_for("its status", lambda: follows() == FileStamp.of(file))
    daemon.signal(signal.SIGTERM)
    assert daemon.end(timeout=10) == 0


class TestDelegate:
    """A delegate library that refuses, fails and hangs; see tests/device/fake_delegate.c."""

    def options(self, model: Path, library: Path, *more: str) -> list[str | Path]:
        return [
            "--model", model, "--source", "test:", "--delegate", library, "--every-frame",
            "--recovery-delegate", "1", "--recovery-inference-timeout", "1", *more,
        ]  # fmt: skip

    def test_it_works(self, start: Callable[..., Daemon], model: Path, fake_delegate: Path) -> None:
        daemon = start(*self.options(model, fake_delegate, "--max-frames", "20"))
        assert daemon.end() == 0
        assert daemon.said[-1].rstrip().endswith(", fake)")

    def test_without_leave_for_the_cpu_it_ends_with_its_own_exit_code(
        self, start: Callable[..., Daemon], model: Path, fake_delegate: Path
    ) -> None:
        refused = {"FAKE_DELEGATE_MODE": "refuse"}
        daemon = start(*self.options(model, fake_delegate), environment=refused)
        assert daemon.end() == 11
        assert "--allow-cpu-fallback" in daemon.said[-1]

    def test_with_leave_the_cpu_goes_on_and_every_event_says_so(
        self, start: Callable[..., Daemon], model: Path, fake_delegate: Path
    ) -> None:
        failing = {"FAKE_DELEGATE_AFTER": "3"}
        options = self.options(model, fake_delegate, "--allow-cpu-fallback")
        daemon = start(*options, environment=failing)
        assert daemon.wait_for_event(lambda event: True)["state"] == "running"
        daemon.wait_for_event(lambda event: event["state"] == "degraded")
        daemon.signal(signal.SIGTERM)
        assert daemon.end(timeout=10) == 0
        assert any("the CPU goes on" in line for line in daemon.said)

    def test_one_that_hangs_is_left_behind(
        self, start: Callable[..., Daemon], model: Path, fake_delegate: Path
    ) -> None:
        hanging = {"FAKE_DELEGATE_AFTER": "3", "FAKE_DELEGATE_THEN": "hang"}
        options = self.options(model, fake_delegate, "--allow-cpu-fallback")
        daemon = start(*options, environment=hanging)
        daemon.wait_for_event(lambda event: event["state"] == "degraded")
        daemon.signal(signal.SIGTERM)
        assert daemon.end(timeout=10) == 0

    def test_one_that_hangs_is_the_end_otherwise(
        self, start: Callable[..., Daemon], model: Path, fake_delegate: Path
    ) -> None:
        hanging = {"FAKE_DELEGATE_AFTER": "3", "FAKE_DELEGATE_THEN": "hang"}
        daemon = start(*self.options(model, fake_delegate), environment=hanging)
        assert daemon.end() == 11
        assert "did not return" in daemon.said[-1]


class TestCheck:
    """`--check` tries everything and says what is wrong with what."""

    def test_all_is_well(self, start: Callable[..., Daemon], model: Path, broker: Broker) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "edgekit", "run", "--model", model, "--source", "test:",
             "--mqtt-host", broker.host, "--mqtt-port", str(broker.port),
             "--http-listen", f"127.0.0.1:{free_port()}", "--check"],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        rows = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
        assert list(rows) == [
            "model",
            "source",
            "view",
            "stdout",
            "mqtt",
            "http",
            "webhook",
            "history",
        ]
        assert "3 classes" in rows["model"]
        assert rows["webhook"] == "off"

    def test_everything_that_is_wrong_is_named(self, model: Path, tmp_path: Path) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "edgekit", "run", "--model", tmp_path / "no", "--source",
             "v4l2:/dev/video97", "--mqtt-host", "127.0.0.1", "--mqtt-port", str(free_port()),
             "--http-listen", "0.0.0.0:8080", "--check"],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        wrong = [line.split()[0] for line in done.stdout.splitlines() if " wrong: " in line]
        assert wrong == ["model", "source", "mqtt", "http"]
        assert "model, source, mqtt, http" in done.stderr
