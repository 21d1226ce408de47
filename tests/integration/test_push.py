"""`edgekit push` over the system's ssh, to a real sshd on this machine.

Behind sshd lies a device in a folder: `edgekit` there is the real command, told to work on that
folder, with a stand-in for systemctl (`tests/device/service/fake_systemctl.py`). `sudo` is a
stand-in, too, which notes what it is asked and does it.
"""

import getpass
import json
import os
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from edgekit_device.service.durable import locked
from edgekit_device.service.push import cli as module
from edgekit_device.service.push import push

from edgekit import __version__
from tests.device.service.conftest import QUICK, Device, fake_command, make_device, sha
from tests.signing import NEEDS_SSH_KEYGEN, KeyPair
from tests.tiny import tiny_model

ROOT = Path(__file__).parents[2]
SSHD = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin")
EDGEKIT = """\
#!{python}
import os
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from edgekit import cli as command
from edgekit_device.service import cli, configure, probation, verify
from edgekit_device.service.layout import Layout
from tests.device.service.fake_clock import FakeClock
probation.time = configure.time = FakeClock(Path(os.environ["FAKE_SYSTEMD"]))
configure.PATIENCE = 2.0
# Nothing to choose, and nothing to measure: with both it would take five seconds each time.
verify.installed_versions = lambda: {{"litert": "2.1.0"}}
cli.Layout = lambda: Layout(Path({layout!r}))
# Not from the entry points, which are those of the last installation.
command._Commands.get_command = lambda *_: cli.service
command.main()
"""
# Of what is brought nothing has a name while it is at work.
SUDO = """\
#!/bin/sh
printf "%s\\n" "$*" >> {log}
ls -A "$TMPDIR" >> {log}
[ "$1" = -n ] || exit 1
shift
exec "$@"
"""


class _Listener(socketserver.ThreadingTCPServer):
    """Listens on a port that the system chooses, and starts an sshd for each connection."""

    daemon_threads = True
    config: Path

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self.socket.getsockname()[1]
        return port


class _Connection(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        """As inetd would do it."""
        assert SSHD is not None
        assert isinstance(self.server, _Listener)
        command = [SSHD, "-i", "-f", str(self.server.config)]
        subprocess.run(command, stdin=self.request, stdout=self.request,
                       stderr=subprocess.DEVNULL, check=False)  # fmt: skip


def _key(path: Path) -> Path:
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)]
    subprocess.run(command, check=True, timeout=60)
    return path


@dataclass
class Remote:
    """A device behind an sshd.

    Attributes:
        port: of the sshd.
        folder: holds its programs and the device.
        keys: folder that holds the keys, which all devices of a test share.
        device: what its service does.
    """

    port: int
    folder: Path
    keys: Path
    device: Device

    @property
    def host(self) -> str:
        """As ssh takes it."""
        return f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}"

    @property
    def old(self) -> str:
        """Hash of the model that it ran first."""
        return sha(self.folder / "old.tflite")

    @property
    def options(self) -> list[str]:
        """What ssh needs to know the device, and to be known."""
        known = f"UserKnownHostsFile={self.keys / 'known_hosts'}"
        return ["-i", str(self.keys / "user"), "-o", known, "-o", "IdentitiesOnly=yes"]

    def push(self, *arguments: str | Path) -> Result:
        """Run `edgekit push`, knowing the devices' key."""
        return CliRunner().invoke(push, [*self.options, *map(str, arguments)])

    def program(self, name: str, text: str) -> None:
        """Put a program in the place of one of the device's."""
        fake_command(self.folder / "bin", name, text)

    @property
    def sudo(self) -> list[str]:
        """What sudo was asked to do."""
        log = self.folder / "sudo.log"
        return log.read_text().splitlines() if log.exists() else []

    @property
    def left(self) -> list[Path]:
        """Temporary files on the device."""
        return list((self.folder / "tmp").iterdir())


def _keys(folder: Path) -> None:
    _key(folder / "host")
    _key(folder / "user")
    (folder / "user.pub").rename(folder / "authorized_keys")


