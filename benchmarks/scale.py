"""How cost grows, a measured point for each: `python -m benchmarks.scale`.

With the size of the picture, the number of classes, frames a second, viewers of the live page, and
devices on one broker. Ratios are within one run; seconds of processor time are the daemon's own, or
the broker's.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import torch
from edgekit_convert.weights.torchvision_shim import import_torchvision
from edgekit_device.config.settings import MqttSettings
from edgekit_device.sinks.mqtt.sink import Mqtt

from benchmarks.daemon import _bare, _broker, _daemon, _free_port, _prepare, _whole
from benchmarks.everything import _all, _viewer
from benchmarks.figures import found
from benchmarks.processes import busy, resident
from demo.fixtures import make_material
from edgekit.inference.classifier import Classifier
from tests.device.sinks.samples import make_event, make_health

_FOLDER = Path("build/benchmarks/scale")
_SIZES = (64, 128, 224, 320, 448)
_CLASSES = (10, 1_000, 10_000)
_RATES = (1, 5, 15, 30)
_VIEWERS = (0, 1, 4, 16)
_DEVICES = (10, 50, 200)


def _convert(name: str, *options: object) -> Path:
    """A model of the demo's scene, unless it is there already."""
    material = make_material(Path("build/demo"))
    model = _FOLDER / f"{name}.tflite"
    if not model.exists():
        command = [
            sys.executable, "-m", "edgekit", "convert", "--arch", "18", "--int8", "--calibration",
            material.calibration, "--allow-loss", "--allow-misfit", "--output", model, *options,
        ]  # fmt: skip
        subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)
    return model


def _of_size(size: int) -> Path:
    material = make_material(Path("build/demo"))
    weights = ["--weights", material.checkpoint, "--classes", material.classes]
    return _convert(f"size-{size}", *weights, "--size", size)


def _of_classes(count: int) -> Path:
    weights, names = _FOLDER / f"classes-{count}.pth", _FOLDER / f"classes-{count}.txt"
    if not weights.exists():
        torch.manual_seed(0)
        network = import_torchvision().models.resnet18(weights=None, num_classes=count)
        names.write_text("".join(f"thing {number}\n" for number in range(count)))
        torch.save(network.state_dict(), weights)
    return _convert(f"classes-{count}", "--weights", weights, "--classes", names, "--size", 224)


def _by_turns(models: Sequence[Path], rounds: int) -> list[list[float]]:
    """Milliseconds an inference of each model, of each round."""
    opened = [Classifier.open(model) for model in models]
    tensors = []
    for one in opened:
        shape = (1, one.geometry.height, one.geometry.width, 3)
        tensors.append(torch.randint(0, 256, shape, dtype=torch.uint8).numpy())
        _bare(one, tensors[-1], 5)
    times: list[list[float]] = [[] for _ in models]
    for _ in range(rounds):
        for kept, one, tensor in zip(times, opened, tensors, strict=True):
            kept.append(1000 / _bare(one, tensor, 30))
    return times


def sizes(rounds: int) -> None:
    """Pixels."""
    models = [_of_size(size) for size in _SIZES]
    times = _by_turns(models, rounds)
    middle = times[_SIZES.index(224)]
    part = "Size of the picture"
    for size, model, values in zip(_SIZES, models, times, strict=True):
        pixels = (size / 224) ** 2
        ratios = [one / other for one, other in zip(values, middle, strict=True)]
        found(part, f"{size} px: inference", values, "ms")
        found(part, f"{size} px: beside 224 px, whose pixels are {pixels:.2f} of it", ratios)
        found(part, f"{size} px: memory of the daemon", [_memory(model)], "MiB")


def classes(rounds: int) -> None:
    """Classes: the last layer, the answer, and what is told of it."""
    models = [_of_classes(count) for count in _CLASSES]
    part = "Number of classes"
    times = _by_turns(models, rounds)
    for count, model, values in zip(_CLASSES, models, times, strict=True):
        bare = 1000 / statistics.median(values)
        whole = [_whole(120, "--no-stdout", model=model) / bare for _ in range(rounds)]
        found(part, f"{count:,} classes: inference", values, "ms")
        found(part, f"{count:,} classes: daemon beside the bare loop", whole)
        found(part, f"{count:,} classes: memory of the daemon", [_memory(model)], "MiB")
        found(part, f"{count:,} classes: model file", [model.stat().st_size / 1e6], "MB")


