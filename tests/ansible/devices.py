"""Emulated devices: containers with a real systemd and a real sshd, on ports of this machine."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Device:
    """An emulated device.

    Attributes:
        name: its name.
        port: of its sshd, on this machine.
        root: its files, as this machine sees them.
        key: private key of its user.
    """

    name: str
    port: int
    root: Path
    key: Path

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
        with (work / f"{name}.log").open("wb") as console, _control_groups(name) as groups:
            container = subprocess.Popen(
                ["sh", "-c", _IN_GROUPS, "sh", " ".join(map(str, groups)),
                 "systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--link-journal=no",
                 f"--hostname={name}", "--console=pipe", "-D", str(device.root), "-b"],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console,
            )  # fmt: skip
            try:
                yield device
            finally:
                container.terminate()
                try:
                    container.wait(60)
                except subprocess.TimeoutExpired:
                    container.kill()
                    container.wait()
    finally:
        run("umount", "--lazy", device.root)


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
