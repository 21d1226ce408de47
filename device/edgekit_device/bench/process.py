"""The process in which something is measured; `edgekit_device.bench.measure` starts it.

It reads a `Job` from stdin and writes what it found as the last line on stdout. What it cannot do
it says in the last line on stderr, and ends with exit code 1.
"""

import importlib.metadata
import re
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgekit.errors import EdgekitError
from edgekit.inference import runtimes
from edgekit.inference.interpreter import Interpreter
from edgekit.model.container import read_model
from edgekit.model.geometry import Geometry
from edgekit_device import board
from edgekit_device.bench.measure import Job, Run
from edgekit_device.daemon.delegate import parse

# Before anything counts: this share of the time, and so many inferences.
_WARM_UP = 0.1
_LEAST_WARM_UP = 2
_LEAST_RUNS = 3
# More add nothing to percentiles, and a tiny model would fill the memory with them.
_MOST_RUNS = 100_000


def peak_bytes(status: Path = Path("/proc/self/status")) -> int:
    """The most resident memory that this process has had.

    What getrusage says begins with that of the process that started this one.
    """
    try:
        found = re.search(r"^VmHWM:\s+(\d+) kB$", status.read_text(encoding="ascii"), re.MULTILINE)
    except OSError:
        found = None
    if found:
        return 1024 * int(found[1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def timed(once: Callable[[], None], seconds: float) -> list[float]:
    """Milliseconds of each call within `seconds`, three at least, after a warm-up."""
    _repeat(once, _WARM_UP * seconds, _LEAST_WARM_UP)
    return _repeat(once, seconds, _LEAST_RUNS)


def _repeat(once: Callable[[], None], seconds: float, least: int) -> list[float]:
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < _MOST_RUNS:
        start = time.perf_counter()
        if start >= end and len(times) >= least:
            break
        once()
        times.append(1000 * (time.perf_counter() - start))
    return times


def noise(geometry: Geometry) -> NDArray[np.uint8]:
    """A picture for a model, (1, height, width, 3) uint8; the same every time."""
    shape = (1, geometry.height, geometry.width, 3)
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def open_interpreter(flatbuffer: bytes, job: Job) -> Interpreter:
    """An interpreter as the daemon has it.

    Raises:
        RuntimeUnavailableError: see `Interpreter`.
    """
    delegate = parse(job.delegate)
    return Interpreter(
        flatbuffer,
        runtime=job.runtime,
        threads=job.threads,
        delegate=delegate.library if delegate else None,
        delegate_options=delegate.options if delegate else None,
        on_disk=True,
    )


def inference(job: Job) -> Run:
    """Measure inference alone: no preprocessing, no reading of the answer.

    Raises:
        EdgekitError: the model cannot be read, or the runtime or its delegate refuses it or fails.
    """
    runtime, _ = runtimes.load(job.runtime)
    before = board.memory_bytes()
    model = read_model(Path(job.model))
    picture, flatbuffer = noise(model.geometry), model.flatbuffer
    del model
    start = time.perf_counter()
    interpreter = open_interpreter(flatbuffer, job)
    loaded = time.perf_counter()
    del flatbuffer
    interpreter.set_input(picture)
    first = time.perf_counter()
    interpreter.invoke()
    invoked = time.perf_counter()
    times = timed(interpreter.invoke, job.seconds)
    return Run(
        runtime=runtime,
        version=importlib.metadata.version(runtimes.RUNTIMES[runtime].distribution),
        load_ms=1000 * (loaded - start),
        first_ms=1000 * (invoked - first),
        times_ms=times,
        before=before,
        after=board.memory_bytes(),
        peak=peak_bytes(),
    )


TASKS: dict[str, Callable[[Job], msgspec.Struct]] = {"inference": inference}


def _main() -> None:
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    try:
        found = TASKS[job.task](job)
    except EdgekitError as error:
        sys.exit(str(error))
    # A runtime may have written something without ending the line.
    print(f"\n{msgspec.json.encode(found).decode()}", flush=True)


if __name__ == "__main__":
    _main()
