"""What a model needs in memory: on the device that runs it, and here while it is converted.

`python -m edgekit_convert.target.memory FILE` prints the `Measurement` of a model file as JSON.
"""

import math
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import msgspec
import numpy as np

from edgekit.errors import ConversionError
from edgekit.inference.classifier import Classifier
from edgekit.inference.runtimes import installed_runtimes
from edgekit_convert.scratch import scratch_folder
from edgekit_convert.weights.architectures import ARCHITECTURES, Architecture

_MIB, _GIB = 1 << 20, 1 << 30

# A Pi Zero 2 W shows 417 of its 512 MiB to Linux, the rest being the GPU's and the kernel's, and
# 125 MiB are in use once the 64-bit Raspberry Pi OS Lite is idle ("32-bit vs 64-bit", PrinterCow's
# documentation, May 2025). That makes 220; 36 are left for the pictures on their way to the model:
# a video decoder and its frames took 10 MiB at 320 x 240 pixels (60 at 1920 x 1080: use swap).
_RESERVED = 256 * _MIB

# Peak resident memory of an int8 model: fitted to `measure` on ResNets of 18 to 152 layers at 64
# to 768 pixels, all within 3 % (LiteRT 2.1.0, OpenCV 4.11, Python 3.11, x86-64).
_PROCESS = 75 * _MIB  # Python, NumPy, OpenCV, the runtime: more than half of it shared libraries
_BYTES_PER_PARAMETER = 2.2  # the file, and XNNPACK's copy of the weights in its own order
# XNNPACK's workspace, which holds most of the network's activations at once, and its pointers to
# the inputs of every k x k convolution, 8 k² bytes an output position: 98 bytes for each pixel of
# the picture in the first layer alone. Both grow with the area of the input, and with depth.
_BYTES_PER_PIXEL = {"18": 197, "34": 253, "50": 347, "101": 484, "152": 667}
_BYTES_PER_PIXEL_OF_OTHERS = 400  # on the safe side for MobileNet V2: 50 to 100

# Peak of the converter and its onnx2tf child together, while TensorFlow lowers the graph and
# PyTorch answers batches of 16 pictures: fitted to ResNets of 18 to 152 layers at 64 to 448 pixels
# with 20 or 200 pictures, 3 % too little to 11 % too much (torch 2.13, TensorFlow 2.19, onnx2tf
# 1.29). The more pictures, the surer that the peaks of both processes coincide, as this assumes.
_CONVERTER = 1150 * _MIB  # both processes without a model
_CONVERTER_BYTES_PER_PARAMETER = 96  # 24 copies in float32, 19 of them in TensorFlow
_CONVERTER_BYTES_PER_PIXEL = 3000  # activations of one batch


@dataclass(frozen=True)
class Target:
    """A device that models are made for.

    Attributes:
        name: what `--target` calls it.
        memory_bytes: its memory; none where the name says nothing about it.
        edgetpu: whether a Coral Edge TPU runs the model.
    """

    name: str
    memory_bytes: int | None
    edgetpu: bool


# The smallest memory that each is sold with, so that a model made for a board runs on every board
# of that name: Raspberry Pi's list of revision codes, and the datasheet of Coral's System-on-Module
# for its Dev Board. The smallest Pi 3 is the 3A+; a 3B or 3B+ has 1 GiB (`--device-memory 1G`).
TARGETS = {
    target.name: target
    for target in (
        Target("pi-zero-2w", 512 * _MIB, edgetpu=False),
        Target("pi-3", 512 * _MIB, edgetpu=False),
        Target("pi-4", _GIB, edgetpu=False),
        Target("pi-5", _GIB, edgetpu=False),
        Target("coral-usb", None, edgetpu=True),  # may be plugged into anything
        Target("coral-dev-board", _GIB, edgetpu=True),
    )
}


