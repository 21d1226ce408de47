"""Five hundred devices on one Prometheus: `python -m benchmarks.fleet_prometheus`.

All on this machine's loopback, with an end: a process answers for all devices with what the
daemon's own metrics say, made anew for each scrape, of counters that count. Prometheus is the
system's, with the configuration and the rules of deploy/prometheus. Measured is what it takes once
each device was scraped twice.
"""

import argparse
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection as Pipe
from pathlib import Path

import msgspec
import yaml
from edgekit_device.answers import Answers, LabelCount
from edgekit_device.health import Health
from edgekit_device.sinks.http.metrics import Disk, Space, exposition

from benchmarks.figures import found
from benchmarks.processes import busy, resident
from tests.device.sinks.player import HEALTH

_PART = "A fleet on one Prometheus"
_FOLDER = Path("deploy/prometheus")
_SCRAPE = 30.0  # seconds from one scrape of a device to the next, as the configuration says
_LABELS = ("mug", "cup", "kettle", "plate", "spoon", "fork", "knife")
_FPS = 10


class _Devices(BaseHTTPRequestHandler):
    """Answers for the device that the path names."""

    protocol_version = "HTTP/1.1"
    begun = time.monotonic()

    def do_GET(self) -> None:
        """Its metrics."""
        uptime = time.monotonic() - self.begun
        text, kind = exposition(*_device(self.path, uptime), self.headers.get("Accept", ""))
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing."""


def _device(path: str, uptime: float) -> tuple[Health, Answers, Disk]:
    """How a device is, after so many seconds."""
    frames = int(uptime * _FPS)
    health = msgspec.structs.replace(
        HEALTH, name=path.strip("/"), state="running", drift=None, problems=[], throttled=[],
        uptime_s=uptime, frames=frames, dropped=frames // 7, events=frames // 50,
    )  # fmt: skip
    return health, _answers(frames), Disk({"data": Space(1 << 33, 1 << 35)}, 0, 0)


def _answers(frames: int) -> Answers:
    counts = {
        label: LabelCount(frames // (number + 2), frames // 500)
        for number, label in enumerate(("unknown", *_LABELS))
    }
    return Answers(frames, frames * 0.01, counts, 0, "mug", 0.9)


def _serve(pipe: Pipe) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Devices)
    pipe.send(server.server_port)
    server.serve_forever()


def _configured(folder: Path, port: int, count: int) -> Path:
    """The configuration of deploy/prometheus, with the devices as paths of one address."""
    for file in _FOLDER.glob("*.yml"):
        shutil.copy(file, folder)
    (folder / "token").write_text("unused")
    config = yaml.safe_load((folder / "prometheus.yml").read_text())
    (job,) = config["scrape_configs"]
    job["relabel_configs"] += [
        {"source_labels": ["__address__"], "target_label": "instance"},
        {"source_labels": ["__address__"], "regex": "(.*):.*", "replacement": "/$1",
         "target_label": "__metrics_path__"},
        {"target_label": "__address__", "replacement": f"127.0.0.1:{port}"},
    ]  # fmt: skip
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    (folder / "devices").mkdir()
    groups = [
        {"targets": [f"device-{n}:8080" for n in range(first, min(first + 50, count))],
         "labels": {"group": f"hall-{first // 50}"}}
        for first in range(0, count, 50)
    ]  # fmt: skip
    (folder / "devices" / "all.yml").write_text(yaml.safe_dump(groups))
    return folder / "prometheus.yml"


def _ask(address: str, query: str) -> float:
    """The value of a query that has one."""
    words = urllib.parse.urlencode({"query": query})
    with urllib.request.urlopen(f"{address}/api/v1/query?{words}", timeout=60) as answer:
        (sample,) = json.load(answer)["data"]["result"] or [{"value": [0, "0"]}]
    return float(sample["value"][1])


def _disk(folder: Path) -> float:
    """MiB of the files below a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / (1 << 20)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="benchmarks.fleet_prometheus", description=__doc__)
    parser.add_argument("--devices", type=int, default=500, help="one to a thousand")
    parser.add_argument("--seconds", type=float, default=120.0, help="at most 600")
    given = parser.parse_args()
    count = given.devices
    if not 1 <= count <= 1000 or not 0 < given.seconds <= 600:
        parser.error("--devices is at most 1000, and --seconds 600")
    program = shutil.which("prometheus")
    if program is None:
        raise SystemExit("there is no prometheus here; apt install prometheus")
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as open_:
        ours, theirs = multiprocessing.Pipe()
        devices = multiprocessing.Process(target=_serve, args=(theirs,), daemon=True)
        devices.start()
        open_.callback(devices.kill)
        folder = Path(scratch)
        config = _configured(folder, ours.recv(), count)
        log = open_.enter_context((folder / "log").open("w+"))
        command = [program, f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}",
                   "--web.listen-address=127.0.0.1:0", "--log.level=info"]  # fmt: skip
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        open_.callback(process.wait, 30)
        open_.callback(process.send_signal, signal.SIGTERM)
        address = _address(process, folder / "log")
        time.sleep(2 * _SCRAPE)
        assert devices.pid is not None
        before, theirs_before = busy(process.pid), busy(devices.pid)
        begun = time.monotonic()
        time.sleep(given.seconds)
        seconds = time.monotonic() - begun
        spent, answering = busy(process.pid) - before, busy(devices.pid) - theirs_before
        well = _ask(address, 'sum(up{job="edgekit"})')
        scraped = _ask(address, "sum(scrape_samples_scraped)")
        slowest = _ask(address, "max(scrape_duration_seconds)")
        own = _ask(address, 'count({job="edgekit"})')
        firing = _ask(address, 'count(ALERTS{alertstate="firing"})')
        what = f"{count:,} devices"
        if well != count:
            raise SystemExit(f"{well:.0f} of {count} were scraped: this machine is too busy")
        found(_PART, f"{what}: series of each, recorded ones included", [own / count], "")
        found(_PART, f"{what}: samples a second", [scraped / _SCRAPE], "")
        found(_PART, f"{what}: Prometheus, of one core", [100 * spent / seconds], "%")
        found(_PART, f"{what}: memory of Prometheus", [resident(process.pid)], "MiB")
        found(_PART, f"{what}: its files after {time.monotonic() - begun + 60:.0f} s",
              [_disk(folder / "data")], "MiB")  # fmt: skip
        found(_PART, f"{what}: the slowest scrape", [slowest], "s")
        found(_PART, f"{what}: an answer, processor time of whoever gives it",
              [1000 * answering / (count * seconds / _SCRAPE)], "ms")  # fmt: skip
        found(_PART, f"{what}: alerts that fire", [firing], "", "<= 0")


def _address(process: "subprocess.Popen[bytes]", log: Path) -> str:
    """Where Prometheus listens, once it does."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        for line in log.read_text().splitlines():
            if 'msg="Listening on"' in line:
                return f"http://{line.partition('address=')[2].split()[0]}"
        time.sleep(0.2)
    raise SystemExit(f"Prometheus does not start: {log.read_text()[-2000:]}")


if __name__ == "__main__":
    os.environ.pop("http_proxy", None)
    main()
