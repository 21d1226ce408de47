"""A broker that is away, hangs, refuses and floods, while a daemon publishes to it."""

import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.running import SLACK, Running, wait_for
from tests.faults.table import row
from tests.faults.wire import Wire
from tests.integration.broker import Broker, running_broker

# An announced length of 256 MB: PUBLISH, and the largest number of four bytes.
_OVERSIZED = b"\x30\xff\xff\xff\x7f"


def _top(model: Path, more: str = "") -> str:
    return f'model = "{model}"\nsource = "test:"\nevery-frame = true\nstdout = false\n{more}'


def _mqtt(port: int, more: str = "") -> str:
    return f'host = "127.0.0.1"\nport = {port}\n{more}'


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with running_broker(tmp_path) as broker:
        yield broker


def _delivers(daemon: Running) -> None:
    sent = daemon.health.sinks["mqtt"].sent
    wait_for("deliveries", lambda: daemon.health.sinks["mqtt"].sent > sent + 5)


def test_one_that_is_away_at_the_start_and_killed_later(
    start: Callable[..., Running], model: Path, broker: Broker
) -> None:
    fault = row("broker-absent")
    broker.kill()
    daemon = start(top=_top(model), mqtt=_mqtt(broker.port))
    health = daemon.shows(fault)
    assert health.sinks["mqtt"].sent == 0
    broker.start()
    daemon.recovers(fault)
    _delivers(daemon)
    fault = row("broker-killed")
    broker.kill()
    daemon.shows(fault)
    broker.start()
    after = daemon.recovers(fault)
    _delivers(daemon)
    assert after.restarts["mqtt"] >= 1
    assert daemon.health.sinks["mqtt"].dropped == 0


def test_one_that_hangs(start: Callable[..., Running], model: Path, broker: Broker) -> None:
    fault = row("broker-frozen")
    daemon = start(top=_top(model), mqtt=_mqtt(broker.port))
    daemon.is_well()
    _delivers(daemon)
    assert broker.process is not None
    broker.process.send_signal(signal.SIGSTOP)
    try:
        daemon.shows(fault)
        daemon.answers()
    finally:
        broker.process.send_signal(signal.SIGCONT)
    daemon.recovers(fault)
    _delivers(daemon)


def test_one_that_is_slow_one_that_floods_and_one_that_is_none(
    start: Callable[..., Running], model: Path, broker: Broker
) -> None:
    with Wire(broker.port) as wire:
        daemon = start(top=_top(model), mqtt=_mqtt(wire.port), camera="fps = 240\ntimeout = 5")
        daemon.is_well()
        _delivers(daemon)

        fault, before = row("broker-garbage"), wire.connections
        assert wire.send(bytes(range(256)) * 16)
        # It may be over before anybody looks.
        wait_for("another connection", lambda: wire.connections > before)
        daemon.recovers(fault)
        _delivers(daemon)

        fault = row("broker-slow")
        wire.delay = 0.1
        health = daemon.shows(fault)
        assert health.sinks["mqtt"].dropped > 0
        wire.delay = 0.0
        daemon.recovers(fault)
        _delivers(daemon)


def test_one_that_announces_a_message_without_end(
    start: Callable[..., Running], model: Path, broker: Broker
) -> None:
    fault = row("broker-oversized")
    with Wire(broker.port) as wire:
        daemon = start(top=_top(model), mqtt=_mqtt(wire.port))
        daemon.is_well()
        _delivers(daemon)
        before = wire.connections
        memory = daemon.health.memory_bytes
        assert wire.send(_OVERSIZED + b"\0\1t")
        for _ in range(48):
            if not wire.send(bytes(1 << 20)):
                break
        wait_for("another connection", lambda: wire.connections > before, 5)
        daemon.recovers(fault)
        _delivers(daemon)
        assert daemon.health.memory_bytes < memory + (16 << 20)


def test_one_that_refuses_a_password(
    start: Callable[..., Running], model: Path, tmp_path: Path
) -> None:
    fault, passwords = row("broker-refuses"), tmp_path / "passwords"
    if shutil.which("mosquitto_passwd") is None:
        pytest.skip("mosquitto_passwd is not installed")
    subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, "pi", "s3cret"], check=True)
    (tmp_path / "password").write_text("wrong")
    with running_broker(tmp_path, f"password_file {passwords}") as broker:
        more = f'user = "pi"\npassword-file = "{tmp_path}/password"'
        daemon = start(top=_top(model), mqtt=_mqtt(broker.port, more))
        daemon.shows(fault)
        (tmp_path / "password").write_text("s3cret")
        daemon.recovers(fault)
        _delivers(daemon)


def test_one_with_a_certificate_that_nobody_vouches_for(
    start: Callable[..., Running], model: Path, tmp_path: Path
) -> None:
    fault, certificate, key = row("broker-certificate"), tmp_path / "crt", tmp_path / "key"
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-subj", "/CN=broker", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2",
         "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    with running_broker(tmp_path, f"certfile {certificate}", f"keyfile {key}") as broker:
        daemon = start(top=_top(model), mqtt=_mqtt(broker.port, "tls = true"))
        assert daemon.shows(fault).sinks["mqtt"].sent == 0
        trusted = f'tls = true\nca-file = "{certificate}"'
        daemon.write(mqtt=_mqtt(broker.port, trusted))
        daemon.reload()
        daemon.recovers(fault)
        _delivers(daemon)


def test_one_that_stays_away_is_an_end(start: Callable[..., Running], model: Path) -> None:
    """As the row of `broker-absent` says."""
    daemon = start(top=_top(model), mqtt=_mqtt(9, "give-up = 1.0")).daemon
    assert daemon.end(SLACK) == 12
    assert any("gave up after 1 s" in line for line in daemon.said)
