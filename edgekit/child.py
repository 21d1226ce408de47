"""Programs in processes of their own: a module of ours that may crash, hang or fill the memory."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

# Not the caller's folder: whoever may write there could otherwise have a module of theirs imported,
# as root where root is who calls (`-P` keeps the current folder out of sys.path as well).
WORKING_FOLDER = Path("/")


def cores() -> int:
    """Processors that this process may use; all there are where the system does not tell."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def python_command(module: str, *arguments: str | Path, python: Path | None = None) -> list[str]:
    """The command that runs `python -m module` with nothing but what is installed.

    Neither the current folder nor a variable such as PYTHONPATH adds modules, nor, for root, a
    folder in a home. Give it a working folder of its own, too: `WORKING_FOLDER` or a fresh one.

    Args:
        module: as for `python -m`.
        arguments: its arguments; paths have to be absolute.
        python: this one by default.
    """
    # -I would hide ~/.local, where a user's edgekit may be (`pip install --user`).
    isolation = ["-I"] if os.geteuid() == 0 else ["-E", "-P"]
    return [str(python or sys.executable), *isolation, "-m", module, *map(str, arguments)]


def find(program: str) -> Path | None:
    """A program on PATH, as an absolute path; None where there is none.

    What PATH names from the current folder (`.`, or nothing between two colons) does not count.
    """
    folders = [folder for folder in os.get_exec_path() if Path(folder).is_absolute()]
    found = shutil.which(program, path=os.pathsep.join(folders))
    return Path(found) if found else None


def run_python(
    module: str,
    *arguments: str | Path,
    timeout: float | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run a module of ours, and wait for its end; its output comes back as bytes.

    Args:
        module: as for `python -m`.
        arguments: its arguments; paths have to be absolute.
        timeout: seconds after which it is killed.

    Raises:
        subprocess.TimeoutExpired: it did not end in time.
    """
    return run(python_command(module, *arguments), timeout=timeout)


def run(
    command: Sequence[str],
    *,
    timeout: float | None = None,
    environment: Mapping[str, str] | None = None,
    input: bytes = b"",
) -> subprocess.CompletedProcess[bytes]:
    """Run a program without a terminal, and wait for its end; its output comes back as bytes.

    Args:
        command: the program, on PATH or absolute, and its arguments; paths have to be absolute.
        timeout: seconds after which it is killed.
        environment: variables beside those of this process.
        input: what it finds on its standard input.

    Raises:
        FileNotFoundError: there is no such program.
        subprocess.TimeoutExpired: it did not end in time.
    """
    name, *arguments = command
    program = name if Path(name).is_absolute() else find(name)
    if program is None:
        raise FileNotFoundError(name)
    return subprocess.run(
        [str(program), *arguments],
        cwd=WORKING_FOLDER,
        env={**os.environ, **environment} if environment else None,
        input=input,
        capture_output=True,
        timeout=timeout,
        check=False,
    )


def start(command: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start a program that is talked with over its standard input and output, as bytes.

    What is typed on the terminal, Ctrl-C say, does not reach it: who started it has to end it.

    Args:
        command: the program, absolute, and its arguments; paths have to be absolute.
    """
    return subprocess.Popen(
        command,
        cwd=WORKING_FOLDER,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )


def signal_name(returncode: int) -> str | None:
    """Name of the signal that ended a process, such as `SIGSEGV`; None where none did."""
    if returncode >= 0:
        return None
    try:
        return signal.Signals(-returncode).name
    except ValueError:
        return f"signal {-returncode}"
