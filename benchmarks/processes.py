"""What a process takes of memory and processor; of a program, those of its children included."""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

_INTERVAL = 0.1  # seconds between looks at the memory
_MIB = 1 << 20
_TICK = os.sysconf("SC_CLK_TCK")


class Cost(NamedTuple):
    """Of a program that has ended.

    Attributes:
        seconds: wall-clock.
        cpu: seconds of CPU.
        memory: highest resident MiB of all its processes together, looked at ten times a second;
            pages that they share count for each.
    """

    seconds: float
    cpu: float
    memory: float


class ProgramError(Exception):
    """A program failed, or took too long; the message is the end of what it said."""


def measure(command: Sequence[str], folder: Path, timeout: float | None = None,
            environment: dict[str, str] | None = None) -> Cost:  # fmt: skip
    """Run a program in a folder, where what it says goes to log.txt; one at a time.

    Args:
        command: program and arguments.
        folder: working directory.
        timeout: seconds after which it is ended.
        environment: variables beside this process's.

    Raises:
        ProgramError: it failed, or was ended.
    """
    programs = Path(sys.executable).parent
    variables = os.environ | {
        "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', '')}",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        **(environment or {}),
    }
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    peak, ended = 0.0, False
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=variables, stdout=log, stderr=log, start_new_session=True
        )
        try:
            while process.poll() is None:
                peak = max(peak, _with_children(process.pid))
                ended = timeout is not None and time.monotonic() - start > timeout
                if ended:
                    break
                time.sleep(_INTERVAL)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # what it started, too
            process.wait()
    seconds = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode:
        said = (folder / "log.txt").read_text(errors="replace").strip()
        raise ProgramError(f"took longer than {timeout:.0f} s" if ended else said[-2000:])
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(seconds, spent, peak)


def busy(process: int) -> float:
    """Seconds of processor time that a process has had.

    Raises:
        OSError: there is no such process.
    """
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def resident(process: int) -> float:
    """Resident MiB of a process, as the kernel counts them.

    Raises:
        OSError: there is no such process, or it has ended.
    """
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    if not pages:
        raise ProcessLookupError(f"process {process} has ended")
    return pages * os.sysconf("SC_PAGE_SIZE") / _MIB


def _with_children(process: int) -> float:
    """The same of a process and all below it; pages that they share count for each."""
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
        return resident(process) + sum(_with_children(int(child)) for child in children)
    except OSError:  # it has just ended
        return 0
