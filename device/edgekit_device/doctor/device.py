"""What the checks look at: files, programs and the user of a device, or of a folder like one."""

import grp
import os
import pwd
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from edgekit import child
from edgekit.text import last_line

# Where Linux keeps programs; PATH may lack sbin, and would be this machine's, not the folder's.
_PROGRAMS = ("usr/local/bin", "usr/bin", "bin", "usr/sbin", "sbin", "opt/vc/bin")
_TIMEOUT = 15.0


@dataclass(frozen=True)
class Answer:
    """What a program said.

    Attributes:
        code: its exit code, negative for the signal that ended it.
        output: what it printed.
        errors: the end of what it printed to stderr.
    """

    code: int
    output: str
    errors: str


@dataclass(frozen=True)
class Space:
    """Room in a file system, in bytes."""

    total: int
    free: int


def _space(path: Path) -> Space:
    usage = shutil.disk_usage(path)
    return Space(usage.total, usage.free)


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _groups() -> frozenset[str]:
    names = set()
    for number in {os.getegid(), *os.getgroups()}:
        try:
            names.add(grp.getgrgid(number).gr_name)
        except KeyError:
            continue
    return frozenset(names)


@dataclass(frozen=True)
class Device:
    """A device.

    Attributes:
        root: where its files lie.
        python: its Python, which is asked what it can import.
        environment: folder of the Python environment.
        user, groups: who asks, and the groups of this login.
        space: room in the file system of a path.
    """

    root: Path = Path("/")
    python: Path = field(default_factory=lambda: Path(sys.executable))
    environment: Path = field(default_factory=lambda: Path(sys.prefix))
    user: str = field(default_factory=_user)
    groups: frozenset[str] = field(default_factory=_groups)
    space: Callable[[Path], Space] = _space

    @property
    def is_root(self) -> bool:
        """Whether the one who asks may do anything."""
        return self.user == "root"

    @property
    def pip(self) -> str:
        """The command that changes this environment's packages."""
        program = shlex.quote(str(self.environment / "bin" / "pip"))
        return f"{'sudo ' if self.environment.is_relative_to('/opt') else ''}{program}"

    def exists(self, path: str) -> bool:
        """Whether a file is there; `path` is without the leading slash."""
        return (self.root / path).exists()

    def read(self, path: str) -> str:
        """A file's text without blanks around it; empty where it cannot be read."""
        try:
            text = (self.root / path).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        return text.strip("\0 \n\t")

    def glob(self, pattern: str) -> list[Path]:
        """Paths, absolute, in their order."""
        return sorted(self.root.glob(pattern))

    def link(self, path: Path) -> str:
        """Where a symbolic link points; empty where there is none, or none that may be read."""
        try:
            return str(path.readlink())
        except OSError:
            return ""

    def run(self, name: str, *arguments: str) -> Answer | None:
        """What one of the device's programs says; None where there is no such program."""
        path = os.pathsep.join(str(self.root / folder) for folder in _PROGRAMS)
        program = shutil.which(name, path=path)
        return None if program is None else _run([program, *arguments])

    def probe(self, *arguments: str) -> Answer:
        """What a process of the device's Python finds out; see `edgekit_device.doctor.probe`."""
        probe = "edgekit_device.doctor.probe"
        return _run(child.python_command(probe, *arguments, python=self.python))

    def fields(self, path: str, separator: str) -> Iterator[tuple[str, str]]:
        """The pairs of a file with a pair on each line."""
        for line in self.read(path).splitlines():
            name, found, value = line.partition(separator)
            if found:
                yield name.strip(), value.strip().strip('"')


def _run(command: list[str]) -> Answer:
    try:
        done = child.run(command, timeout=_TIMEOUT, environment={"LC_ALL": "C"})
    except subprocess.TimeoutExpired:
        return Answer(124, "", f"did not answer within {_TIMEOUT:g} s")
    except OSError as error:
        return Answer(127, "", error.strerror or str(error))
    errors = last_line(done.stderr) if done.stderr.strip() else ""
    return Answer(done.returncode, done.stdout.decode("utf-8", "replace"), errors)
