"""Hours of frames with every sink on and faults at random: `python -m benchmarks.soak [--help]`.

`edgekit run` in a process of its own answers a generated picture with a model of three operators,
as fast as it can, and tells fifty events a second to stdout, a broker (mosquitto), a webhook and an
HTTP page; clips of what it sees are recorded beside it. Every few seconds a part fails, and comes
back. What must hold, or the exit code is 1:

- memory after warm-up is flat within 2 MiB; threads and descriptors are as many as before;
- no counter falls;
- in the end, frames captured = answered + dropped, and events = sent + dropped for each sink;
- who listens got no event less than the daemon says that it sent.
"""

import argparse
import contextlib
import http.client
import http.server
import json
import os
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.soak_daemon import Control, Mode
from tests.integration.broker import Broker, running_broker
from tests.serving import serving
from tests.tiny import tiny_model

_MIB = 1 << 20
_NAME = "soak"
_SAMPLE_EVERY = 5.0
_FLAT = 2 * _MIB
_CONFIG = """\
model = "{model}"
source = "test:"
name = "soak"
top-k = {top_k}
[decision]
heartbeat = 0.02
[camera]
width = 32
height = 32
timeout = 1.0
[recovery]
camera = 600
[mqtt]
host = "127.0.0.1"
port = {mqtt}
[http]
listen = "127.0.0.1:{http}"
[webhook]
url = "http://127.0.0.1:{webhook}/"
timeout = 1.0
tries = {tries}
[health]
interval = 1.0
"""


class _Webhook(http.server.ThreadingHTTPServer):
    """Counts the events that it takes, or fails."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Hook)
        self.taken = 0
        self.fails = ""


class _Hook(http.server.BaseHTTPRequestHandler):
    server: _Webhook

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.fails == "hangs":
            time.sleep(3)
        if self.server.fails == "closes":
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.server.taken += not self.server.fails
        self.send_response(503 if self.server.fails else 204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            super().handle()


@dataclass
class Sample:
    """How the daemon was.

    Attributes:
        health: what it said.
        resident, threads, descriptors: what the kernel says; memory in bytes.
    """

    health: dict[str, Any]
    resident: int
    threads: int
    descriptors: int


@dataclass
class Soak:
    """A daemon, what it talks to, and what was seen of it."""

    folder: Path
    broker: Broker
    webhook: _Webhook
    http: int
    fps: float
    lines: int = 0
    reading: threading.Event = field(default_factory=threading.Event)
    faults: dict[str, int] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    heard: int = 0

    def __post_init__(self) -> None:
        self.model = tiny_model(self.folder / "model.tflite")
        self.control = Control(self.folder / "control", create=True)
        self.reading.set()
        self.configure()
        self.said = (self.folder / "stderr").open("w+")
        command = [
            sys.executable, "-m", "benchmarks.soak_daemon", self.folder / "control", str(self.fps),
            "run", "--config", self.folder / "edgekit.toml",
        ]  # fmt: skip
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=self.said,
            env=os.environ | {"RUNTIME_DIRECTORY": str(self.folder)},
        )  # fmt: skip
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for _ in self.process.stdout:
            self.reading.wait()
            self.lines += 1

    def configure(self, top_k: int = 3, tries: int = 5) -> None:
        """Write a configuration that is right."""
        text = _CONFIG.format(
            model=self.model, top_k=top_k, tries=tries, mqtt=self.broker.port, http=self.http,
            webhook=self.webhook.server_port,
        )  # fmt: skip
        (self.folder / "edgekit.toml").write_text(text)

    def health(self) -> dict[str, Any] | None:
        """What the daemon last left beside it; None before the first time."""
        try:
            health: dict[str, Any] = json.loads((self.folder / "status.json").read_bytes())
        except FileNotFoundError:
            return None
        return health["health"]  # type: ignore[no-any-return]

    def sample(self) -> None:
        """Note how it is, and that no counter fell."""
        health, process = self.health(), Path(f"/proc/{self.process.pid}")
        if health is None:
            return
        status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
        found = Sample(
            health,
            int(status["VmRSS"].split()[0]) << 10,
            int(status["Threads"]),
            len(list((process / "fd").iterdir())),
        )
        if self.samples:
            before, now = _counters(self.samples[-1].health), _counters(health)
            self.broken += [
                f"{name} fell from {before[name]} to {now.get(name)}"
                for name in before
                if now.get(name, 0) < before[name]
            ]
        self.samples.append(found)

    def ask(self, path: str, seconds: float = 10.0) -> None:
        """Ask the page for something, and wait for its end."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            address = f"http://127.0.0.1:{self.http}{path}"
            with urllib.request.urlopen(address, timeout=seconds) as answer:
                answer.read()


