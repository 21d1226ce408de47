"""Try a model in a process of its own before anything depends on it.

A file may crash the runtime, hang it, take all memory, or answer once and fail then; what reads
the file may, too. Here that ends a process that has nothing to lose: it gets the bytes that will
run, and of ours neither secrets nor rights; its memory and its time are limited, it writes nothing,
starts nothing, and dies with who started it.

The process is `edgekit_device.trial_process`. It reads a `Job`, a line of JSON, and the bytes of
the model and of its labels from stdin, and says how it went in the last line on stdout.
"""

import errno
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import msgspec

from edgekit import child
from edgekit.errors import (
    LabelsError,
    ModelFileError,
    RuntimeUnavailableError,
    SettingsError,
)
from edgekit.files import read_bounded
from edgekit.model import limits
from edgekit.model.decision import DecisionOverrides
from edgekit.model.foreign import Hints
from edgekit.model.labels import LabelFile
from edgekit.text import last_line, one_line
from edgekit_device import board

if TYPE_CHECKING:
    from edgekit_device.config.settings import Settings

# A model is held a few times over while it is loaded: this share of the memory is its limit.
_SHARE = 6
# Seconds for a slow board with a slow card to start Python, load a large model and answer.
TIMEOUT = 60.0
# Memory that any model may take, and beside it for each byte of its file: the file as it came, the
# flatbuffer in it, its weights as kernels pack them, as float32 where the file has them smaller.
_MEMORY = 128 << 20
_MEMORY_PER_BYTE = 8
# What the process may say; a runtime writes a line for each operator that it does not like.
LARGEST_OUTPUT = 64 << 10
_MODULE = "edgekit_device.trial_process"
# Of ours, all that a Python of a user's own (`pip install --user`) and the loader need.
_VARIABLES = ("HOME", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH")
# What the process says when a model of ours has answered in it.
READY = b"ready"
_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Limits:
    """What a trial may cost.

    Attributes:
        memory: bytes, beside those that the process has when it gets the model.
        seconds: for all of it, the start of the process included.
    """

    memory: int
    seconds: float = TIMEOUT

    @classmethod
    def of(cls, content: bytes) -> "Limits":
        """As much as a model of this size may need."""
        return cls(_MEMORY + _MEMORY_PER_BYTE * len(content))


class Job(msgspec.Struct, frozen=True):
    """What is to be tried.

    Attributes:
        path: of the model, for messages.
        size: of the model, in bytes.
        memory: see `Limits`.
        runtime: one of `runtimes.choices()`.
        hints: what the file does not say.
        decision: what the user says of decisions; it has to fit the model.
        labels: path of the labels, for messages; None where the model's own are used.
        accelerated: a model that the CPU cannot run is read, and need not answer.
        threads: CPU threads for each inference.
        measured_s: seconds for which it answers again and again to be measured, when it is good.
        urgent: nothing else is done until it has ended, so that it gives way to nobody.
        parent: the process that started it.
    """

    path: str
    size: int
    memory: int
    runtime: str = "auto"
    hints: Hints = Hints()
    decision: DecisionOverrides = DecisionOverrides()
    labels: str | None = None
    accelerated: bool = False
    threads: int = 1
    measured_s: float = 0.0
    urgent: bool = False
    parent: int = 0


class Report(msgspec.Struct, frozen=True):
    """How a trial went.

    Attributes:
        refusal: why the model is no good, a line; None where it is good.
        kind: whose fault that is, by the name of an error.
        seconds: from the first look at the model to the last answer.
        memory: the process's peak of resident memory, in bytes.
        answer_ms: median of what an answer took, in milliseconds; None where it was not measured.
    """

    refusal: str | None = None
    kind: str = ""
    seconds: float = 0.0
    memory: int = 0
    answer_ms: float | None = None


def read_model_bytes(path: Path) -> bytes:
    """The bytes of a model file, read once; a pipe, a device or a circle of links keeps nobody.

    Raises:
        ModelFileError: it cannot be read, is no regular file, or is too large for this machine.
    """
    largest = min(limits.FILE_BYTES, board.memory_limit() // _SHARE)
    try:
        return read_bounded(path, largest, follow=True)
    except OSError as error:
        if error.errno == errno.EFBIG:
            raise ModelFileError(
                f"the model {path} is larger than the {largest >> 20} MiB that fit here; take a "
                "smaller network, or convert it with --int8"
            ) from error
        raise ModelFileError(f"cannot read the model {path}: {error.strerror}") from error


def try_model(
    path: Path,
    content: bytes,
    labels: LabelFile | None,
    settings: "Settings",
    *,
    accelerated: bool,
    urgent: bool = False,
    limits: Limits | None = None,
    threads: int = 1,
    measured_s: float = 0.0,
) -> Report:
    """Let a model answer several pictures in a process of its own.

    Args:
        path: of the model, for messages.
        content: its bytes, which are what has to be loaded afterwards.
        labels: names in the place of those in the model.
        settings: how the daemon will load it.
        accelerated: on an accelerator. The process has none: a model that the CPU can run, too,
            answers there; one that it cannot is only read.
        urgent: do not give way to others: no frame is answered before it has ended.
        limits: those for a model of its size by default.
        threads, measured_s: see `Job`.

    Raises:
        ModelFileError: the model crashes, hangs, takes too much, or does not answer as it should.
        LabelsError: the labels are no good, or do not fit it.
        SettingsError: the decision settings do not fit it.
        RuntimeUnavailableError: no runtime works here, whatever the model.
    """
    limits = limits or Limits.of(content)
    job = Job(
        path=_told(path),
        size=len(content),
        memory=limits.memory,
        runtime=settings.runtime,
        hints=settings.hints(),
        decision=settings.decision,
        labels=_told(labels.path) if labels else None,
        accelerated=accelerated,
        threads=threads,
        measured_s=measured_s,
        urgent=urgent,
        parent=os.getpid(),
    )
    try:
        with nameless() as given, nameless() as said, nameless() as noise:
            given.write(msgspec.json.encode(job) + b"\n")
            given.write(content)
            if labels:
                given.write(labels.content)
            given.seek(0)
            process = _start(given, said, noise)
            # The process has it now, and lets it go when it has read it.
            given.close()
            try:
                process.wait(limits.seconds)
            except subprocess.TimeoutExpired as error:
                raise ModelFileError(
                    f"{job.path} gave no answer within {limits.seconds:g} s; take a smaller "
                    "network, or convert it again"
                ) from error
            finally:
                process.kill()
                process.wait()
            said.seek(0)
            noise.seek(0)
            answer, words = said.read(LARGEST_OUTPUT), noise.read(LARGEST_OUTPUT)
    except OSError as error:
        raise ModelFileError(
            f"{job.path} cannot be tried: {error.strerror or error}; free memory, and offer it "
            "again"
        ) from error
    return judge(job, process.returncode, answer, words)


def judge(job: Job, returncode: int, said: bytes, noise: bytes) -> Report:
    """What a process's end says of the model.

    Args:
        job: what it was to do.
        returncode: as `subprocess` has it.
        said: on stdout, where it answers.
        noise: on stderr, where the runtime says what it likes.

    Raises:
        ModelFileError, LabelsError, RuntimeUnavailableError, SettingsError: as `try_model`.
    """
    lines = said.splitlines()
    if returncode and READY not in lines:
        why = child.signal_name(returncode) or one_line(last_line(noise))
        raise RuntimeUnavailableError(
            f"a model of ours cannot be tried either ({why}); see `edgekit doctor`"
        )
    if signal_name := child.signal_name(returncode):
        if signal_name == "SIGKILL" or b"bad_alloc" in noise:
            raise ModelFileError(too_much(job))
        raise ModelFileError(
            f"{job.path} crashes the TFLite runtime ({signal_name}); convert it again"
        )
    try:
        report = msgspec.json.decode(lines[-1] if lines else b"", type=Report)
    except msgspec.DecodeError as error:
        raise ModelFileError(
            f"{job.path} gives no answer: {one_line(last_line(noise))}; convert it again"
        ) from error
    if report.refusal is not None:
        errors = {
            one.__name__: one for one in (LabelsError, RuntimeUnavailableError, SettingsError)
        }
        raise errors.get(report.kind, ModelFileError)(report.refusal)
    return report


def too_much(job: Job) -> str:
    """That a model takes more memory than it may."""
    return (
        f"{job.path} takes more than {job.memory >> 20} MiB of memory, or than is free here; take "
        "a smaller network, or convert it again"
    )


def _told(path: Path) -> str:
    """A path for a line of JSON; a name may hold bytes that are no text."""
    return one_line(str(path))


def nameless() -> IO[bytes]:
    """A file without a name; in memory, where the system can: a full disk refuses no model."""
    if sys.platform == "linux":
        return os.fdopen(os.memfd_create("edgekit-trial"), "w+b")
    return tempfile.TemporaryFile()


def _start(given: IO[bytes], said: IO[bytes], noise: IO[bytes]) -> "subprocess.Popen[bytes]":
    variables = {name: os.environ[name] for name in _VARIABLES if name in os.environ}
    # A stop of ours is not for it: it would look as if the model had ended it. It inherits this.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
    try:
        return subprocess.Popen(
            child.python_command(_MODULE),
            cwd=child.WORKING_FOLDER,
            # Threads of a linear algebra that is not used would take memory.
            env={**variables, "OPENBLAS_NUM_THREADS": "1"},
            stdin=given,
            stdout=said,
            stderr=noise,
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
