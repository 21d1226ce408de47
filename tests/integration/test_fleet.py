"""`edgekit fleet` against a real broker, and against those that do not do as mosquitto does."""

import contextlib
import fcntl
import json
import os
import re
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import click
import msgspec
import pytest
import yaml
from click.testing import CliRunner, Result
from edgekit_device.config.settings import MqttSettings
from edgekit_device.fleet import reading as reading_module
from edgekit_device.fleet.command import fleet
from edgekit_device.fleet.devices import STATES, Device
from edgekit_device.fleet.reading import PACKET_LIMIT, Reading
from edgekit_device.sinks.mqtt import Mqtt
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from edgekit.errors import ConfigurationError, EdgekitError, OutputError
from edgekit.inference.events import timestamp
from tests.conftest import ROOT
from tests.device.sinks.player import HEALTH
from tests.device.sinks.samples import make_event, until
from tests.integration.broker import Broker, running_broker

PAYLOADS = {
    "status": b"online",
    "health": b"",
    "state": b'{"label":"mug"}',
    "device": b'{"host":"x"}',
}


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with running_broker(tmp_path) as broker:
        yield broker


def _health(**changes: object) -> bytes:
    well = msgspec.structs.replace(HEALTH, ts=timestamp(), state="running", drift=None)
    return msgspec.json.encode(msgspec.structs.replace(well, **changes))


@contextmanager
def _device(broker: Broker, name: str, **changes: object) -> Iterator[Mqtt]:
    """The daemon's own sink, which has said how it is and what it sees."""
    sink = Mqtt(MqttSettings(host=broker.host, port=broker.port), name)
    sink.start()
    try:
        well = msgspec.structs.replace(
            HEALTH, ts=timestamp(), name=name, state="running", drift=None
        )
        sink.health(msgspec.structs.replace(well, **changes))
        sink.event(make_event())
        until(lambda: sink.report().sent)
        yield sink
    finally:
        sink.close(5)


def _publish(broker: Broker, messages: Mapping[str, bytes]) -> None:
    """Retain messages, and return once the broker has them."""
    client = Client(CallbackAPIVersion.VERSION2)
    client.max_inflight_messages_set(1000)
    client.connect(broker.host, broker.port)
    client.loop_start()
    # As the daemon does it: of what has no more than QoS 0, a broker drops nothing as early.
    sent = [client.publish(topic, payload, 1, retain=True) for topic, payload in messages.items()]
    for one in sent:
        one.wait_for_publish(60)
    client.disconnect()
    client.loop_stop()


def _many(count: int) -> dict[str, bytes]:
    payloads = PAYLOADS | {"health": _health()}
    return {
        f"edgekit/d{number}/{kind}": payload
        for number in range(count)
        for kind, payload in payloads.items()
    }


def _at(broker: Broker) -> list[str]:
    return ["--mqtt-host", broker.host, "--mqtt-port", str(broker.port)]


def _run(broker: Broker, *words: str) -> Result:
    return CliRunner().invoke(fleet, [*words, *_at(broker)])


def _failure(done: Result) -> str:
    """What the command line prints of an expected failure, and nothing else was printed."""
    assert isinstance(done.exception, EdgekitError) and not done.stdout
    return str(done.exception)


@contextmanager
def _read(broker: "Broker | _Script", timeout: float = 30.0) -> Iterator[Reading]:
    with closing(Reading(MqttSettings(host=broker.host, port=broker.port), 5.0)) as reading:
        reading.read(timeout)
        yield reading


# What is shown.


def test_devices_are_shown_with_what_is_wrong(broker: Broker) -> None:
    with _device(broker, "porch"), _device(broker, "gate", problems=["camera: away"]):
        done = _run(broker)
    assert done.exit_code == 1
    head, gate, problem, porch = done.stdout.splitlines()[:4]
    assert head.split() == [
        "NAME", "STATE", "LABEL", "MODEL", "HASH", "SIGNER", "SINCE", "VERSION", "FRAME", "TEMP",
        "SEEN",
    ]  # fmt: skip
    assert gate.startswith("gate") and porch.startswith("porch")
    assert problem == "    camera: away"
    assert "mug" in porch and HEALTH.model_sha256[:12] in porch and "51 °C" in porch
    assert "2 device(s): 2 running; 1 unwell" in done.stdout