def _counters(health: dict[str, Any]) -> dict[str, int]:
    counts = {name: health.get(name, 0) for name in ("frames", "dropped", "damaged", "events")}
    counts |= {f"restarts of {part}": count for part, count in health["restarts"].items()}
    for name, sink in health["sinks"].items():
        counts |= {f"{name} {outcome}": sink[outcome] for outcome in ("sent", "dropped")}
    return counts


# Faults: each does something for some seconds, and leaves all as it was.
Fault = Callable[[Soak, random.Random], None]
FAULTS: dict[str, Fault] = {}


def _fault(function: Fault) -> Fault:
    FAULTS[function.__name__.strip("_").replace("_", " ")] = function
    return function


@_fault
def _broker_killed(soak: Soak, chance: random.Random) -> None:
    soak.broker.kill()
    time.sleep(chance.uniform(0.5, 5))
    soak.broker.start()


@_fault
def _broker_frozen(soak: Soak, chance: random.Random) -> None:
    assert soak.broker.process is not None
    soak.broker.process.send_signal(signal.SIGSTOP)
    time.sleep(chance.uniform(0.5, 5))
    soak.broker.process.send_signal(signal.SIGCONT)


@_fault
def _webhook_fails(soak: Soak, chance: random.Random) -> None:
    soak.webhook.fails = chance.choice(["refuses", "hangs", "closes"])
    time.sleep(chance.uniform(0.5, 5))
    soak.webhook.fails = ""


@_fault
def _reader_of_stdout_sleeps(soak: Soak, chance: random.Random) -> None:
    soak.reading.clear()
    time.sleep(chance.uniform(0.5, 5))
    soak.reading.set()


@_fault
def _camera_fails(soak: Soak, chance: random.Random) -> None:
    modes: list[Mode] = ["stalled", "unplugged", "damaged"]
    soak.control.mode = chance.choice(modes)
    time.sleep(chance.uniform(0.2, 3))
    soak.control.mode = "well"


@_fault
def _daemon_stopped_for_a_while(soak: Soak, chance: random.Random) -> None:
    soak.process.send_signal(signal.SIGSTOP)
    time.sleep(chance.uniform(0.2, 3))
    soak.process.send_signal(signal.SIGCONT)


@_fault
def _configuration_read_again(soak: Soak, chance: random.Random) -> None:
    for top_k in chance.sample(range(1, 4), 3):
        # Other tries mean another webhook: a sink goes, and one comes.
        soak.configure(top_k, tries=chance.randrange(3, 6))
        soak.process.send_signal(signal.SIGHUP)
        time.sleep(chance.uniform(0, 0.5))


@_fault
def _configuration_damaged(soak: Soak, chance: random.Random) -> None:
    config = soak.folder / "edgekit.toml"
    config.write_bytes(chance.choice([b"threads = 0\n", b"a = [" * 3000, chance.randbytes(100)]))
    soak.process.send_signal(signal.SIGHUP)
    time.sleep(chance.uniform(0.2, 1))
    soak.configure()
    soak.process.send_signal(signal.SIGHUP)


@_fault
def _model_exchanged(soak: Soak, chance: random.Random) -> None:
    other = tiny_model(
        soak.folder / "other.tflite", logits=False, scale=chance.choice([1, 2]) / 255
    )
    other.replace(soak.model)
    time.sleep(6)


@_fault
def _model_damaged(soak: Soak, chance: random.Random) -> None:
    good = soak.model.read_bytes()
    bad = bytearray(good)
    for _ in range(8):
        bad[chance.randrange(len(bad))] = chance.randrange(256)
    partial = soak.folder / "bad.tflite"
    partial.write_bytes(bytes(bad))
    partial.replace(soak.model)
    time.sleep(6)
    partial.write_bytes(good)
    partial.replace(soak.model)


