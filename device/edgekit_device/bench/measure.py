"""Latency and memory of a model in one runtime, measured in a process of its own.

A runtime that crashes, hangs or refuses the model ends that process alone, and its memory is that
of nothing else. The process is `edgekit_device.bench.process`: it reads a `Job` from stdin, and
says what it found in the last line on stdout.
"""

import math
import statistics
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from edgekit import child
from edgekit.errors import RuntimeUnavailableError
from edgekit.model.foreign import Hints
from edgekit.text import last_line, one_line
from edgekit_device.bench.operators import KindTime

MODULE = "edgekit_device.bench.process"
# Seconds beside those of the measurement: a slow board loads a large model from a slow card, and
# runs it a few times before anything is measured; for operators, a hundred times.
_PATIENCE = 120.0
_PATIENCE_FOR_OPERATORS = 900.0
# A measurement of this many seconds may take so many: what runs only once or twice takes longer.
_SLOWNESS = 4
# With fewer runs the slowest of them is what stands at 99 of 100.
FEW_RUNS = 100
_MIB = 1 << 20
_Answer = TypeVar("_Answer", bound=msgspec.Struct)


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What a process is to measure.

    Attributes:
        task: what of it.
        model: absolute path of the model file.
        sha256: of the whole file, which has to be that one still; any by default.
        runtime: one of `edgekit.inference.runtimes.choices()`.
        threads: CPU threads for each inference.
        seconds: how long to measure.
        delegate: as `edgekit run` takes it; a path is absolute.
        width, height: of a camera's frames, in pixels.
        source: absolute path of a recording for the pipeline; frames that are made by default.
        hints: what a file of others does not say.
    """

    task: Literal["inference", "preprocessing", "pipeline", "operators"]
    model: str
    sha256: str | None = None
    runtime: str = "auto"
    threads: int = 1
    seconds: float = 2.0
    delegate: str = "none"
    width: int = 640
    height: int = 480
    source: str | None = None
    hints: Hints = Hints()


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What a process found of inference.

    Attributes:
        runtime, version: what ran it, and of which release.
        load_ms: from the model's bytes to an interpreter that may run, in milliseconds.
        first_ms: the first inference, which may allocate, in milliseconds.
        times_ms: every inference after the warm-up, in milliseconds.
        before: resident memory with the runtime imported and no model, in bytes.
        after: resident memory when all was measured, in bytes.
        peak: most resident memory of the process, in bytes.
    """

    runtime: str
    version: str
    load_ms: float
    first_ms: float
    times_ms: list[float]
    before: int
    after: int
    peak: int


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """Latency and memory of a model in one runtime at one number of threads.

    Figures are None where there are none: each run failed, and `problem` says why. Where only
    some did, there are both.

    Attributes:
        runtime: its name in `edgekit.inference.runtimes.RUNTIMES`.
        version: of its distribution; empty where it did not come as far.
        threads: CPU threads for each inference.
        load_ms: from the model's bytes to an interpreter that may run, in milliseconds; the median
            of the rounds, as is what follows.
        first_ms: the first inference, in milliseconds.
        p50_ms, p90_ms, p99_ms: so many of 100 inferences take no longer, in milliseconds. With
            fewer than 100 runs, the last is the slowest.
        minimum_ms: the fastest inference, in milliseconds.
        runs: inferences that were measured.
        before_mib: resident memory of the process without the model, in MiB.
        resident_mib: resident memory of the process with the model, in MiB.
        peak_mib: most resident memory of the process, reading and checking the file included.
        problem: what went wrong, a line; None where nothing did.
    """

    runtime: str
    version: str = ""
    threads: int
    load_ms: float | None = None
    first_ms: float | None = None
    p50_ms: float | None = None
    p90_ms: float | None = None
    p99_ms: float | None = None
    minimum_ms: float | None = None
    runs: int = 0
    before_mib: float | None = None
    resident_mib: float | None = None
    peak_mib: float | None = None
    problem: str | None = None


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """How long something takes, in milliseconds; see `Measurement`."""

    p50_ms: float
    p90_ms: float
    minimum_ms: float
    runs: int