def test_all_well_is_exit_code_0(broker: Broker) -> None:
    with _device(broker, "porch"):
        done = _run(broker)
    assert (done.exit_code, done.stderr) == (0, "")
    assert "all are well" in done.stdout


def test_json_says_the_same(broker: Broker) -> None:
    with _device(broker, "porch"):
        report = json.loads(_run(broker, "--json").stdout)
    assert report["complete"] and report["remarks"] == []
    (device,) = report["devices"]
    assert device["name"] == "porch" and not device["unwell"]
    assert device["host"] == socket.gethostname()
    assert device["last_seen_s"] < 60


def test_one_that_ended_is_offline(broker: Broker) -> None:
    with _device(broker, "porch"):
        pass
    done = _run(broker, "--unwell")
    assert done.exit_code == 1 and re.search("porch +offline", done.stdout)


def test_filters(broker: Broker) -> None:
    with _device(broker, "porch"), _device(broker, "gate", model="b.tflite", model_sha256="b" * 64):
        assert _run(broker, "--name", "po*").stdout.count("running") == 2  # and in the summary
        assert "1 device(s)" in _run(broker, "--model", "bbbbbb").stdout
        assert "1 device(s)" in _run(broker, "--model", "b.*").stdout
        done = _run(broker, "--state", "offline", "--state", "stalled")
        assert (done.exit_code, done.stdout, done.stderr) == (0, "no device fits\n", "")
        # As `sha256sum` of another system writes it.
        assert "1 device(s)" in _run(broker, "--model", "BBBBBB").stdout
        # A name that is spelt wrongly, or gone, would look like a fleet that is well.
        for names in (["prch"], ["porch", "prch"], ["g*", "prch", "porch"]):
            done = _run(broker, *(word for name in names for word in ("--name", name)))
            assert "none is called prch;" in _failure(done)
        done = _run(broker, "--model", "better-int8.tflit")
        assert (done.exit_code, done.stdout) == (0, "no device fits\n")
        assert "no device has a model better-int8.tflit; " in done.stderr


def test_no_device_is_an_error(broker: Broker) -> None:
    assert "knows no device below edgekit/" in _failure(_run(broker))
    with _device(broker, "porch"):
        done = _run(broker, "--mqtt-prefix", "cameras")
    assert "knows no device below cameras/: is --mqtt-prefix right" in _failure(done)


def test_a_broker_that_is_away_is_an_error(broker: Broker) -> None:
    broker.kill()
    assert "cannot reach the MQTT broker" in _failure(_run(broker))
    assert "cannot reach the MQTT broker" in _failure(_run(broker, "--watch"))


@pytest.mark.parametrize("host", ["mqtt://127.0.0.1", "127.0.0.1:1883"])
def test_a_host_that_is_more_than_a_name_is_told(host: str) -> None:
    done = CliRunner().invoke(fleet, ["--mqtt-host", host])
    assert "the host is a name alone: mqtt.port is its port" in _failure(done)


def test_without_a_broker_the_remedy_is_told() -> None:
    done = CliRunner().invoke(fleet, [])
    assert isinstance(done.exception, ConfigurationError)
    assert "name one with --mqtt-host" in str(done.exception)


def test_the_daemon_s_configuration_says_which_broker(broker: Broker, tmp_path: Path) -> None:
    config = tmp_path / "edgekit.toml"
    config.write_text(f'[mqtt]\nhost = "{broker.host}"\nport = {broker.port}\nqos = 2\n')
    with _device(broker, "porch"):
        done = CliRunner().invoke(fleet, ["--config", str(config)])
    assert "1 device(s)" in done.stdout


@pytest.mark.parametrize("words", [("--mqtt-host", "x"), ("--json",), ("--timeout", "30")])
def test_options_before_the_command_are_refused(words: tuple[str, ...]) -> None:
    done = CliRunner().invoke(fleet, [*words, "export"])
    assert done.exit_code == 2 and "write options behind export" in done.stderr