def _memory(model: Path) -> float:
    """Resident MiB of a daemon with nothing on, after five seconds of frames."""
    with _daemon("--source", "test:", "--no-stdout", model=model) as process:
        time.sleep(5)
        taken = resident(process.pid)
        process.terminate()
        process.communicate()
    return taken


def _share(process: int, seconds: float) -> float:
    """Per cent of one core that a process takes for some seconds, once it runs."""
    time.sleep(4)
    before, start = busy(process), time.monotonic()
    time.sleep(seconds)
    return 100 * (busy(process) - before) / (time.monotonic() - start)


def rates(seconds: float) -> None:
    """Frames a second: what the daemon takes of one core."""
    for rate in _RATES:
        with _daemon("--source", "test:", "--camera-fps", str(rate), "--no-stdout") as process:
            share = _share(process.pid, seconds)
            process.terminate()
            process.communicate()
        found("Frames a second", f"{rate} frames/s: of one core", [share], "%")


def viewers(seconds: float) -> None:
    """Viewers of the live picture, at ten frames a second: what the daemon takes of one core."""
    for count in _VIEWERS:
        with tempfile.TemporaryDirectory() as scratch, ExitStack() as looking:
            port = _free_port()
            options = [*_all(port, Path(scratch)), "--http-viewers", str(max(_VIEWERS))]
            process = _daemon("--source", "test:", "--camera-fps", "10", "--no-stdout", *options)
            come = [looking.enter_context(_viewer(port)) for _ in range(count)]
            share = _share(process.pid, seconds)
            process.terminate()
            process.communicate()
        if not all(come):
            raise SystemExit(f"of {count} viewers {sum(map(bool, come))} saw something")
        found("Viewers", f"{count} viewers at 10 frames/s: of one core", [share], "%")


def devices(seconds: float) -> None:
    """Devices on one broker, each with its own connection: health each second, a change in five.

    A real device says its health each half minute: thirty of these devices are nine hundred.
    """
    for count in _DEVICES:
        with _broker() as options:
            if not options:
                return
            (broker,) = _children("mosquitto")
            settings = MqttSettings(host="127.0.0.1", port=int(options[-1]))
            sinks = [Mqtt(settings, f"device-{number}") for number in range(count)]
            for sink in sinks:
                sink.start()
            time.sleep(2)
            before, start = busy(broker), time.monotonic()
            for second in range(round(seconds)):
                for number, sink in enumerate(sinks):
                    sink.health(make_health(frames=second))
                    if (second + number) % 5 == 0:
                        sink.event(make_event())
                time.sleep(max(0.0, start + second + 1 - time.monotonic()))
            spent = (busy(broker) - before) / (time.monotonic() - start)
            memory = resident(broker)
            for sink in sinks:
                sink.close(5)
            lost = sum(sink.report().dropped for sink in sinks)
        part = "Devices on one broker"
        found(part, f"{count} devices: the broker, of one core", [100 * spent], "%")
        found(part, f"{count} devices: memory of the broker", [memory], "MiB")
        found(part, f"{count} devices: events lost", [lost], "", "<= 0")


def _children(name: str) -> list[int]:
    """Processes of a name that this one has started."""
    here = os.getpid()
    children = Path(f"/proc/{here}/task/{here}/children").read_text().split()
    return [int(one) for one in children if Path(f"/proc/{one}/comm").read_text().strip() == name]


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="benchmarks.scale", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=15)
    given = parser.parse_args()
    _prepare()
    _FOLDER.mkdir(parents=True, exist_ok=True)
    sizes(given.rounds)
    classes(given.rounds)
    rates(given.seconds)
    viewers(given.seconds)
    devices(given.seconds)


if __name__ == "__main__":
    main()