class KindTimes(msgspec.Struct, frozen=True):
    """The time of each kind of operator, the longest first; see `KindTime`."""

    kinds: list[KindTime]


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """How many frames a second are answered, one after the other.

    Attributes:
        per_second: frames through preprocessing, inference and decision; of a recording, read too.
        frames, seconds: that were measured.
        width, height: of the frames, in pixels.
        source: where they came from.
        notes: what was understood or guessed of the model, a line each.
    """

    per_second: float
    frames: int
    seconds: float
    width: int
    height: int
    source: str
    notes: list[str]


def measure(
    model: Path, runtime: str, threads: int, seconds: float, *, delegate: str = "none"
) -> Measurement:
    """Measure a model in one runtime; nothing that the runtime does ends this process.

    Args:
        model: a model file.
        runtime: one of `edgekit.inference.runtimes.choices()`.
        threads: CPU threads for each inference.
        seconds: how long to measure, beside loading and a warm-up.
        delegate: as `edgekit run` takes it.
    """
    job = Job(
        task="inference",
        model=str(model.resolve()),
        runtime=runtime,
        threads=threads,
        seconds=seconds,
        delegate=absolute(delegate),
    )
    try:
        found, problems = [run(job, Run)], list[str]()
    except RuntimeUnavailableError as error:
        found, problems = [], [str(error)]
    return summary(runtime, threads, found, problems)


def absolute(delegate: str) -> str:
    """A delegate as `edgekit run` takes it, for a process whose working folder is another."""
    path = Path(delegate)
    return str(path.resolve()) if path.is_file() else delegate


def run(job: Job, answer: type[_Answer]) -> _Answer:
    """Let a process do a job, and return what it found.

    Args:
        job: what to measure.
        answer: what the task gives.

    Raises:
        RuntimeUnavailableError: it crashed, hung, or could not do it; the message says why.
    """
    patience = _PATIENCE_FOR_OPERATORS if job.task == "operators" else _PATIENCE
    seconds = patience + _SLOWNESS * job.seconds
    try:
        done = child.run(
            child.python_command(MODULE), timeout=seconds, input=msgspec.json.encode(job)
        )
    except subprocess.TimeoutExpired as error:
        raise RuntimeUnavailableError(f"did not end within {seconds:g} s") from error
    except OSError as error:
        raise RuntimeUnavailableError(f"cannot be started: {error.strerror or error}") from error
    if name := child.signal_name(done.returncode):
        why = ", as the system does where memory is short" if name == "SIGKILL" else ""
        raise RuntimeUnavailableError(f"ended by {name}{why}")
    if done.returncode:
        raise RuntimeUnavailableError(one_line(last_line(done.stderr)))
    lines = done.stdout.splitlines()
    try:
        return msgspec.json.decode(lines[-1] if lines else b"", type=answer)
    except msgspec.DecodeError as error:
        raise RuntimeUnavailableError(f"gave no answer: {one_line(error)}") from error


def summary(
    runtime: str, threads: int, found: Sequence[Run], problems: Sequence[str]
) -> Measurement:
    """One measurement of several rounds, each of which had a process of its own.

    Args:
        runtime, threads: that were asked for.
        found: by each round that went well.
        problems: of each round that did not.
    """
    counted = len(found) + len(problems)
    told = f"{len(problems)} of {counted} rounds: " if found and problems else ""
    problem = f"{told}{problems[0]}" if problems else None
    if not found:
        return Measurement(runtime=runtime, threads=threads, problem=problem)
    times = sorted(time for one in found for time in one.times_ms)
    return Measurement(
        runtime=found[0].runtime,
        version=found[0].version,
        threads=threads,
        load_ms=_median(one.load_ms for one in found),
        first_ms=_median(one.first_ms for one in found),
        p50_ms=round(percentile(times, 50), 3),
        p90_ms=round(percentile(times, 90), 3),
        p99_ms=round(percentile(times, 99), 3),
        minimum_ms=round(times[0], 3),
        runs=len(times),
        before_mib=_median(one.before / _MIB for one in found),
        resident_mib=_median(one.after / _MIB for one in found),
        peak_mib=_median(one.peak / _MIB for one in found),
        problem=problem,
    )


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The least of some sorted values, at least one, that `percent` of 100 do not exceed."""
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]


def _median(values: Iterable[float]) -> float:
    return round(statistics.median(values), 3)
