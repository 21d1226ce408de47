"""What the daemon costs beside the bare interpreter: `python -m benchmarks.daemon [--help]`.

A ResNet-18 at 224 px, made from the demo's checkpoint, and a recorded 640x480 clip, made from the
demo's. Ratios are within one run, their parts by turns; absolute figures depend on the machine
and on what else it does. The broker is mosquitto, where it is installed. That memory does not grow
is shown with a model for 64 px, which answers many frames in a short time.
"""

import argparse
import http.server
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import cv2
import msgspec
import numpy as np
from edgekit_device.config.settings import CameraSettings, MqttSettings, Settings, WebhookSettings
from edgekit_device.daemon.daemon import Daemon
from edgekit_device.sources import Source, open_source
from numpy.typing import NDArray
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.figures import found
from demo.fixtures import make_material
from edgekit.inference.classifier import Classifier
from edgekit.inference.frame import Frame
from edgekit.vision.preprocess import prepare
from edgekit.vision.videos import read_video

_DEMO = Path("build/demo")
_FOLDER = Path("build/benchmarks")
_SMALL_MODEL = _FOLDER / "resnet18-64-int8.tflite"
_MODEL, _CLIP = _FOLDER / "resnet18-224-int8.tflite", _FOLDER / "clip640.avi"
_MIB = 1 << 20
_PART = "The daemon, ResNet-18 at 224 px"


def _prepare() -> None:
    """Make the model and the clip, unless they are there already."""
    material = make_material(_DEMO)
    _FOLDER.mkdir(parents=True, exist_ok=True)
    for model, size in ((_MODEL, "224"), (_SMALL_MODEL, "64")):
        command = [
            sys.executable, "-m", "edgekit", "convert", "--arch", "18", "--int8", "--weights",
            material.checkpoint, "--classes", material.classes, "--calibration",
            material.calibration, "--size", size, "--allow-loss", "--allow-misfit", "--output",
            model,
        ]  # fmt: skip
        if not model.exists():
            subprocess.run(command, check=True)
    if not _CLIP.exists():
        partial = _CLIP.with_name("partial.avi")
        codec = cv2.VideoWriter.fourcc(*"MJPG")
        writer = cv2.VideoWriter(str(partial), codec, 25, (640, 480))
        for _, frame in read_video(material.clip):
            writer.write(cv2.resize(frame, (640, 480))[..., ::-1])
        writer.release()
        partial.replace(_CLIP)


def _daemon(*options: str, model: Path = _MODEL) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "edgekit", "run", "--model", str(model), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _bare(classifier: Classifier, tensor: NDArray[np.uint8], count: int) -> float:
    """Frames per second of a loop that does nothing but invoke."""
    start = time.perf_counter()
    for _ in range(count):
        classifier.invoke(tensor)
    return count / (time.perf_counter() - start)


def _whole(count: int, *options: str, model: Path = _MODEL) -> float:
    """Frames per second of the daemon over the clip, as it says itself."""
    options = ("--source", str(_CLIP), "--max-frames", str(count), *options)
    with _daemon(*options, model=model) as process:
        said = process.communicate()[1]
    assert "has no profile" not in said, said
    return float(said.rpartition(" frames/s")[0].rpartition(" ")[2])


def throughput(rounds: int, count: int = 240) -> None:
    """The daemon beside a loop that does nothing but invoke, by turns: on a recording, and on a
    camera that is faster than the model.
    """
    classifier = Classifier.open(_MODEL)
    tensor = classifier.prepare(next(read_video(_CLIP))[1])
    _bare(classifier, tensor, 20)
    camera = ("--source", "test:", "--camera-fps", "120")
    ways: dict[str, tuple[str, ...]] = {"on a recording": (), "on a camera": camera}
    ratios: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, options in ways.items():
            before = _bare(classifier, tensor, count)
            whole = _whole(count, *options)
            bare = (before + _bare(classifier, tensor, count)) / 2
            ratios[name].append(whole / bare)
    for name, values in ratios.items():
        found(_PART, f"rate {name}, beside bare invoke", values, "", ">= 0.98")


def drift(rounds: int, count: int = 2000) -> None:
    """The daemon beside itself without a look at drift, by turns, where an answer is quick."""
    ratios = []
    for _ in range(rounds):
        without = _whole(count, "--no-health-drift", model=_SMALL_MODEL)
        ratios.append(_whole(count, model=_SMALL_MODEL) / without)
    found(_PART, "rate with drift noticed at 64 px, beside without", ratios)


