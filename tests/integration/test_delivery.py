"""`edgekit run` and receivers that are away, late, or refuse: nothing is lost without a word."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.conftest import Edgekit, failure
from tests.integration.broker import Broker, Listener, running_broker
from tests.integration.daemon import Daemon
from tests.recordings import write_video
from tests.serving import serving
from tests.tiny import tiny_model

FRAMES = 30


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tiny_model(tmp_path / "tiny.tflite")


@pytest.fixture
def recording(model: Path, tmp_path: Path) -> tuple[str | Path, ...]:
    """`edgekit run` over a recording, each of whose frames is an event."""
    video = write_video(tmp_path / "v.avi", ["red", "green", "blue"] * (FRAMES // 3))
    return ("run", "--model", model, "--source", video, "--every-frame", "--no-stdout")


@contextmanager
def _webhook(status: int, port: int = 0) -> Iterator[ThreadingHTTPServer]:
    """A server that answers every event like this."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with serving(ThreadingHTTPServer(("127.0.0.1", port), Handler)) as server:
        yield server


def test_a_recording_fails_with_what_neither_a_broker_nor_a_webhook_got(
    edgekit: Edgekit, recording: tuple[str | Path, ...]
) -> None:
    # Nobody listens on a port that is bound, and nobody else can take it.
    with socket.socket() as away:
        away.bind(("127.0.0.1", 0))
        port = away.getsockname()[1]
        with _webhook(403) as server:
            url = f"http://127.0.0.1:{server.server_port}/hook?key=s3cret"
            done = edgekit(
                *recording, "--mqtt-host", "127.0.0.1", "--mqtt-port", str(port),
                "--webhook-url", url,
            )  # fmt: skip
    assert failure(done) == (
        f"edgekit: mqtt: {FRAMES} of {FRAMES} events were not delivered: cannot reach the MQTT "
        f"broker 127.0.0.1:{port}: Connection refused; "
        f"webhook: {FRAMES} of {FRAMES} events were not delivered: 127.0.0.1:{server.server_port} "
        "answers 403 Forbidden; see to that, and run it again"
    )
    assert "s3cret" not in done.stderr


def test_a_broker_that_comes_late_gets_all_of_a_recording(
    start: Callable[..., Daemon], recording: tuple[str | Path, ...], tmp_path: Path
) -> None:
    broker = Broker(tmp_path)
    at = ("--mqtt-host", broker.host, "--mqtt-port", str(broker.port), "--name", "pi")
    # What listens there at first hangs up, so that the broker comes after the first try.
    with socket.create_server((broker.host, broker.port)) as other:
        daemon = start(*recording[1:], *at)
        other.accept()[0].close()
    broker.start()
    try:
        assert daemon.end() == 0, daemon.said
        assert f"{FRAMES} frames (0 dropped), {FRAMES} events" in daemon.said[-1]
        with Listener(broker) as later:
            state = json.loads(later.await_message("edgekit/pi/state"))
        assert state["frame"] == FRAMES - 1
    finally:
        broker.kill()


def test_all_that_is_delivered_is_success(
    edgekit: Edgekit, recording: tuple[str | Path, ...], tmp_path: Path
) -> None:
    with running_broker(tmp_path) as broker, Listener(broker) as listener, _webhook(204) as server:
        done = edgekit(
            *recording, "--mqtt-host", broker.host, "--mqtt-port", str(broker.port), "--name",
            "pi", "--webhook-url", f"http://127.0.0.1:{server.server_port}/",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        listener.await_message("edgekit/pi/event", count=FRAMES)
    assert "not delivered" not in done.stderr


def test_a_camera_goes_on_and_says_once_who_is_away_and_that_it_is_back(
    start: Callable[..., Daemon], model: Path, tmp_path: Path
) -> None:
    with running_broker(tmp_path) as broker:
        daemon = start(
            "--model", model, "--source", "test:", "--every-frame",
            "--mqtt-host", broker.host, "--mqtt-port", str(broker.port),
        )  # fmt: skip
        daemon.wait_for_event(lambda event: event["event"] == "frame")
        broker.kill()
        assert f"the MQTT broker {broker.host}:{broker.port}" in daemon.wait_for("edgekit: mqtt: ")
        broker.start()
        daemon.wait_for("edgekit: mqtt: delivers again; ")
        daemon.signal(signal.SIGTERM)
        assert daemon.end() == 0
    assert sum("delivers again" in line for line in daemon.said) == 1


def test_a_page_for_others_without_a_token_is_a_wrong_configuration(
    recording: tuple[str | Path, ...],
) -> None:
    command = [sys.executable, "-m", "edgekit", *map(str, recording)]
    done = subprocess.run(
        [*command, "--http-listen", "0.0.0.0:0"], capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert "there is no token" in failure(done, code=2)