@_fault
def _model_deleted(soak: Soak, chance: random.Random) -> None:
    good = soak.model.read_bytes()
    soak.model.unlink()
    time.sleep(5)
    soak.model.write_bytes(good)


@_fault
def _slow_readers_of_the_page(soak: Soak, chance: random.Random) -> None:
    opened = []
    for path in chance.choices(["/events", "/stream", "/api/events", "/"], k=20):
        with contextlib.suppress(OSError):
            one = socket.create_connection(("127.0.0.1", soak.http), 5)
            one.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{soak.http}\r\n\r\n".encode())
            opened.append(one)
    time.sleep(chance.uniform(0.5, 5))
    for one in opened:
        one.close()


@_fault
def _half_requests_and_noise(soak: Soak, chance: random.Random) -> None:
    opened = []
    for _ in range(30):
        with contextlib.suppress(OSError):
            one = socket.create_connection(("127.0.0.1", soak.http), 5)
            one.sendall(chance.choice([b"GET / HT", chance.randbytes(64), b"\x16\x03\x01\x02\x00"]))
            opened.append(one)
    time.sleep(chance.uniform(0.5, 3))
    for one in opened:
        one.close()


@_fault
def _clip_recorded(soak: Soak, chance: random.Random) -> None:
    output = soak.folder / "seen.clip"
    command = [
        sys.executable, "-m", "edgekit", "record", "--service", "--output", output,
        "--max-seconds", "1",
    ]  # fmt: skip
    environment = os.environ | {"RUNTIME_DIRECTORY": str(soak.folder)}
    subprocess.run(command, env=environment, capture_output=True, timeout=60, check=False)
    output.unlink(missing_ok=True)


@contextlib.contextmanager
def _listening(soak: Soak) -> Iterator[None]:
    """Count the events that a subscriber of the broker gets."""
    client = Client(CallbackAPIVersion.VERSION2, client_id="listener", clean_session=False)

    def hear(*_: object) -> None:
        soak.heard += 1

    client.on_message = hear
    client.on_connect = lambda client, *_: client.subscribe(f"edgekit/{_NAME}/event", qos=1)
    client.reconnect_delay_set(1, 1)
    client.connect(soak.broker.host, soak.broker.port)
    client.loop_start()
    try:
        yield
    finally:
        client.disconnect()
        client.loop_stop()