def preprocessing(rounds: int) -> None:
    """`prepare` beside torchvision's transform and Pillow, by turns, for one frame."""
    from edgekit_convert.weights.torchvision_shim import import_torchvision
    from PIL import Image

    import_torchvision()
    from torchvision.transforms import v2

    classifier = Classifier.open(_MODEL)
    frame = next(read_video(_CLIP))[1]
    picture = Image.fromarray(frame)
    transform = v2.Compose([v2.Resize(256), v2.CenterCrop(224)])
    ways: dict[str, Callable[[], object]] = {
        "edgekit": lambda: prepare(frame, classifier.geometry),
        "torchvision": lambda: transform(picture),
        "Pillow": lambda: picture.resize((224, 224), Image.Resampling.BILINEAR, (80, 0, 560, 480)),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(100 * rounds):
        for name, work in ways.items():
            start = time.perf_counter()
            work()
            times[name].append(1000 * (time.perf_counter() - start))
    ours, *others = (statistics.median(times[name]) for name in ways)
    found(_PART, "preprocessing of 640x480, between other work", [ours], "ms", "<= 0.25")
    for name, taken in zip([*ways][1:], others, strict=True):
        found(_PART, f"preprocessing in {name}, beside it", [taken / ours])


def first_label(rounds: int) -> None:
    """Seconds from the start of the process to its first line."""
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        with _daemon("--source", str(_CLIP), "--max-frames", "5") as process:
            assert process.stdout is not None
            process.stdout.readline()
            seconds.append(time.perf_counter() - start)
            process.communicate()
    found(_PART, "start to first label", seconds, "s", "<= 0.5")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


@contextmanager
def _broker() -> Iterator[list[str]]:
    """Options for a broker of our own; none where mosquitto is not installed."""
    program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        print("(without MQTT: mosquitto is not installed)")
        yield []
        return
    port = _free_port()
    broker = subprocess.Popen([program, "-p", str(port)], stderr=subprocess.DEVNULL)
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield ["--mqtt-host", "127.0.0.1", "--mqtt-port", str(port)]
    finally:
        broker.kill()
        broker.wait()


def memory(name: str, model: Path, frames: int, asked: str = "") -> None:
    """Resident memory with MQTT and metrics on, early and after many frames."""
    port = _free_port()
    with _broker() as options:
        process = _daemon(
            "--source", "test:", "--camera-fps", "240", "--no-stdout", "--http-listen",
            f"127.0.0.1:{port}", *options, model=model,
        )  # fmt: skip
        seen: list[tuple[int, float]] = []
        started = False
        while not seen or seen[-1][0] < frames:
            time.sleep(1)
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/health", timeout=5) as a:
                    health = json.load(a)
                urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5).close()
            except OSError:
                assert not started or process.poll() is None, "the daemon ended"
                continue
            started = True
            seen.append((health["frames"], health["memory_bytes"] / _MIB))
        process.terminate()
        process.communicate()
    early = next(mib for count, mib in seen if count >= min(200, frames))
    half = next(mib for count, mib in seen if count >= frames / 2)
    count, last = seen[-1]
    what = f"{name}, {'MQTT and ' if options else ''}metrics on"
    found(_PART, f"resident, {what}", [early], "MiB", asked)
    found(_PART, f"grown from half of {count:,} frames to all, {name}", [last - half], "MiB")


class _Slow(http.server.BaseHTTPRequestHandler):
    """A webhook that takes a second for every event."""

    def do_POST(self) -> None:
        time.sleep(1)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def _slow_webhook() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Slow)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()


class _Watched:
    """A source that notes when each frame was captured."""

    def __init__(self, source: Source, captured: dict[int, float]) -> None:
        self._source = source
        self._captured = captured

    def __getattr__(self, name: str) -> object:
        return getattr(self._source, name)

    def read(self, timeout: float) -> Frame | None:
        frame = self._source.read(timeout)
        if frame is not None:
            self._captured[frame.number] = frame.captured
        return frame


def _publish_latencies(settings: Settings, count: int) -> list[float]:
    """Milliseconds from a frame's capture to its arrival at a subscriber, for some frames.

    The daemon runs in this process, so that capture and arrival are on one clock.
    """
    captured: dict[int, float] = {}
    latencies: list[float] = []
    enough = threading.Event()

    def on_message(_client: Client, _data: object, message: MQTTMessage) -> None:
        frame = json.loads(message.payload)["frame"]
        latencies.append(1000 * (time.monotonic() - captured[frame]))
        if len(latencies) >= count:
            enough.set()

    client = Client(CallbackAPIVersion.VERSION2)
    client.on_message = on_message
    client.connect("127.0.0.1", settings.mqtt.port or 1883)
    client.subscribe(f"edgekit/{settings.name}/event")
    client.loop_start()
    daemon = Daemon(
        settings,
        lambda settings: _Watched(open_source(settings), captured),  # type: ignore[arg-type]
        lambda: settings,
        lambda text: None,
    )
    thread = threading.Thread(target=daemon.run)
    thread.start()
    enough.wait(300)
    daemon.request_stop()
    thread.join()
    client.loop_stop()
    # The first ones wait for the connection.
    return latencies[5:]


def publishing(count: int) -> None:
    """From capture to a subscriber of the broker, alone and beside a sink that is slow."""
    with _broker() as broker:
        if not broker:
            return
        settings = Settings(
            model=_MODEL, source="test:", camera=CameraSettings(fps=10), every_frame=True,
            stdout=False, name="bench", mqtt=MqttSettings(host="127.0.0.1", port=int(broker[-1])),
        )  # fmt: skip
        for name, beside in (("alone", nullcontext()), ("beside a slow webhook", _slow_webhook())):
            with beside as url:
                hook = WebhookSettings(url=url)
                latencies = _publish_latencies(
                    msgspec.structs.replace(settings, webhook=hook), count
                )
            median, late = np.percentile(latencies, (50, 99))
            found(_PART, f"capture to subscriber, median, {name}", [median], "ms")
            found(_PART, f"capture to subscriber, 99th percentile, {name}", [late], "ms")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="benchmarks.daemon", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--frames", type=int, default=20_000, help="for the growth of memory")
    given = parser.parse_args()
    _prepare()
    throughput(given.rounds)
    drift(given.rounds)
    preprocessing(given.rounds)
    first_label(given.rounds)
    publishing(300)
    memory("ResNet-18 at 224 px", _MODEL, 500, "<= 95")
    memory("at 64 px", _SMALL_MODEL, given.frames)


if __name__ == "__main__":
    main()