def test_user_and_password_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "users").write_text("")
    subprocess.run(
        ["mosquitto_passwd", "-b", str(tmp_path / "users"), "watcher", "hush"],
        check=True, capture_output=True,
    )  # fmt: skip
    (tmp_path / "secret").write_text("hush\n")
    with running_broker(tmp_path, f"password_file {tmp_path / 'users'}") as guarded:
        user = ["--mqtt-user", "watcher", "--mqtt-password-file", str(tmp_path / "secret")]
        assert "refuses us" in _failure(_run(guarded))
        assert "knows no device" in _failure(_run(guarded, *user))


# That all is in.


def test_all_devices_are_read_though_the_broker_keeps_few_messages_for_us(tmp_path: Path) -> None:
    with running_broker(tmp_path, "max_queued_messages 400") as small:
        _publish(small, _many(600))
        with _read(small) as reading:
            assert reading.was_complete and not reading.lost
            devices = reading.fleet.devices()
    assert len(devices) == 600
    # Each with all of its topics.
    assert all(d.state == "running" and d.label == "mug" and d.host == "x" for d in devices)


class _Script:
    """A broker that does what a test wants; for one client.

    Args:
        subscribed: what it sends for a request to subscribe, besides its own answer: given the
            filters, bytes.
        marked: whether it answers a request to unsubscribe.
        granted: the code with which it answers a request to subscribe.
    """

    host = "127.0.0.1"

    def __init__(
        self, subscribed: Callable[[list[str]], bytes], *, marked: bool = True, granted: int = 0
    ) -> None:
        self._subscribed, self._marked, self._granted = subscribed, marked, granted
        self._server = socket.create_server((self.host, 0))
        self.port: int = self._server.getsockname()[1]
        self.connection: socket.socket | None = None
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def __enter__(self) -> "_Script":
        return self

    def __exit__(self, *unused: object) -> None:
        self._server.close()
        if self.connection is not None:
            self.connection.close()
        self._thread.join(10)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            self.connection, _ = self._server.accept()
            stream = self.connection.makefile("rb")
            while head := stream.read(1):
                length = shift = 0
                while True:
                    (byte,) = stream.read(1)
                    length |= (byte & 127) << shift
                    shift += 7
                    if not byte & 128:
                        break
                self._answer(head[0] >> 4, stream.read(length))

    def _answer(self, kind: int, body: bytes) -> None:
        assert self.connection is not None
        if kind == 1:
            self.connection.sendall(b"\x20\x02\x00\x00")
        elif kind == 8:
            filters, at = [], 2
            while at < len(body):
                (length,) = struct.unpack_from(">H", body, at)
                filters.append(body[at + 2 : at + 2 + length].decode())
                at += length + 3
            answers = bytes([self._granted]) * len(filters)
            self.connection.sendall(_packet(0x90, body[:2] + answers) + self._subscribed(filters))
        elif kind == 10 and self._marked:
            self.connection.sendall(_packet(0xB0, body[:2]))


def _packet(head: int, body: bytes) -> bytes:
    length, digits = len(body), b""
    while True:
        length, digit = divmod(length, 128)
        digits += bytes([digit | (128 if length else 0)])
        if not length:
            return bytes([head]) + digits + body


def _message(topic: str, payload: bytes) -> bytes:
    """A message that was retained."""
    name = topic.encode()
    return _packet(0x31, struct.pack(">H", len(name)) + name + payload)


def _topics(copies: int) -> Callable[[list[str]], bytes]:
    def say(filters: list[str]) -> bytes:
        if filters[0] == "edgekit/+/status":
            return copies * _message("edgekit/pi/status", b"online")
        return b"".join(_message(one, payloads[one.rpartition("/")[2]]) for one in filters)

    payloads = PAYLOADS | {"health": _health()}
    return say


def test_a_message_that_was_dropped_is_noticed_and_told() -> None:
    with _Script(_topics(1)) as script, _read(script) as reading:
        assert reading.lost == 1 and len(reading.fleet.devices()) == 1
    with _Script(_topics(2)) as script, _read(script) as reading:
        assert reading.lost == 0
    with _Script(_topics(1)) as script:
        done = CliRunner().invoke(
            fleet, ["--mqtt-host", script.host, "--mqtt-port", str(script.port)]
        )
    assert done.exit_code == 1 and "devices may be missing; let it keep more" in done.stderr


