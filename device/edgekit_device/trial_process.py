"""The process in which a model is tried; `edgekit_device.trial` starts it, and says what it is for.

A process that has called `prepare` may also be forked, and `run` called in each fork: so thousands
of files are tried in little time.
"""

import codecs
import contextlib
import ctypes
import os
import re
import resource
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import msgspec

from edgekit.errors import (
    EdgekitError,
    InferenceError,
    LabelsError,
    ModelFileError,
    RuntimeUnavailableError,
    SettingsError,
)
from edgekit.model.foreign import Hints
from edgekit.model.labels import LabelFile
from edgekit.text import one_line
from edgekit_device.trial_protocol import LARGEST_OUTPUT, READY, Job, Report, too_much

if TYPE_CHECKING:
    from edgekit.inference.classifier import Classifier

_NICENESS = 10
_NOBODY = 65534
# Of all that this account runs, where an inference takes several threads.
_PROCESSES = 256
# Inferences that are measured at the least, however long they take.
_MEASURED = 3
# How the model of ours, whose input is of scale 1/32, has its pixels as they are.
_AS_THEY_ARE = "0,0,0/.1255,.1255,.1255"
_PDEATHSIG, _NO_NEW_PRIVILEGES = 1, 38


def prepare(runtime: str, foreign: bool = True) -> None:
    """Use once, on a model of ours, all that a trial may need.

    Without root's rights, what is imported late may be out of reach.

    Args:
        runtime: one of `runtimes.choices()`.
        foreign: whether a model without a manifest may come. Then OpenCV is loaded, too, with which
            the pixels for such a one are converted: on a small board it takes most of the time.

    Raises:
        RuntimeUnavailableError: the runtime does not work here.
    """
    from edgekit.inference import runtimes

    runtimes.load(runtime)
    for encoding in ("cp437", "utf-8-sig", "utf-16"):
        codecs.lookup(encoding)
    ours = Path(__file__).with_name("doctor").joinpath("probe.tflite").read_bytes()
    hints = Hints(normalization="imagenet" if foreign else _AS_THEY_ARE)
    job = Job("a model of ours", len(ours), 0, runtime, hints, labels="its labels")
    refused = _outcome(job, ours, b"one\ntwo\nthree\n")
    if isinstance(refused, EdgekitError):
        raise RuntimeUnavailableError(str(refused))