@dataclass(frozen=True)
class Network:
    """What decides how much memory a model needs.

    Attributes:
        architecture: none for a network that is not one of ours.
        parameters: weights and biases, with the head's.
        bytes_per_pixel: the runtime's buffers on the device for each pixel of the input.
    """

    architecture: Architecture | None
    parameters: int
    bytes_per_pixel: int = _BYTES_PER_PIXEL_OF_OTHERS

    @classmethod
    def resnet(cls, architecture: Architecture, head_parameters: int) -> "Network":
        """A ResNet whose head has so many weights and biases."""
        parameters = architecture.parameters() + head_parameters
        return cls(architecture, parameters, _BYTES_PER_PIXEL[architecture.option])


class Measurement(msgspec.Struct, frozen=True):
    """Memory of a process that loads and runs a model as the daemon does.

    Attributes:
        runtime: the TFLite runtime that ran it.
        arena_bytes: growth of resident memory from loading the model to the end of its first
            inferences: the file, unpacked weights, tensor arena and the runtime's own buffers.
        peak_bytes: peak resident memory, with Python and all libraries.
    """

    runtime: str
    arena_bytes: int
    peak_bytes: int


def parse_memory(text: str) -> int:
    """Bytes of an amount like `512M`, `1.5 GB` or `1GiB`.

    Memory is sold in powers of two, whatever its unit is called: M is 2^20 bytes, G 2^30.

    Raises:
        ValueError: it is no such amount, or none at all.
    """
    match = re.fullmatch(r"\s*([0-9]{1,6}(?:\.[0-9]+)?)\s*([MG])(?:I?B)?\s*", text.upper())
    size = int(float(match[1]) * {"M": _MIB, "G": _GIB}[match[2]]) if match else 0
    if not size:
        raise ValueError(f"{text!r} is not an amount of memory like 512M or 1G")
    return size


def budget(memory_bytes: int) -> int:
    """Bytes that a daemon may use on a device: all but 256 MiB, which the system needs."""
    return max(0, memory_bytes - _RESERVED)


def estimate(network: Network, height: int, width: int) -> int:
    """Peak resident bytes of a process that runs the int8 model on such an input."""
    weights = round(_BYTES_PER_PARAMETER * network.parameters)
    return _PROCESS + weights + network.bytes_per_pixel * height * width


def check_fits(needed: int, target: Target, network: Network, height: int, width: int) -> None:
    """Refuse a model that needs more memory than a daemon may use on its target.

    Args:
        needed: peak resident bytes, estimated or measured.
        target: the device; one of unknown memory holds everything.
        network, height, width: what needs it; for the alternatives in the message.

    Raises:
        ConversionError: names the figures, and a size or an architecture that fits.
    """
    if target.memory_bytes is None:
        return
    allowed = budget(target.memory_bytes)
    if needed <= allowed:
        return
    found = " or ".join(_alternatives(needed - allowed, allowed, network, height, width))
    raise ConversionError(
        f"at {height} x {width} pixels the model needs {_mib(needed)} of memory, and of the "
        f"{_mib(target.memory_bytes)} of {target.name} a daemon may use {_mib(allowed)}; "
        + (f"use {found}" if found else "no smaller --size or --arch fits: use a larger device")
    )


def _alternatives(
    excess: int, allowed: int, network: Network, height: int, width: int
) -> Iterator[str]:
    """The largest size and the largest architecture that need `excess` bytes less."""
    # ResNets halve their input five times.
    area = height * width - excess / network.bytes_per_pixel
    if area >= 32 * 32:
        yield f"--size {int(math.sqrt(area)) // 32 * 32}"
    architecture = network.architecture
    if architecture is None:
        return
    head = network.parameters - architecture.parameters()
    for other in reversed(ARCHITECTURES.values()):
        smaller = other.parameters() < architecture.parameters()
        if smaller and estimate(Network.resnet(other, head), height, width) <= allowed:
            yield f"--arch {other.option}"
            return


def measure(flatbuffer: bytes) -> Measurement:
    """Run a model in a process of its own, with the libraries that the daemon loads.

    Raises:
        ConversionError: the process failed; its last words are in the message.
    """
    with scratch_folder() as folder:
        file = folder / "model.tflite"
        file.write_bytes(flatbuffer)
        command = [sys.executable, "-m", "edgekit_convert.target.memory", str(file)]
        done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        lines = done.stderr.decode(errors="replace").split("\n")
        reason = next((line for line in reversed(lines) if line.strip()), "no message")
        if done.returncode < 0:
            reason = f"killed by signal {-done.returncode}; out of memory?"
        raise ConversionError(f"the model's memory could not be measured: {reason}")
    return msgspec.json.decode(done.stdout, type=Measurement)