def _configured(folder: Path, keys: Path, device: Device, port: int) -> Path:
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    with (keys / "known_hosts").open("a") as known:
        known.write(f"[127.0.0.1]:{port} {(keys / 'host.pub').read_text()}")
    config = folder / "sshd_config"
    config.write_text(
        f"HostKey {keys / 'host'}\nUsePAM no\nStrictModes no\nPidFile none\n"
        f"AuthorizedKeysFile {keys / 'authorized_keys'}\n"
        "PermitRootLogin prohibit-password\nPasswordAuthentication no\n"
        f'SetEnv "PATH={path}" FAKE_SYSTEMD={device.file} TMPDIR={folder / "tmp"}\n'
    )
    return config


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Callable[[str], Remote]]:
    """Makes devices that run the model `old`, each behind an sshd of its own."""
    if SSHD is None or shutil.which("ssh") is None:
        pytest.skip("needs ssh and sshd (apt install openssh-server)")
    if os.geteuid() == 0:
        # Where it changes its root to; Debian's own service makes it at its start.
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    keys = tmp_path / "keys"
    keys.mkdir()
    _keys(keys)
    with ExitStack() as devices:
        yield lambda name: devices.enter_context(_serve(tmp_path / name, keys))


@pytest.fixture
def remote(fleet: Callable[[str], Remote]) -> Remote:
    """A device."""
    return fleet("first")


