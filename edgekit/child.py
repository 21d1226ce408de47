"""Programs in processes of their own: a module of ours that may crash, hang or fill the memory."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

# Not the caller's folder: whoever may write there could otherwise have a module of theirs imported,
# as root where root is who calls (`-P` keeps the current folder out of sys.path as well).
WORKING_FOLDER = Path("/")


def python_command(module: str, *arguments: str | Path) -> list[str]:
    """The command that runs `python -m module` with nothing but what is installed.

    Give it a working folder of its own, too: `WORKING_FOLDER` or a fresh one. Paths among the
    arguments have to be absolute.
    """
    return [sys.executable, "-P", "-m", module, *map(str, arguments)]


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
) -> subprocess.CompletedProcess[bytes]:
    """Run a program without a terminal, and wait for its end; its output comes back as bytes.

    Args:
        command: the program and its arguments; paths have to be absolute.
        timeout: seconds after which it is killed.
        environment: variables beside those of this process.

    Raises:
        FileNotFoundError: there is no such program.
        subprocess.TimeoutExpired: it did not end in time.
    """
    return subprocess.run(
        list(command),
        cwd=WORKING_FOLDER,
        env={**os.environ, **environment} if environment else None,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=timeout,
        check=False,
    )


def signal_name(returncode: int) -> str | None:
    """Name of the signal that ended a process, such as `SIGSEGV`; None where none did."""
    if returncode >= 0:
        return None
    try:
        return signal.Signals(-returncode).name
    except ValueError:
        return f"signal {-returncode}"
