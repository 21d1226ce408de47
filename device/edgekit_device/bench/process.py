"""The process in which something is measured; `edgekit_device.bench.measure` starts it.

It reads a `Job` from stdin and writes what it found as the last line on stdout. What it cannot do
it says in the last line on stderr, and ends with exit code 1.
"""

import contextlib
import importlib.metadata
import itertools
import re
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgekit.errors import EdgekitError, ModelFileError, SourceError
from edgekit.inference import runtimes
from edgekit.inference.interpreter import Interpreter
from edgekit.model.container import ModelFile, read_model
from edgekit.model.geometry import Geometry
from edgekit_device import board
from edgekit_device.bench.measure import Job, KindTimes, Rate, Run, Timing, percentile
from edgekit_device.bench.operators import ROUNDS, Cut, cut_off, cuts, times
from edgekit_device.daemon.delegate import parse

# OpenCV is behind what is imported late: its memory is none of the runtime's.
if TYPE_CHECKING:
    from edgekit.inference.frame import Frame

# Before anything counts: this share of the time, and so many inferences.
_WARM_UP = 0.1
_LEAST_WARM_UP = 2
_LEAST_RUNS = 3
# More add nothing to percentiles, and a tiny model would fill the memory with them.
_MOST_RUNS = 100_000
# Of frames that are made before the pipeline is timed.
_FRAME_BYTES = 32 << 20


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


def timed(
    once: Callable[[], object], seconds: float, clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    """Milliseconds of each call within `seconds`, three at least, after a warm-up.

    Args:
        once: what is timed.
        seconds: of the wall's clock.
        clock: by which each call is timed.
    """
    _repeat(once, _WARM_UP * seconds, _LEAST_WARM_UP, clock)
    return _repeat(once, seconds, _LEAST_RUNS, clock)


def _repeat(
    once: Callable[[], object], seconds: float, least: int, clock: Callable[[], float]
) -> list[float]:
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < _MOST_RUNS and (len(times) < least or time.perf_counter() < end):
        start = clock()
        once()
        times.append(1000 * (clock() - start))
    return times


def noise(geometry: Geometry) -> NDArray[np.uint8]:
    """A picture for a model, (1, height, width, 3) uint8; the same every time."""
    shape = (1, geometry.height, geometry.width, 3)
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def read(job: Job) -> ModelFile:
    """The model of a job.

    Raises:
        ModelFileError: it cannot be read, or is another one by now.
    """
    model = read_model(Path(job.model))
    if job.sha256 not in (None, model.sha256):
        raise ModelFileError(f"{job.model} was replaced while it was measured; measure again")
    return model


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
    model = read(job)
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


def operators(job: Job) -> KindTimes:
    """Measure the time of each kind of operator, of the processor's: what waits does not count.

    Raises:
        EdgekitError: as `inference`.
    """
    model = read(job)
    picture, places = noise(model.geometry), cuts(model.graph)
    seconds = job.seconds / (ROUNDS * len(places))

    def fastest(cut: Cut) -> float:
        interpreter = open_interpreter(cut_off(model.flatbuffer, cut), job)
        interpreter.set_input(picture)
        try:
            return min(timed(interpreter.invoke, seconds, time.process_time))
        finally:
            interpreter.close()

    return KindTimes(times(places, fastest, model.graph.operator_counts()))


def preprocessing(job: Job) -> Timing:
    """Measure what makes a camera's frame the model's picture.

    Raises:
        EdgekitError: the model cannot be read.
    """
    from edgekit.vision.preprocess import prepare
    from edgekit_device.sources.pattern import draw

    geometry = read(job).geometry
    frame = draw(0, job.width, job.height)
    found = sorted(timed(lambda: prepare(frame, geometry), job.seconds))
    return Timing(
        p50_ms=round(percentile(found, 50), 4),
        p90_ms=round(percentile(found, 90), 4),
        minimum_ms=round(found[0], 4),
        runs=len(found),
    )


def pipeline(job: Job) -> Rate:
    """Measure how many frames a second go through all that the daemon does with one.

    Raises:
        EdgekitError: the model or the recording cannot be read, or the runtime or its delegate
            refuses it or fails.
    """
    from edgekit.inference.classifier import Classifier
    from edgekit.inference.decision import Decision, settle_for
    from edgekit.inference.pipeline import Pipeline
    from edgekit.model.decision import DecisionOverrides

    delegate = parse(job.delegate)
    classifier = Classifier(
        read(job),
        hints=job.hints,
        runtime=job.runtime,
        threads=job.threads,
        delegate=delegate.library if delegate else None,
        delegate_options=delegate.options if delegate else None,
    )
    settings = settle_for(DecisionOverrides(), classifier).settings
    decision = Decision(settings, classifier.labels)
    whole = Pipeline(classifier, classifier.path.name, decision, "bench", live=False)
    classifier.warm_up()
    frames, count = _frames(job), 0
    first = next(frames)
    whole.event(whole.process(first))
    start = time.perf_counter()
    for count, frame in enumerate(frames, start=1):
        whole.event(whole.process(frame))
        if time.perf_counter() - start >= job.seconds and count >= _LEAST_RUNS:
            break
    seconds = time.perf_counter() - start
    if not count:
        raise SourceError("the recording has a single frame; name a longer one")
    height, width = first.pixels.shape[:2]
    return Rate(
        per_second=round(count / seconds, 2),
        frames=count,
        seconds=round(seconds, 3),
        width=width,
        height=height,
        source=Path(job.source).name if job.source else "made frames, in memory",
        notes=classifier.notes,
    )


def _frames(job: Job) -> "Iterator[Frame]":
    """Frames of the recording, read ahead as the daemon does; else some that were made, for ever.

    Raises:
        EdgekitError: the recording cannot be read, or has no frame.
    """
    from edgekit.inference.frame import Frame

    if job.source is None:
        from edgekit_device.sources.pattern import draw

        # As many as a small board has room for.
        count = max(1, min(30, _FRAME_BYTES // (3 * job.width * job.height)))
        pictures = [draw(number, job.width, job.height) for number in range(count)]
        for number in itertools.count():
            yield Frame(number, pictures[number % count], number / 30, captured=0.0)
        return
    from edgekit.offline.recording import Recording
    from edgekit.vision.read_ahead import ReadAhead

    ahead = ReadAhead(Recording(Path(job.source)), lambda frame: frame.pixels.nbytes)
    found = False
    with contextlib.closing(ahead):
        for frame in ahead:
            found = True
            yield frame
    if not found:
        raise SourceError(f"{job.source} has no frame; name another recording")


TASKS: dict[str, Callable[[Job], msgspec.Struct]] = {
    "inference": inference,
    "operators": operators,
    "preprocessing": preprocessing,
    "pipeline": pipeline,
}


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