def test_a_broker_that_sends_what_it_retains_later_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script: _Script

    def later() -> None:
        assert script.connection is not None
        script.connection.sendall(2 * _message("edgekit/pi/status", b"offline"))

    def say(filters: list[str]) -> bytes:
        if filters[0] == "edgekit/+/status":
            threading.Timer(0.3, later).start()
        return b""

    monkeypatch.setattr(reading_module, "QUIET", 2.0)
    with _Script(say) as script, _read(script) as reading:
        assert reading.was_complete and reading.fleet.devices()


def test_a_broker_that_does_not_end_is_told() -> None:
    with _Script(_topics(2), marked=False) as script:
        done = CliRunner().invoke(
            fleet,
            ["--mqtt-host", script.host, "--mqtt-port", str(script.port), "--timeout", "0.5"],
        )
    assert done.exit_code == 1
    assert "has not sent all that it retains in time" in done.stderr


def test_a_broker_that_goes_away_in_the_middle_is_no_small_fleet(broker: Broker) -> None:
    _publish(broker, _many(50))
    with closing(Reading(MqttSettings(host=broker.host, port=broker.port), 5.0)) as reading:
        while not reading.fleet.devices():
            reading.turn(1.0)
        broker.kill()
        with pytest.raises(OutputError, match="closed the connection"):
            reading.read(60.0)


def test_a_broker_that_lets_us_not_read_is_told() -> None:
    with _Script(_topics(2), granted=0x80) as script, pytest.raises(OutputError) as caught:
        Reading(MqttSettings(host=script.host, port=script.port), 5.0).read(30.0)
    assert "lets us not read edgekit/+/status; allow this user to read edgekit/#" in str(
        caught.value
    )


# What anybody may publish.


def test_hostile_topics_and_payloads_are_counted_and_told(broker: Broker) -> None:
    with _device(broker, "porch"):
        _publish(
            broker,
            {
                "edgekit/a b/status": b"online",
                "edgekit/tv/status": b"\xff\x00",
                "edgekit/tv/status/power": b"on",
                "edgekit/large/status": b"online",
                "edgekit/large/health": b"x" * 10_000_000,
                "edgekit/wrong/status": b"online",
                "edgekit/wrong/health": b'{"ts":[],"state":{}}',
                "edgekit/porch/picture": b"\xff\xd8" * 100_000,
            },
        )
        done = _run(broker, "--json")
    assert done.exit_code == 1
    report = json.loads(done.stdout)
    states = {device["name"]: device["state"] for device in report["devices"]}
    assert states == {"porch": "running", "large": "unknown", "wrong": "unknown"}
    large = next(device for device in report["devices"] if device["name"] == "large")
    assert "10,000,000 bytes" in large["problems"][0]
    assert any(re.search("status topic.s. below edgekit/ are no", r) for r in report["remarks"])


def test_a_packet_that_no_memory_should_hold_is_refused_with_how_to_find_it() -> None:
    def say(filters: list[str]) -> bytes:
        # The head alone: nobody waits for the rest.
        return b"\x31\xff\xff\xff\x7f" + b"x" * 1000

    with _Script(say) as script, pytest.raises(OutputError) as caught:
        Reading(MqttSettings(host=script.host, port=script.port), 5.0).read(30.0)
    assert f"{PACKET_LIMIT:,} are the maximum; find it with: mosquitto_sub" in str(caught.value)


# Watching.


@pytest.fixture
def watched(broker: Broker) -> Iterator[Callable[..., "_Watch"]]:
    with contextlib.ExitStack() as stack:
        yield lambda *words: stack.enter_context(closing(_Watch(broker, *words)))


class _Watch:
    """`edgekit fleet --watch` in a process of its own, whose output is a pipe."""

    def __init__(self, broker: Broker, *words: str) -> None:
        command = [sys.executable, "-m", "edgekit", "fleet", "--watch", *words, *_at(broker)]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            # Whoever started the tests may have had Ctrl-C ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip

    def line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.stderr and self.process.stderr.read()
        return line

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


def test_a_line_for_each_change(broker: Broker, watched: Callable[..., _Watch]) -> None:
    with _device(broker, "porch") as sink:
        watch = watched()
        assert re.search(
            r"Z porch · running · mug · toys-int8.tflite 9f86d081884c · ", watch.line()
        )
        sink.event(make_event(label="cup"))
        assert "porch · running · cup" in watch.line()
        sink.health(
            msgspec.structs.replace(
                HEALTH, ts=timestamp(), state="stalled", problems=["camera: away"]
            )
        )
        assert "porch · stalled" in (line := watch.line()) and "camera: away" in line
    assert "porch · offline" in watch.line()
    _publish(broker, {"edgekit/porch/status": b""})
    assert "porch · gone from the broker" in watch.line()


