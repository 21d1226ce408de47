"""What a model needs in memory on the device that runs it.

`python -m edgekit_convert.target.memory FILE` prints the `Measurement` of a model file as JSON.
"""

import math
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from edgekit.child import run_python, signal_name
from edgekit.errors import ConversionError
from edgekit.inference.classifier import Classifier
from edgekit.inference.runtimes import installed_runtimes
from edgekit.model.architectures import ARCHITECTURES, UNMEASURED_BYTES_PER_PIXEL, Architecture
from edgekit.text import last_line
from edgekit_convert.scratch import scratch_folder
from edgekit_convert.target.kernel import GIB, MIB, mib, read_table

# A Pi Zero 2 W shows 417 of its 512 MiB to Linux, the rest being the GPU's and the kernel's, and
# 125 MiB are in use once the 64-bit Raspberry Pi OS Lite is idle ("32-bit vs 64-bit", PrinterCow's
# documentation, May 2025). That makes 220; 36 are left for the pictures on their way to the model:
# a video decoder and its frames took 10 MiB at 320 x 240 pixels (60 at 1920 x 1080: use swap).
_RESERVED = 256 * MIB

# Peak resident memory of an int8 model: fitted to `measure` on ResNets of 18 to 152 layers at 64
# to 768 pixels, all within 3 % (LiteRT 2.1.0, OpenCV 4.11, Python 3.11, x86-64).
_PROCESS = 75 * MIB  # Python, NumPy, OpenCV, the runtime: more than half of it shared libraries
_BYTES_PER_PARAMETER = 2.2  # the file, and XNNPACK's copy of the weights in its own order
# What comes on top is in the table of architectures: XNNPACK's workspace, which holds most of the
# network's activations at once, and its pointers to the inputs of every k x k convolution, 8 k²
# bytes an output position: 98 bytes for each pixel of the picture in the first layer alone. Both
# grow with the area of the input, and with depth.


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
        Target("pi-zero-2w", 512 * MIB, edgetpu=False),
        Target("pi-3", 512 * MIB, edgetpu=False),
        Target("pi-4", GIB, edgetpu=False),
        Target("pi-5", GIB, edgetpu=False),
        Target("coral-usb", None, edgetpu=True),  # may be plugged into anything
        Target("coral-dev-board", GIB, edgetpu=True),
    )
}


@dataclass(frozen=True)
class Network:
    """What decides how much memory a model needs.

    Attributes:
        architecture: none for a network that is not one of ours.
        parameters: weights and biases, with the head's.
    """

    architecture: Architecture | None
    parameters: int

    @property
    def bytes_per_pixel(self) -> int:
        """The runtime's buffers on the device for each pixel of the input."""
        known = self.architecture
        return known.bytes_per_pixel if known else UNMEASURED_BYTES_PER_PIXEL

    @classmethod
    def resnet(cls, architecture: Architecture, head_parameters: int) -> "Network":
        """A ResNet whose head has so many weights and biases."""
        return cls(architecture, architecture.parameters() + head_parameters)


class Memory(msgspec.Struct, frozen=True):
    """What the model needs on a device.

    Attributes:
        target: for example `pi-zero-2w`; none when no target was named.
        budget_bytes: memory that a daemon may use there.
        estimate_bytes: peak resident memory expected before the conversion.
        file_bytes: size of the model file.
        arena_bytes: growth of a process's resident memory from loading the model to the end of
            its first inferences: tensor arena, unpacked weights and the runtime's own buffers.
        peak_bytes: peak resident memory of a process that loads and runs the model.
    """

    target: str | None
    budget_bytes: int | None
    estimate_bytes: int
    file_bytes: int
    arena_bytes: int
    peak_bytes: int


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
    size = int(float(match[1]) * {"M": MIB, "G": GIB}[match[2]]) if match else 0
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
        f"at {height} x {width} pixels the model needs {mib(needed)} of memory, and of the "
        f"{mib(target.memory_bytes)} of {target.name} a daemon may use {mib(allowed)}; "
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
        done = run_python("edgekit_convert.target.memory", file)
    if done.returncode:
        reason = last_line(done.stderr)
        if name := signal_name(done.returncode):
            reason = f"killed by {name}; out of memory?"
        raise ConversionError(f"the model's memory could not be measured: {reason}")
    return msgspec.json.decode(done.stdout, type=Measurement)


def measure_fit(
    flatbuffer: bytes, target: Target | None, network: Network, height: int, width: int
) -> Memory:
    """Measure what a model needs, and compare it with what its target has.

    Args:
        flatbuffer: the int8 model.
        target: the device; none where none was named.
        network, height, width: what it was made from, for the estimate.

    Raises:
        ConversionError: it needs more than the target has, or could not be measured.
    """
    measurement = measure(flatbuffer)
    allowed = None
    if target is not None:
        check_fits(measurement.peak_bytes, target, network, height, width)
        if target.memory_bytes is not None:
            allowed = budget(target.memory_bytes)
    return Memory(
        target=target.name if target else None,
        budget_bytes=allowed,
        estimate_bytes=estimate(network, height, width),
        file_bytes=len(flatbuffer),
        arena_bytes=measurement.arena_bytes,
        peak_bytes=measurement.peak_bytes,
    )


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
    """Resident bytes of this process, now and at their peak so far."""
    try:
        status = read_table(Path("/proc/self/status"))
    except FileNotFoundError:
        # macOS gives a process only its peak, in bytes. As it loads more and more, that is also
        # about what it has now.
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak, peak
    return status["VmRSS"], status["VmHWM"]


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(_measure_here(Path(sys.argv[1]))))