def run(job: Job, content: bytes, labels: bytes | None) -> Report:
    """Give up what a model could abuse, then let it answer; needs a `prepare` before it.

    This process is of no use for anything else afterwards.
    """
    try:
        # A look of the kernel's own: what `getrusage` tells counts the process that started this.
        status = os.open("/proc/self/status", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        status = None
    _confine(job, _memory(status, b"VmData"))
    start = time.perf_counter()
    outcome = _outcome(job, content, labels)
    seconds = round(time.perf_counter() - start, 3)
    memory = _memory(status, b"VmHWM")
    if isinstance(outcome, EdgekitError):
        return Report(one_line(outcome), type(outcome).__name__, seconds, memory)
    return Report(seconds=seconds, memory=memory, answer_ms=outcome)


def _memory(status: int | None, name: bytes) -> int:
    """A figure of /proc/self/status, in bytes; 0 where there is no such file."""
    text = b"" if status is None else os.pread(status, 1 << 16, 0)
    found = re.search(rb"^%b:\s*(\d+) kB" % name, text, re.MULTILINE)
    return 1024 * int(found[1]) if found else 0


def _confine(job: Job, memory: int) -> None:
    """Give up what a model could abuse: rights, memory, disk, processes, and to outlive ours."""
    # Where the processor is short the others go first, and where memory is short this one goes.
    if not job.urgent:
        with contextlib.suppress(OSError):
            os.nice(_NICENESS)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="utf-8")
    limits = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: LARGEST_OUTPUT,
        # Threads count as processes, and those of others of this account with them.
        resource.RLIMIT_NPROC: 0 if job.threads == 1 else _PROCESSES,
        resource.RLIMIT_DATA: memory + job.memory,
    }
    for which, limit in limits.items():
        # A limit that is there already may be lower, and cannot be raised.
        _, hard = resource.getrlimit(which)
        lower = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(which, (lower, lower))
    prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(_NOBODY)
        os.setuid(_NOBODY)
    if prctl is not None:
        prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        prctl(_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != job.parent:
            sys.exit("who started it has gone")


def _outcome(job: Job, content: bytes, labels: bytes | None) -> EdgekitError | float | None:
    """Why a model is no good, whatever its file makes go wrong; else how long an answer takes, in
    milliseconds, where that is to be measured.
    """
    try:
        return _answer(job, content, labels)
    except (ModelFileError, LabelsError, SettingsError) as error:
        return error
    except RuntimeUnavailableError as error:
        return ModelFileError(f"{job.path} gives no answer: {error}")
    except InferenceError as error:
        return ModelFileError(f"{job.path} gives no answer: {error}; convert it again")
    except MemoryError:
        return ModelFileError(too_much(job))
    except ImportError as error:
        # Of what is installed: no model would do better.
        return RuntimeUnavailableError(
            f"no model can be tried here: {error}; install edgekit-device again, with all that it "
            "asks for"
        )
    except Exception as error:
        return ModelFileError(f"{job.path} gives no answer: {error!r}; convert it again")


def _answer(job: Job, content: bytes, labels: bytes | None) -> float | None:
    # Loaded in this process alone: OpenCV and the runtime take memory.
    from edgekit.inference.classifier import Classifier
    from edgekit.model.container import parse_model
    from edgekit.model.schema import OPERATORS
    from edgekit.model.settled import settle

    model = parse_model(Path(job.path), content)
    given = None if job.labels is None or labels is None else LabelFile(Path(job.labels), labels)
    names = model.class_names(given)
    settle(job.decision, model.recommended(names), names, model=model.path.name)
    if job.accelerated and any(one.name not in OPERATORS for one in model.graph.operators):
        return None
    classifier = Classifier.load(
        model, labels=given, hints=job.hints, runtime=job.runtime, threads=job.threads
    )
    classifier.check_answers()
    return _median_ms(classifier, job.measured_s) if job.measured_s else None


def _median_ms(classifier: "Classifier", seconds: float) -> float:
    """Median of what an answer takes, in milliseconds, over so many seconds."""
    import numpy as np  # loaded before: from here on nothing new may be in reach

    taken: list[float] = []
    end = time.perf_counter() + seconds
    while len(taken) < _MEASURED or time.perf_counter() < end:
        start = time.perf_counter()
        classifier.warm_up()
        taken.append(time.perf_counter() - start)
    return round(1000 * float(np.median(taken)), 3)


def say(report: Report) -> NoReturn:
    """Write how it went to stdout, and end."""
    os.write(1, b"\n" + msgspec.json.encode(report) + b"\n")
    # At once: a runtime's own end may go wrong, or say something.
    os._exit(0)


def _prepared(runtime: str, foreign: bool) -> RuntimeUnavailableError | None:
    """Prepare; why that is of no use, if it is none."""
    try:
        prepare(runtime, foreign)
    except RuntimeUnavailableError as error:
        return error
    return None


def _main() -> None:
    until, runtime = sys.argv[1:]
    unavailable = _prepared(runtime, foreign=False)
    with os.fdopen(int(until), "rb") as pipe:
        pipe.read()
    # Not through `sys.stdin`, which may have looked at the file before there was anything in it.
    with os.fdopen(0, "rb") as given:
        line = given.readline()
        if not line:
            sys.exit("there is nothing to try")
        job = msgspec.json.decode(line, type=Job)
        if job.foreign or job.runtime != runtime:
            unavailable = _prepared(job.runtime, job.foreign)
        if unavailable is not None:
            say(Report(str(unavailable), type(unavailable).__name__))
        content, labels = given.read(job.size), given.read()
    os.write(1, READY + b"\n")
    say(run(job, content, labels))


if __name__ == "__main__":
    _main()
