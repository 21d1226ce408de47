"""Emulated devices: containers with a real systemd and a real sshd, on ports of this machine."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.ansible.image import USER
from tests.pi.image import remove, run

# Seconds; a container needs two on a machine at rest.
_BOOT = 300.0
_IN_GROUPS = """\
for group in $1; do
    echo $$ > "$group/cgroup.procs" || exit 1
done
shift
exec "$@"
"""
_SSHD = """\
Port {port}
ListenAddress 127.0.0.1
PasswordAuthentication no
"""


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Device:
    """An emulated device.

    Attributes:
        name: its name.
        port: of its sshd, on this machine.
        root: its files, as this machine sees them.
        key: private key of its user.
        groups: control groups that it runs in.
    """

    name: str
    port: int
    root: Path
    key: Path
    groups: list[Path] = field(default_factory=list)
    _container: "subprocess.Popen[bytes] | None" = None

    def switch_on(self) -> None:
        """Start it; see `wait`."""
        console = self.root.parent / "console.log"
        with console.open("ab") as log:
            self._container = subprocess.Popen(
                ["sh", "-c", _IN_GROUPS, "sh", " ".join(map(str, self.groups)),
                 "systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--link-journal=no",
                 f"--hostname={self.name}", "--console=pipe", "-D", str(self.root), "-b"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def shut_down(self) -> None:
        """Let it end as it should, which takes a moment."""
        if self._container is not None:
            self._container.terminate()
            try:
                self._container.wait(60)
            except subprocess.TimeoutExpired:
                self.pull_the_plug()
            self._container = None

    def pull_the_plug(self) -> None:
        """Take its power away: nothing of it ends as it should, and nobody is told."""
        assert self._container is not None
        # systemd-nspawn's own end would not be that of what runs in it.
        for process in [*_descendants(self._container.pid), self._container.pid]:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self._container.wait()
        self._container = None

    def cut(self, how: signal.Signals) -> None:
        """Let nothing through its connections, while all else on it goes on.

        Args:
            how: SIGSTOP for a cable that was pulled; SIGCONT for one that was plugged in again.
        """
        assert self._container is not None
        for process in _descendants(self._container.pid):
            name = Path(f"/proc/{process}/comm")
            with suppress(OSError):
                if name.read_text().startswith("sshd"):
                    os.kill(process, how)

    def ssh(self, command: str) -> str:
        """What a command prints there, as its user; it has to end well."""
        done = self._ssh(command)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _ssh(self, command: str) -> "subprocess.CompletedProcess[str]":
        options = ("BatchMode=yes", "StrictHostKeyChecking=no", "ConnectTimeout=5",
                   "LogLevel=ERROR", "UserKnownHostsFile=/dev/null",
                   "IdentitiesOnly=yes")  # fmt: skip
        words = [word for option in options for word in ("-o", option)]
        return subprocess.run(
            ["ssh", *words, "-i", str(self.key), "-p", str(self.port), f"{USER}@127.0.0.1",
             command],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip

    def wait(self) -> None:
        """Wait until it has started."""
        deadline = time.monotonic() + _BOOT
        while (done := self._ssh("systemctl is-system-running --wait")).stdout.strip() != "running":
            if time.monotonic() > deadline:
                raise AssertionError(f"{self.name} does not start: {done.stdout}{done.stderr}")
            time.sleep(0.3)


@contextmanager
def devices(root: Path, work: Path, *names: str) -> Iterator[list[Device]]:
    """Devices that have started; they are switched off at the end.

    Args:
        root: the file system that they all begin with, which stays as it is.
        work: folder for what changes; emptied first.
        names: of the devices.

    Raises:
        CannotRunError: this machine's kernel does not let it.
    """
    remove(work)
    work.mkdir(parents=True)
    key = work / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    with ExitStack() as stack:
        started = [stack.enter_context(_device(root, work, name, key)) for name in names]
        for device in started:
            device.wait()
        yield started


@contextmanager
def _device(root: Path, work: Path, name: str, key: Path) -> Iterator[Device]:
    parts = {part: work / name / part for part in ("changes", "scratch", "root")}
    for part in parts.values():
        part.mkdir(parents=True)
    device = Device(name, free_port(), parts["root"], key)
    layers = f"lowerdir={root},upperdir={parts['changes']},workdir={parts['scratch']}"
    run("mount", "-t", "overlay", "overlay", "-o", layers, device.root,
        refused="this kernel mounts no overlay")  # fmt: skip
    try:
        _prepare(device)
        with _control_groups(name) as device.groups:
            device.switch_on()
            try:
                yield device
            finally:
                device.shut_down()
    finally:
        run("umount", "--lazy", device.root)


def _descendants(process: int) -> list[int]:
    """Numbers of the processes that a process has started, and so on."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(entry.parent.name)] = int(entry.read_text().rpartition(")")[2].split()[1])
    found, left = [], [process]
    while left:
        parent = left.pop()
        children = [child for child, of in parents.items() if of == parent]
        found += children
        left += children
    return found


@contextmanager
def _control_groups(name: str) -> Iterator[list[Path]]:
    """Control groups of a container's own: in those of this process, two would end each other."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    groups = []
    for _, place, kind, options, *_ in mounts:
        # In a new one of `cpuset` no process may run; systemd does not use it.
        if kind == "cgroup2" or (kind == "cgroup" and "cpuset" not in options.split(",")):
            group = Path(place) / f"edgekit-{name}-{os.getpid()}"
            group.mkdir()
            groups.append(group)
    try:
        yield groups
    finally:
        for group in groups:
            for folder, _, _ in os.walk(group, topdown=False):
                # One that is not empty yet is this machine's to remove, and no fault of a test.
                with suppress(OSError):
                    Path(folder).rmdir()


def _prepare(device: Device) -> None:
    root = device.root
    (root / "etc/ssh/sshd_config.d/port.conf").write_text(_SSHD.format(port=device.port))
    folder = root / "home" / USER / ".ssh"
    folder.mkdir(mode=0o700)
    shutil.copy(device.key.with_suffix(".pub"), folder / "authorized_keys")
    owner = folder.parent.stat()
    for path in (folder, folder / "authorized_keys"):
        shutil.chown(path, owner.st_uid, owner.st_gid)