@contextmanager
def _serve(folder: Path, keys: Path) -> Iterator[Remote]:
    (folder / "tmp").mkdir(parents=True)
    device = make_device(folder)
    fake_command(
        folder / "bin", "edgekit",
        EDGEKIT.format(python=sys.executable, root=str(ROOT), layout=str(device.layout.root)),
    )  # fmt: skip
    fake_command(folder / "bin", "sudo", SUDO.format(log=folder / "sudo.log"))
    _install(device, tiny_model(folder / "old.tflite"))
    with _Listener() as listener:
        listener.config = _configured(folder, keys, device, listener.port)
        threading.Thread(target=listener.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield Remote(listener.port, folder, keys, device)
        finally:
            listener.shutdown()


def _install(device: Device, model: Path) -> None:
    layout = device.layout
    for file, text in ((layout.unit, ""), (layout.config, QUICK)):
        file.parent.mkdir(parents=True)
        file.write_text(text)
    old = device.store.add(model.read_bytes())
    device.store.use(old)
    device.set(active="active", sub="running", pid=100, loaded=old, state="running")


@pytest.fixture
def new(tmp_path: Path) -> Path:
    """Another model, in a file whose name wants care, larger than a small disk."""
    path = tiny_model(tmp_path / "it's new.tflite")
    with zipfile.ZipFile(path, "a") as texts:
        texts.writestr("note.md", os.urandom(1 << 18))
    return path


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Another configuration."""
    path = tmp_path / "new.toml"
    path.write_text(QUICK + "top-k = 2\n")
    return path


HOST = f"{getpass.getuser()}@127.0.0.1"


def _told(done: Result, host: str) -> str:
    """What was said of a device."""
    (line,) = [line for line in done.output.splitlines() if f"{host}  " in line]
    return line.partition(f"{host}  ")[2].strip()


def _hosts(folder: Path, *lines: str) -> Path:
    path = folder / "hosts.txt"
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def test_a_model_reaches_the_device_and_runs(remote: Remote, new: Path) -> None:
    done = remote.push("-p", str(remote.port), HOST, new)
    assert done.exit_code == 0, (done.output, done.exception)
    assert remote.device.store.current == sha(new)
    assert remote.device.state["loaded"] == sha(new)
    assert _told(done, HOST).startswith(f"done    model {sha(new)[:12]} answers")
    # The whole of the log: while sudo worked, nothing of the model had a name.
    assert remote.sudo == [f"-n {remote.folder / 'bin/edgekit'} service upgrade -"]
    assert remote.left == []


def test_a_model_that_fails_is_taken_back_and_told_of(remote: Remote, new: Path) -> None:
    remote.device.behaves(new, "crashes")
    done = remote.push(remote.host, new)
    assert str(done.exception) == f"{remote.host} does not run it (rolled-back)"
    told = f"failed  rolled-back: model {sha(new)[:12]} was rolled back: the service ended"
    assert _told(done, remote.host).startswith(told)
    assert remote.device.store.current != sha(new)
    assert remote.left == []


@contextmanager
def _mute() -> Iterator[int]:
    """Somebody who takes a connection and says nothing; gives the port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@contextmanager
def _full(folder: Path) -> Iterator[None]:
    """A disk of 4 kB in the place of a folder."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs to mount a small disk")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@NEEDS_SSH_KEYGEN
def test_of_many_devices_it_says_which_have_trouble_and_why(
    fleet: Callable[[str], Remote], new: Path, tmp_path: Path
) -> None:
    good, keeps, full, worn, other, older, strict, bare = map(
        fleet, ("good", "keeps", "full", "worn", "other", "older", "strict", "bare")
    )
    keeps.device.behaves(new, "refused")
    # The card of another machine: there is no such Python.
    other.program("edgekit", "#!/opt/edgekit/bin/python3.9\n")
    other.program("uname", "#!/bin/sh\necho armv6l\n")
    older.program(
        "edgekit",
        """\
#!/bin/sh
[ "$1" != --version ] || exec echo edgekit, version 0.0.9
echo "Error: Invalid value for 'MODEL': File '-' does not exist." >&2
exit 2
""",
    )
    strict.device.layout.config.write_text(
        "allowed-signers = '/etc/edgekit/allowed_signers'\n" + QUICK
    )
    KeyPair.make(tmp_path).allowed(strict.device.layout.allowed_signers)
    (bare.folder / "bin/edgekit").unlink()
    models = worn.device.layout.state / "models"
    names = {"good": good.host, "keeps": keeps.host, "full": full.host, "worn": worn.host,
             "other": other.host, "older": older.host, "strict": strict.host, "bare": bare.host,
             "gone": "ssh://pi@127.0.0.1:1", "nobody": "somebody@nowhere.invalid"}  # fmt: skip
    with _full(full.folder / "tmp"), _mute() as port:
        names["mute"] = f"ssh://pi@127.0.0.1:{port}"
        shutil.copytree(models, tmp_path / "models")
        with _full(models):
            for file in (tmp_path / "models").iterdir():
                shutil.copy(file, models)
            file = _hosts(
                tmp_path, "# all of them", "", *(f"  {one}  # x" for one in names.values())
            )
            done = good.push("-o", "ConnectTimeout=3", "--json", "--hosts", file, new)
            assert list(models.iterdir()) == [models / f"{worn.device.store.current}.tflite"]
        assert full.left == []
    assert done.exit_code == 1
    report = json.loads(done.stdout)
    assert {key: report[key] for key in ("brought", "sha256", "done", "failed", "not_tried")} == {
        "brought": "model", "sha256": sha(new), "done": 1, "failed": 10, "not_tried": 0,
    }  # fmt: skip
    # In the order in which they are named.
    assert [one["host"] for one in report["hosts"]] == list(names.values())
    found = dict(zip(names, report["hosts"], strict=True))
    expected = {
        "good": (None, f"model {sha(new)[:12]} answers"),
        "keeps": ("rolled-back", "the service refuses it: no good"),
        "full": ("full", "cat: write error: No space left on device"),
        "worn": ("full", "No space left on device"),
        "other": ("broken", "edgekit there does not run, on armv6l: "),
        "older": ("version", "edgekit 0.0.9 is too old for this (Invalid value for 'MODEL'"),
        "strict": ("signature", "is not signed; `edgekit sign MODEL KEY` signs it"),
        "bare": ("absent", "there is no /opt/edgekit/bin/edgekit; install edgekit-device there"),
        "gone": ("away", "ssh: connect to host 127.0.0.1 port 1: Connection refused"),
        "nobody": ("away", "ssh: Could not resolve hostname nowhere.invalid"),
        "mute": ("slow", "ssh: Connection to 127.0.0.1 port"),
    }
    for name, (reason, words) in expected.items():
        row = found[name]
        assert (row["reason"], words in row["message"]) == (reason, True), row
        assert row["outcome"] == ("failed" if reason else "done")
    for name, one in (("good", good), ("keeps", keeps), ("strict", strict)):
        ran = (found[name]["model_before"], found[name]["model_after"])
        assert ran == (one.old, sha(new) if one is good else one.old)
    assert (found["good"]["version"], found["other"]["machine"]) == (__version__, "armv6l")
    # For people, on stderr: the same, and at the end who has which trouble.
    assert f"full: {full.host}, {worn.host}\n" in done.stderr
    for one in (keeps, worn, strict):
        assert one.device.store.current == one.old
        assert one.left == []


def test_a_canary_that_fails_keeps_the_others_from_being_tried(
    fleet: Callable[[str], Remote], new: Path, tmp_path: Path
) -> None:
    canary, other = fleet("canary"), fleet("other")
    canary.device.behaves(new, "stalls")
    file = _hosts(tmp_path, canary.host, other.host)
    stop = ("--batch", "1", "--stop-after-failures", "1")
    done = canary.push(*stop, "--hosts", file, new)
    assert (
        str(done.exception) == "not every device runs it (rolled-back: 1, not tried: 1); see above"
    )
    assert done.output.splitlines()[-1] == f"not tried: {other.host}"
    assert other.sudo == []
    assert canary.device.state["loaded"] != sha(new)


def test_a_configuration_reaches_the_device_and_holds(remote: Remote, config: Path) -> None:
    done = remote.push("--json", "--config", config, remote.host)
    assert done.exit_code == 0, (done.output, done.exception)
    report = json.loads(done.stdout)
    assert (report["brought"], report["sha256"]) == ("configuration", sha(config))
    (one,) = report["hosts"]
    assert one["message"].startswith(f"configuration {sha(config)[:12]} works; the one before is")
    assert one["model_before"] == one["model_after"] == remote.device.store.current
    assert remote.device.layout.config.read_text() == config.read_text()
    assert remote.sudo == [f"-n {remote.folder / 'bin/edgekit'} service configure -"]
    assert remote.left == []


def test_a_configuration_that_a_service_does_not_do_well_with_is_taken_back(
    fleet: Callable[[str], Remote], config: Path
) -> None:
    good, bad, older = fleet("good"), fleet("bad"), fleet("older")
    bad.device.behaves(config, "away")
    (older.folder / "bin/edgekit").rename(older.folder / "bin/today")
    older.program(
        "edgekit",
        """\
#!/bin/sh
[ "$2" != configure ] || { echo "Error: No such command 'configure'." >&2; exit 2; }
exec today "$@"
""",
    )
    done = good.push("--config", config, good.host, bad.host, older.host)
    assert done.exit_code == 1
    assert "rolled-back: configuration" in _told(done, bad.host)
    assert "mqtt: connection refused; the one before works again" in _told(done, bad.host)
    assert f"version: edgekit {__version__} is too old for this (No such" in _told(done, older.host)
    for one, text in ((good, config.read_text()), (bad, QUICK), (older, QUICK)):
        assert one.device.layout.config.read_text() == text
        assert one.left == []


def _start(remote: Remote, *arguments: str | Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "edgekit", "push", *remote.options, *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def _wait_for(what: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 60
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _held(remote: Remote) -> tuple[Path, Path]:
    """A device whose sudo waits: what is there once it has begun, and what lets it go on."""
    begun, go = remote.folder / "begun", remote.folder / "go"
    remote.program(
        "sudo",
        f"""\
#!/bin/sh
touch '{begun}'
while ! [ -e '{go}' ]; do sleep 0.1; done
shift
exec "$@"
""",
    )
    return begun, go


def test_ctrl_c_lets_what_has_begun_come_to_its_end(
    fleet: Callable[[str], Remote], new: Path
) -> None:
    first, second = fleet("first"), fleet("second")
    begun, go = _held(first)
    with _start(first, "--batch", "1", first.host, second.host, new) as process:
        _wait_for(begun.exists)
        # As a terminal sends it: to the whole group.
        os.killpg(process.pid, signal.SIGINT)
        assert process.stdout is not None
        said = ""
        while "no further device" not in said:
            said = process.stdout.readline()
            assert said
        go.touch()
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"done    model {sha(new)[:12]} answers" in output
    assert output.splitlines()[-1] == f"not tried: {second.host}"
    assert errors == "edgekit: interrupted\n"
    assert first.device.store.current == sha(new)
    assert second.sudo == []


def test_one_that_is_left_to_itself_comes_to_its_end(remote: Remote, new: Path) -> None:
    begun, go = _held(remote)
    with _start(remote, remote.host, new) as process:
        _wait_for(begun.exists)
        process.kill()
    go.touch()
    _wait_for(lambda: remote.device.store.current == sha(new))
    _wait_for(lambda: remote.device.store.pending is None)
    assert remote.device.state["loaded"] == sha(new)
    assert remote.left == []


def test_a_key_that_the_device_does_not_know(remote: Remote, new: Path) -> None:
    _key(remote.keys / "stranger")
    (remote.keys / "stranger").replace(remote.keys / "user")
    done = remote.push(remote.host, new)
    assert "failed  access: ssh: " in done.output
    assert "Permission denied (publickey" in done.output
    assert "; ssh-copy-id brings your key there" in done.output
    assert remote.sudo == []


def test_a_device_whose_key_is_not_known_or_is_another(remote: Remote, new: Path) -> None:
    known = remote.keys / "known_hosts"
    ours = known.read_text()
    known.unlink()
    done = remote.push("-o", "StrictHostKeyChecking=ask", remote.host, new)
    assert "access: ssh: Host key verification failed.; nobody has been there" in done.output
    other = (_key(remote.keys / "other").parent / "other.pub").read_text()
    known.write_text(f"{ours.split()[0]} {other}")
    done = remote.push(remote.host, new)
    assert "access: ssh: Host key verification failed.; is it another machine" in done.output
    assert remote.sudo == []


def test_a_model_that_arrives_damaged_is_not_used(
    remote: Remote, new: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_content", lambda file: file.path.read_bytes()[:-1])
    done = remote.push(remote.host, new)
    assert _told(done, remote.host) == "failed  damaged: it arrived damaged; try again"
    assert remote.sudo == []
    assert remote.left == []


def test_two_pushes_at_once_are_one_after_the_other(
    remote: Remote, new: Path, config: Path
) -> None:
    with locked(remote.device.layout.lock) as ours:
        assert ours
        for words in ((remote.host, new), ("--config", config, remote.host)):
            done = remote.push(*words)
            assert "failed  busy: another change of the models is at work; wait" in done.output
    assert remote.device.store.current == remote.old
    assert remote.device.layout.config.read_text() == QUICK


def test_sudo_that_asks_for_a_password(remote: Remote, new: Path) -> None:
    text = "#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n"
    remote.program("sudo", text)
    done = remote.push(remote.host, new)
    assert (
        "failed  access: sudo: a password is required; let the user run edgekit without"
        in done.output
    )


def test_a_device_that_cannot_say_how_it_is_as_json(remote: Remote, new: Path) -> None:
    (remote.folder / "bin/edgekit").rename(remote.folder / "bin/today")
    older = '#!/bin/sh\nfor word; do [ $word != --json ] || exit 2; done\nexec today "$@"\n'
    remote.program("edgekit", older)
    done = remote.push(remote.host, new)
    assert done.exit_code == 0, (done.output, done.exception)
    assert f"{remote.host}  done    model {sha(new)[:12]} answers; " in done.output
    assert "edgekit there is too old for `service status --json`; update" in done.output


def test_edgekit_may_lie_anywhere_on_the_device(remote: Remote, new: Path) -> None:
    there = remote.folder / "else where"
    there.mkdir()
    (remote.folder / "bin/edgekit").rename(there / "edgekit")
    # Not found on PATH, and there is none in /opt/edgekit that would work on this folder.
    done = remote.push("--edgekit", there / "edgekit", remote.host, new)
    assert done.exit_code == 0, done.output
    assert remote.device.store.current == sha(new)


def test_a_device_that_hangs_costs_its_time_and_no_more(remote: Remote, new: Path) -> None:
    hang = remote.folder / "hang"
    hang.touch()
    remote.program("sudo", f"#!/bin/sh\nwhile [ -e '{hang}' ]; do sleep 0.1; done\n")
    done = remote.push("--timeout", "5", remote.host, new)
    hang.unlink()
    assert "failed  slow: no end within 5 s; a change that has begun there" in done.output
