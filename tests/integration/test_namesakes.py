"""Two devices of one name at one broker."""

import json
import socket
from collections.abc import Callable
from pathlib import Path

from click.testing import CliRunner
from edgekit_device.fleet.command import fleet

from tests.faults.running import wait_for
from tests.integration.broker import Listener, running_broker
from tests.integration.daemon import Daemon
from tests.integration.test_whole_daemon import fetch, free_port
from tests.tiny import tiny_model

TOLD = f"another device has the name pi, too: {socket.gethostname()}; each ends the other's "


def test_both_say_so_and_so_does_the_fleet(
    impatient: Callable[..., Daemon], tmp_path: Path
) -> None:
    model = tiny_model(tmp_path / "model.tflite")
    ports = [free_port(), free_port()]
    with running_broker(tmp_path) as broker, Listener(broker) as listener:
        at = ("--mqtt-host", broker.host, "--mqtt-port", str(broker.port))

        def start(port: int) -> Daemon:
            return impatient(
                "--model", model, "--source", "test:", "--name", "pi", *at,
                "--http-listen", f"127.0.0.1:{port}",
            )  # fmt: skip

        def health(port: int) -> dict[str, object]:
            found: dict[str, object] = json.loads(fetch(port, "/api/health")[1])
            return found

        first = start(ports[0])
        listener.await_message("edgekit/pi/health")
        # One that is started afresh finds what it said before: that is nobody else.
        first.kill()
        first = start(ports[0])
        listener.await_message("edgekit/pi/device", count=2)
        first.wait_for_event(lambda event: True)
        assert "takeovers" not in health(ports[0])["sinks"]["mqtt"]  # type: ignore[index]
        second = start(ports[1])
        second.wait_for_event(lambda event: True)
        for port in ports:
            wait_for(
                "its health",
                lambda port=port: any(TOLD in problem for problem in health(port)["problems"]),
            )  # type: ignore[attr-defined]
            assert health(port)["state"] == "degraded"
            metrics = fetch(port, "/metrics")[1]
            assert 'edgekit_problem{part="mqtt"} 1.0' in metrics
            line = next(x for x in metrics.splitlines() if "_takeovers_total{" in x and "mqtt" in x)
            assert float(line.split()[1]) >= 2

        def told() -> bool:
            return TOLD in listener.payloads("edgekit/pi/health")[-1]

        wait_for("the broker's word", told)
        done = CliRunner().invoke(fleet, list(at))
        assert done.exit_code == 1
        host = socket.gethostname()
        assert f"1 name(s) belong to two devices each: pi ({host}, and {host}); " in done.stderr
        assert f"mqtt: {TOLD}" in done.stdout
        (device,) = json.loads(CliRunner().invoke(fleet, [*at, "--json"]).stdout)["devices"]
        assert device["namesake"] == host and device["unwell"]
        # Whatever comes and goes meanwhile, the journal has one line of it, and one of before, half
        # a minute apart.
        assert all(sum("mqtt: " in line for line in daemon.said) <= 2 for daemon in (first, second))