def test_one_that_is_killed_is_shown_as_gone_and_one_that_comes_is_shown(
    broker: Broker, watched: Callable[..., _Watch]
) -> None:
    client = Client(CallbackAPIVersion.VERSION2)
    client.will_set("edgekit/porch/status", b"offline", 1, retain=True)
    client.connect(broker.host, broker.port)
    client.loop_start()
    for kind, payload in (PAYLOADS | {"health": _health()}).items():
        client.publish(f"edgekit/porch/{kind}", payload, 1, retain=True).wait_for_publish(30)
    watch = watched("--json")
    assert json.loads(watch.line())["device"]["state"] == "running"
    client.loop_stop()
    stream = client.socket()
    assert stream is not None
    stream.close()
    assert json.loads(watch.line())["device"]["state"] == "offline"
    with _device(broker, "gate"):
        said = json.loads(watch.line())
        while said["device"]["state"] != "running":  # It is known a moment before its health is.
            said = json.loads(watch.line())
        assert said["device"]["name"] == "gate"


def test_it_goes_on_when_the_broker_comes_back(
    broker: Broker, watched: Callable[..., _Watch]
) -> None:
    _publish(broker, {"edgekit/old/status": b"offline"})
    watch = watched()
    assert "old · offline" in watch.line()
    broker.kill()
    assert watch.process.stderr is not None
    assert "trying again in" in watch.process.stderr.readline()
    broker.start()
    _publish(broker, {"edgekit/new/status": b"offline"})
    assert {watch.line().split()[1], watch.line().split()[1]} == {"old", "new"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--mqtt-prefix", "cameras"), "knows no device below cameras/: is --mqtt-prefix right"),
        (("--name", "prch"), "no device is called prch"),
        (("--model", "cccccc"), "no device has a model cccccc"),
    ],
)
def test_nothing_to_watch_is_told(
    broker: Broker, watched: Callable[..., _Watch], words: tuple[str, str], told: str
) -> None:
    _publish(broker, {"edgekit/porch/status": b"offline"})
    watch = watched(*words)
    assert watch.process.stderr is not None and told in watch.process.stderr.readline()


def test_ctrl_c_ends_it(broker: Broker, watched: Callable[..., _Watch]) -> None:
    _publish(broker, {"edgekit/old/status": b"offline"})
    watch = watched()
    watch.line()
    watch.process.send_signal(signal.SIGINT)
    _, said = watch.process.communicate(timeout=30)
    assert watch.process.returncode == 130 and said.endswith("edgekit: interrupted\n")


def test_a_reader_that_has_enough_ends_it(broker: Broker, watched: Callable[..., _Watch]) -> None:
    """As `edgekit fleet --watch | head -1` does."""
    with _device(broker, "porch") as sink:
        watch = watched()
        assert "porch · running" in watch.line()
        assert watch.process.stdout is not None and watch.process.stderr is not None
        watch.process.stdout.close()
        sink.event(make_event(label="cup"))
        assert watch.process.wait(60) == 1
        assert watch.process.stderr.read() == ""