def _until(what: str, condition: Callable[[], object], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        time.sleep(0.1)


def _work(soak: Soak, minutes: float, frames: int, chance: random.Random) -> None:
    """Let faults happen until the time is over, or so many frames are answered."""
    end = time.monotonic() + 60 * minutes
    told = sampled = 0.0
    faults = list(FAULTS.items())
    while (now := time.monotonic()) < end:
        if soak.process.poll() is not None:
            raise RuntimeError(f"the daemon ended with exit code {soak.process.returncode}")
        name, fault = chance.choice(faults)
        fault(soak, chance)
        soak.faults[name] = soak.faults.get(name, 0) + 1
        soak.ask("/metrics")
        time.sleep(chance.uniform(0, 3))
        if now - sampled >= _SAMPLE_EVERY:
            sampled = now
            soak.sample()
        if soak.samples and soak.samples[-1].health["frames"] >= frames:
            return
        if soak.samples and now - told >= 60:
            told = now
            last = soak.samples[-1]
            print(
                f"{last.health['uptime_s']:7.0f} s  {last.health['frames']:10,} frames  "
                f"{sum(soak.faults.values()):4} faults  {last.resident / _MIB:6.1f} MiB  "
                f"{last.threads} threads  {last.descriptors} descriptors",
                flush=True,
            )


def _settle(soak: Soak) -> dict[str, Any]:
    """Let the camera fall silent, and all that waits arrive."""
    before = soak.control.captured
    _until("the camera is back", lambda: soak.control.captured > before + 1000, 120)
    soak.control.mode = "stalled"
    time.sleep(3)
    found: dict[str, Any] = {}

    def quiet() -> bool:
        nonlocal found
        found = soak.health() or {}
        return not any(sink["queued"] for sink in found["sinks"].values())

    _until("nothing waits", quiet, 600)
    time.sleep(3)
    found = soak.health() or {}
    return found


def _judge(soak: Soak, health: dict[str, Any]) -> None:
    """What must hold, does; what does not goes into `broken`."""
    captured, counted = soak.control.captured, health["frames"] + health["dropped"]
    if captured != counted:
        soak.broken.append(f"{captured:,} frames captured, {counted:,} answered or dropped")
    got = {"stdout": soak.lines, "mqtt": soak.heard, "webhook": soak.webhook.taken}
    for name, sink in health["sinks"].items():
        if name not in got:
            continue
        if sink["sent"] + sink["dropped"] != health["events"]:
            soak.broken.append(
                f"{name}: {health['events']:,} events, {sink['sent']:,} sent and "
                f"{sink['dropped']:,} dropped"
            )
        if got[name] < sink["sent"]:
            soak.broken.append(f"{name}: {sink['sent']:,} sent, {got[name]:,} arrived")
    third = len(soak.samples) // 3
    for what, allowed in (("resident", _FLAT), ("threads", 0), ("descriptors", 0)):
        early, late = (
            statistics.median(getattr(sample, what) for sample in samples)
            for samples in (soak.samples[third : 2 * third], soak.samples[2 * third :])
        )
        if late - early > allowed:
            soak.broken.append(f"{what} grew from {early:,} to {late:,}")


def _report(soak: Soak, health: dict[str, Any]) -> None:
    print(f"\n{health['frames']:,} frames answered, {health['dropped']:,} dropped "
          f"({health.get('damaged', 0):,} of them damaged), {soak.control.captured:,} captured; "
          f"{health['uptime_s']:,.0f} s")  # fmt: skip
    for name, sink in health["sinks"].items():
        print(f"{name:8} {sink['sent']:,} sent, {sink['dropped']:,} dropped")
    print(
        "arrived  " + f"stdout {soak.lines:,}, mqtt {soak.heard:,}, webhook {soak.webhook.taken:,}"
    )
    print("restarts " + ", ".join(f"{part} {n:,}" for part, n in health["restarts"].items()))
    print("faults   " + ", ".join(f"{name} {n}" for name, n in sorted(soak.faults.items())))
    half = soak.samples[len(soak.samples) // 3 :]
    for what, unit in (("resident", _MIB), ("threads", 1), ("descriptors", 1)):
        values = [getattr(sample, what) / unit for sample in half]
        print(
            f"{what:11} {values[0]:.1f} after warm-up, {statistics.median(values):.1f} median, "
            f"{max(values):.1f} at most, {values[-1]:.1f} last"
        )
    for text in soak.broken:
        print(f"BROKEN   {text}")


def _broker_options(folder: Path) -> tuple[str, ...]:
    # What it has acknowledged must outlive it, or what a subscriber gets says nothing about us.
    return (
        "max_queued_messages 0",
        "persistence true",
        f"persistence_location {folder}/",
        "autosave_on_changes true",
        "autosave_interval 1",
    )


def main() -> int:
    """Print what was seen; the exit code says whether all held."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.soak",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=60, help="for at most so long; 60")
    parser.add_argument("--frames", type=int, default=10_000_000, help="or so many; ten million")
    parser.add_argument("--fps", type=float, default=4000, help="of the camera; 4000")
    parser.add_argument("--seed", type=int, default=0, help="of the faults; 0")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="edgekit-soak-"))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    with running_broker(folder, *_broker_options(folder)) as broker, serving(_Webhook()) as webhook:
        soak = Soak(folder, broker, webhook, port, given.fps)
        try:
            with _listening(soak):
                _until("a first frame", lambda: (soak.health() or {}).get("frames"), 60)
                _work(soak, given.minutes, given.frames, random.Random(given.seed))
                health = _settle(soak)
                _judge(soak, health)
        finally:
            soak.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = soak.process.wait(30)
            soak.process.kill()
    if code:
        soak.broken.append(f"exit code {code}")
    if "Traceback" in (folder / "stderr").read_text():
        soak.broken.append(f"a traceback in {folder}/stderr")
    _report(soak, health)
    if not soak.broken:
        shutil.rmtree(folder)
    return bool(soak.broken)


if __name__ == "__main__":
    sys.exit(main())