def _measure_here(file: Path) -> Measurement:
    frame = np.full((480, 640, 3), 127, np.uint8)
    installed_runtimes()  # imports them, so that their code does not count as the model's
    before, _ = _resident()
    classifier = Classifier.open(file)
    for _ in range(3):
        classifier.classify(frame)
    after, peak = _resident()
    return Measurement(classifier.runtime_name, after - before, peak)


def _resident() -> tuple[int, int]:
    """Resident bytes of this process, now and at most so far."""
    try:
        status = _read_table(Path("/proc/self/status"))
    except FileNotFoundError:
        # macOS tells a process only its peak, in bytes. As it loads more and more, that is also
        # about what it has now.
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak, peak
    return status["VmRSS"], status["VmHWM"]


def workstation_need(parameters: int, height: int, width: int, pictures: int) -> int:
    """Peak resident bytes of a conversion, its child processes included.

    Args:
        parameters: weights and biases.
        height, width: input size in pixels.
        pictures: calibration and evaluation pictures, which are all held as uint8.
    """
    weights = _CONVERTER_BYTES_PER_PARAMETER * parameters
    return _CONVERTER + weights + (_CONVERTER_BYTES_PER_PIXEL + 3 * pictures) * height * width


def check_workstation(required_bytes: int, root: Path = Path("/")) -> None:
    """Refuse to start what would be killed for its memory halfway.

    Nothing is checked on systems without /proc.

    Args:
        required_bytes: what `workstation_need` says.
        root: where /proc and /sys are.

    Raises:
        ConversionError: too little memory is available; the message says what helps.
    """
    try:
        system = _read_table(root / "proc" / "meminfo")
    except FileNotFoundError:
        return
    # Swap counts: most of TensorFlow's copies of the weights lie idle.
    free = system["MemAvailable"] + system["SwapFree"]
    limit = min(_left_in_cgroups(root), default=free)
    if required_bytes <= min(free, limit):
        return
    if limit < free:
        reason = f"the limit of this container or session leaves {_mib(limit)}: raise the limit"
    else:
        reason = f"{_mib(free)} are available: close other programs, add swap"
    raise ConversionError(
        f"the conversion needs about {_mib(required_bytes)} of memory; {reason}, or convert on a "
        "machine with more memory"
    )


def _left_in_cgroups(root: Path) -> Iterator[int]:
    """What each limit on this process's control group, and on those above it, leaves."""
    file = root / "proc" / "self" / "cgroup"
    for line in file.read_text().splitlines() if file.is_file() else ():
        _, controllers, path = line.split(":", 2)
        if controllers == "":  # version 2
            tree, limit, usage, cache = "", "memory.max", "memory.current", "inactive_file"
        elif "memory" in controllers.split(","):
            tree, limit, usage = "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
            cache = "total_inactive_file"
        else:
            continue
        # In a container the path may be the host's, while the group is mounted as the topmost.
        group = PurePosixPath(path.lstrip("/"))
        for level in (group, *group.parents):
            folder = root / "sys" / "fs" / "cgroup" / tree / level
            try:
                bound, used = (int((folder / name).read_text()) for name in (limit, usage))
                reclaimable = _read_table(folder / "memory.stat").get(cache, 0)
            except (OSError, ValueError):  # no such level, or its limit is "max"
                continue
            yield max(0, bound - used + reclaimable)


def _read_table(file: Path) -> dict[str, int]:
    """Numbers from a table of the kernel's, in bytes: `VmRSS:  12 kB` or `inactive_file 12288`."""
    table = {}
    for line in file.read_text().splitlines():
        key, *words = line.replace(":", " ").split()
        if words and words[0].isdigit():
            table[key] = int(words[0]) * (1024 if words[-1] == "kB" else 1)
    return table


def _mib(size: int) -> str:
    return f"{size / _MIB:,.0f} MiB"


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(_measure_here(Path(sys.argv[1]))))