def test_what_the_output_cannot_show_is_written_otherwise(broker: Broker) -> None:
    """A terminal without UTF-8: one of a serial line, say."""
    label = json.dumps({"label": "水杯"}).encode()
    payloads = PAYLOADS | {"health": _health(name="porch"), "state": label}
    _publish(broker, {f"edgekit/porch/{kind}": payload for kind, payload in payloads.items()})
    done = subprocess.run(
        [sys.executable, "-m", "edgekit", "fleet", *_at(broker)],
        cwd=ROOT, capture_output=True, check=False,
        env=os.environ | {"PYTHONIOENCODING": "latin-1"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"porch  running  " in done.stdout and b"\\u6c34\\u676f" in done.stdout


def test_two_prefixes_on_one_broker_are_two_fleets(broker: Broker) -> None:
    _publish(broker, {"edgekit/porch/status": b"offline", "site/hall/gate/status": b"offline"})
    assert "gate" not in (done := _run(broker)).output and "1 device(s)" in done.output
    done = _run(broker, "--mqtt-prefix", "site/hall")
    assert "porch" not in done.output and "gate  offline" in done.output
    # One inside of the other: names are one level.
    assert "knows no device below site/" in _failure(_run(broker, "--mqtt-prefix", "site"))


_ANEW = "\x1b[H\x1b[J"


def _resize(terminal: int, lines: int, columns: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))


@contextmanager
def _terminal(
    broker: Broker, size: tuple[int, int] = (24, 80), **environment: str
) -> Iterator[Callable[..., str]]:
    """`edgekit fleet --watch` on a terminal; gives what reads it until something is there."""
    ours, its = os.openpty()
    _resize(its, *size)
    command = [sys.executable, "-m", "edgekit", "fleet", "--watch", *_at(broker)]
    # These count for more than what the terminal says; a worker of pytest's has them.
    inherited = {name: os.environ[name] for name in os.environ.keys() - {"LINES", "COLUMNS"}}
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=its, stderr=its, env=inherited | environment
    )
    os.close(its)

    def read(enough: Callable[[str], bool], size: tuple[int, int] | None = None) -> str:
        if size:
            # The system tells its programs (SIGWINCH).
            _resize(ours, *size)
        said, deadline = b"", time.monotonic() + 60
        while not enough(said.decode("utf-8", "replace")):
            assert time.monotonic() < deadline
            said += os.read(ours, 4096)
        return said.decode("utf-8", "replace")

    try:
        yield read
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def test_a_terminal_is_drawn_anew(broker: Broker) -> None:
    with _device(broker, "porch"), _terminal(broker, TERM="xterm") as said:
        text = said(lambda text: text.count(_ANEW) >= 3)
    assert "porch" in text and "all are well" in text


def test_a_terminal_that_cannot_be_drawn_anew_gets_lines(broker: Broker) -> None:
    with _device(broker, "porch"), _terminal(broker, TERM="dumb") as said:
        assert "\x1b" not in said(lambda text: "porch · running" in text)


def test_what_is_drawn_fits_into_the_terminal(broker: Broker) -> None:
    """Whatever is to be said: what is too much would push the first lines out of it."""
    old = {"status": b"offline", "health": _health(ts="2020-01-01T00:00:00Z")}
    names = [f"{'device-' * 10}{number}" for number in range(20)]
    _publish(broker, {f"edgekit/{name}/{kind}": old[kind] for name in names for kind in old})
    with _terminal(broker, TERM="xterm", LINES="16", COLUMNS="60") as said:
        text = said(lambda text: text.count(_ANEW) >= 3)
    drawn = text.split(_ANEW)[2].splitlines()
    assert drawn[0].endswith("UTC, Ctrl-C ends") and len(drawn) <= 15
    assert all(len(click.unstyle(line)) < 60 for line in drawn)


def test_a_terminal_that_changes_its_size_is_followed(broker: Broker) -> None:
    """Down to twenty columns, where each line still fits."""
    # All are well: each takes a line, and the table all that there are.
    devices = {
        name: PAYLOADS | {"health": _health(name=name)}
        for name in (f"camera-{number:02}" for number in range(30))
    }
    _publish(
        broker,
        {
            f"edgekit/{name}/{kind}": text
            for name, has in devices.items()
            for kind, text in has.items()
        },
    )
    with _terminal(broker, (30, 120), TERM="xterm") as said:
        wide = said(lambda text: text.count(_ANEW) >= 3).split(_ANEW)[2].splitlines()
        text = said(lambda text: text.count(_ANEW) >= 4, (14, 20))
    assert len(wide) == 29 and any("SIGNER" in line for line in wide), wide
    lines = [click.unstyle(line) for line in text.split(_ANEW)[3].splitlines()]
    assert len(lines) <= 13 and all(len(line) < 20 for line in lines)
    assert any(line.startswith("camera-00") for line in lines)
    assert any(re.fullmatch(r"… [0-9]+ more line\(s\)", line) for line in lines)
    assert any(re.fullmatch(r"… and [0-9]+ more", line) for line in lines)


# Export.


