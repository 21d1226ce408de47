"""Try a model in a process of its own before anything depends on it.

A file may crash the runtime, hang it, take all memory, or answer once and fail then; what reads
the file may, too. Here that ends a process that has nothing to lose: it gets the bytes that will
run, and of ours neither secrets nor rights; its memory and its time are limited, it writes nothing,
starts nothing, and dies with who started it.

The process is `edgekit_device.trial_process`. It may be started before its model is read, and loads
what it needs meanwhile, until the pipe ends whose descriptor is its argument. Then it reads a
`Job`, a line of JSON, and the bytes of the model and of its labels from stdin, and says how it went
in the last line on stdout.
"""

import contextlib
import errno
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Required, Self, TypedDict, Unpack

import msgspec

from edgekit import child
from edgekit.errors import LabelsError, ModelFileError, RuntimeUnavailableError, SettingsError
from edgekit.files import read_bounded
from edgekit.model import limits
from edgekit.model.labels import LabelFile
from edgekit.text import last_line, one_line
from edgekit_device import board
from edgekit_device.trial_protocol import LARGEST_OUTPUT, READY, Job, Report, too_much

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
_MODULE = "edgekit_device.trial_process"
# Of ours, all that a Python of a user's own (`pip install --user`) and the loader need.
_VARIABLES = ("HOME", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH")
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


class How(TypedDict, total=False):
    """How a model is tried.

    Attributes:
        accelerated: on an accelerator. The process has none: a model that the CPU can run, too,
            answers there; one that it cannot is only read.
        urgent: do not give way to others: no frame is answered before it has ended.
        limits: those for a model of its size by default.
        foreign, threads, measured_s: see `Job`.
    """

    accelerated: Required[bool]
    urgent: bool
    limits: Limits | None
    foreign: bool
    threads: int
    measured_s: float


class Trial:
    """A process that tries one model; it ends with the `with` block at the latest.

    Args:
        runtime: that the model will probably want, one of `runtimes.choices()`.

    Raises:
        OSError: no process can be started.
    """

    def __init__(self, runtime: str = "auto") -> None:
        with contextlib.ExitStack() as files:
            self._given, self._said, self._noise = (
                files.enter_context(nameless()) for _ in range(3)
            )
            here, there = os.pipe()
            self._begun = files.enter_context(os.fdopen(there, "wb"))
            with os.fdopen(here, "rb") as until:
                self._process = _start(self._given, self._said, self._noise, until, runtime)
            self._files = files.pop_all()
        self._job: Job | None = None
        self._limits = Limits(0)
        self._deadline = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._files.close()

    def begin(
        self,
        path: Path,
        content: bytes,
        labels: LabelFile | None,
        settings: "Settings",
        *,
        accelerated: bool,
        urgent: bool = False,
        limits: Limits | None = None,
        foreign: bool = True,
        threads: int = 1,
        measured_s: float = 0.0,
    ) -> None:
        """Give it a model, and do not wait; once. See `try_model`.

        Raises:
            ModelFileError: there is no room for it.
        """
        self._limits = limits or Limits.of(content)
        self._job = Job(
            path=_told(path),
            size=len(content),
            memory=self._limits.memory,
            runtime=settings.runtime,
            hints=settings.hints(),
            decision=settings.decision,
            labels=_told(labels.path) if labels else None,
            accelerated=accelerated,
            foreign=foreign,
            threads=threads,
            measured_s=measured_s,
            urgent=urgent,
            parent=os.getpid(),
        )
        self._deadline = time.monotonic() + self._limits.seconds
        with _said_of(path):
            self._given.write(msgspec.json.encode(self._job) + b"\n")
            self._given.write(content)
            if labels:
                self._given.write(labels.content)
            self._given.seek(0)
            # The process has it now, and lets it go when it has read it.
            self._given.close()
            self._begun.close()

    def wait(self) -> Report:
        """What became of the model that it was given.

        Raises:
            EdgekitError: as `try_model`.
        """
        job = self._job
        assert job is not None
        try:
            _wait(self._process, self._deadline - time.monotonic())
        except subprocess.TimeoutExpired as error:
            raise ModelFileError(
                f"{job.path} gave no answer within {self._limits.seconds:g} s; take a smaller "
                "network, or convert it again"
            ) from error
        self._said.seek(0)
        self._noise.seek(0)
        answer, words = self._said.read(LARGEST_OUTPUT), self._noise.read(LARGEST_OUTPUT)
        return judge(job, self._process.returncode, answer, words)


@contextlib.contextmanager
def ahead(runtime: str) -> Iterator[Trial | None]:
    """A process for a model that is still to be read; None where none can be started.

    Why that is so is said where one cannot be done without.
    """
    try:
        trial = Trial(runtime)
    except OSError:
        yield None
        return
    with trial:
        yield trial


def try_model(
    path: Path,
    content: bytes,
    labels: LabelFile | None,
    settings: "Settings",
    **how: Unpack[How],
) -> Report:
    """Let a model answer several pictures in a process of its own.

    Args:
        path: of the model, for messages.
        content: its bytes, which are what has to be loaded afterwards.
        labels: names in the place of those in the model.
        settings: how the daemon will load it.
        how: see `How`.

    Raises:
        ModelFileError: the model crashes, hangs, takes too much, or does not answer as it should.
        LabelsError: the labels are no good, or do not fit it.
        SettingsError: the decision settings do not fit it.
        RuntimeUnavailableError: no runtime works here, whatever the model.
    """
    with _said_of(path):
        trial = Trial(settings.runtime)
    with trial:
        trial.begin(path, content, labels, settings, **how)
        return trial.wait()


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


def _told(path: Path) -> str:
    """A path for a line of JSON; a name may hold bytes that are no text."""
    return one_line(str(path))


def nameless() -> IO[bytes]:
    """A file without a name; in memory, where the system can: a full disk refuses no model."""
    if sys.platform == "linux":
        return os.fdopen(os.memfd_create("edgekit-trial"), "w+b")
    return tempfile.TemporaryFile()


@contextlib.contextmanager
def _said_of(path: Path) -> Iterator[None]:
    """Whatever the system lacks for a trial is said of the model that was to be tried."""
    try:
        yield
    except OSError as error:
        raise ModelFileError(
            f"{_told(path)} cannot be tried: {error.strerror or error}; free memory, and offer it "
            "again"
        ) from error


def _start(
    given: IO[bytes], said: IO[bytes], noise: IO[bytes], until: IO[bytes], runtime: str
) -> "subprocess.Popen[bytes]":
    variables = {name: os.environ[name] for name in _VARIABLES if name in os.environ}
    # A stop of ours is not for it: it would look as if the model had ended it. It inherits this.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
    try:
        return subprocess.Popen(
            child.python_command(_MODULE, str(until.fileno()), runtime),
            cwd=child.WORKING_FOLDER,
            # Threads of a linear algebra that is not used would take memory.
            env={**variables, "OPENBLAS_NUM_THREADS": "1"},
            stdin=given,
            stdout=said,
            stderr=noise,
            pass_fds=[until.fileno()],
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _wait(process: "subprocess.Popen[bytes]", seconds: float) -> None:
    """Wait for the end of a process, which `Popen.wait` would notice up to 50 ms late.

    Raises:
        subprocess.TimeoutExpired: it did not come in time.
    """
    deadline = time.monotonic() + seconds
    if sys.platform == "linux":
        # An old kernel has no such descriptor.
        with contextlib.suppress(OSError), os.fdopen(os.pidfd_open(process.pid), "rb") as end:
            ended = select.poll()
            ended.register(end, select.POLLIN)
            ended.poll(1000 * max(0.0, seconds))
    process.wait(max(0.0, deadline - time.monotonic()))