def test_an_inventory_has_hosts_and_groups(broker: Broker) -> None:
    sha = HEALTH.model_sha256
    with _device(broker, "porch"):
        _publish(broker, {"edgekit/gate/status": b"offline"})
        done = _run(broker, "export")
    assert done.exit_code == 0
    groups = yaml.safe_load(done.stdout)["all"]["children"]
    host = socket.gethostname()
    assert groups["edgekit"]["hosts"]["gate"] == {}
    assert groups["edgekit"]["hosts"]["porch"]["ansible_host"] == host
    assert set(groups) == {
        "edgekit", "edgekit_running", "edgekit_offline", f"edgekit_model_{sha[:12]}",
    }  # fmt: skip
    assert "1 device(s) have not told where they are: gate" in done.stderr


def test_an_inventory_that_would_mislead_ansible_is_told(broker: Broker) -> None:
    _publish(
        broker,
        {f"edgekit/{name}/status": b"online" for name in ("a", "b", "localhost")}
        | {f"edgekit/{name}/health": _health() for name in ("a", "b", "localhost")}
        | {f"edgekit/{name}/device": b'{"address":"10.0.0.1"}' for name in "ab"},
    )
    done = _run(broker, "export")
    assert done.exit_code == 1
    assert "left out: localhost; give them another `name`" in done.stderr
    assert "2 devices say that they are at 10.0.0.1: a, b; Ansible would take one" in done.stderr
    assert list(yaml.safe_load(done.stdout)["all"]["children"]["edgekit"]["hosts"]) == ["a", "b"]
    assert "no device fits" in str(_run(broker, "export", "--name", "localhost").exception)


# The documentation.


def _commands() -> list[list[str]]:
    page = (ROOT / "docs" / "fleet.md").read_text(encoding="utf-8")
    found = re.findall(r"(?:`|^)edgekit (fleet [^`\n>]*broker\.lan[^`\n>]*)", page, re.MULTILINE)
    return [shlex.split(one)[1:] for one in dict.fromkeys(found)]


@pytest.mark.parametrize("words", _commands(), ids=" ".join)
def test_commands_of_the_page_work(words: list[str], broker: Broker) -> None:
    at = words.index("broker.lan")
    words = [*words[:at], broker.host, "--mqtt-port", str(broker.port), *words[at + 1 :]]
    with _device(broker, "hall-1"):
        if "--watch" in words:
            with closing(_Watch(broker, *words[words.index("--watch") :])) as watch:
                assert "hall-1" in watch.line()
        else:
            assert CliRunner().invoke(fleet, words).exit_code == 0


def test_the_page_has_commands() -> None:
    assert len(_commands()) >= 6


def test_the_states_of_the_page_are_those_there_are() -> None:
    page = (ROOT / "docs" / "fleet.md").read_text(encoding="utf-8")
    table = page.partition("### States")[2].partition("All but")[0]
    assert set(re.findall(r"`(\w+)`(?=[^|]*\|)", table)) == set(STATES)


def test_the_keys_of_the_page_are_those_there_are() -> None:
    page = (ROOT / "docs" / "fleet.md").read_text(encoding="utf-8")
    table = page.partition("### JSON")[2].partition("### States")[0]
    rows = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    assert re.findall(r"`(\w+)`", " ".join(rows)) == list(Device.__struct_fields__)


def test_what_is_left_of_a_device_is_named_with_how_to_remove_it(broker: Broker) -> None:
    _publish(
        broker,
        {
            "edgekit/old/status": b"offline",
            "edgekit/old/health": _health(ts="2020-01-01T00:00:00Z"),
        },
    )
    done = _run(broker)
    remark = done.stderr.strip()
    assert "1 device(s) were last heard of more than 30 days ago: old;" in remark
    page = (ROOT / "docs" / "fleet.md").read_text(encoding="utf-8")
    command = re.search(r"mosquitto_sub -h broker.lan (.*?)```", page, re.DOTALL)
    assert command and " ".join(command[1].replace("\\\n", " ").split()) in remark
    sub = shutil.which("mosquitto_sub")
    if sub is None:
        pytest.skip("mosquitto_sub is not installed; what it removes is not tried")
    words = shlex.split(remark.partition("mosquitto_sub ")[2].replace("NAME", "old"))
    subprocess.run([sub, "-h", broker.host, "-p", str(broker.port), *words], check=False)
    assert "knows no device" in _failure(_run(broker))
