"""`edgekit push` over the system's ssh, to a real sshd on this machine.

Behind sshd lies a device in a folder: `edgekit` there is the real command, told to work on that
folder, with a stand-in for systemctl (`tests/device/service/fake_systemctl.py`). `sudo` is a
stand-in, too, which notes what it is asked and does it.
"""

import getpass
import os
import shutil
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result
from edgekit_device.service import push as module
from edgekit_device.service.push import push

from tests.device.service.conftest import QUICK, Device, fake_command, make_device, sha
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
from edgekit_device.service import cli, probation
from edgekit_device.service.layout import Layout
from tests.device.service.fake_clock import FakeClock
probation.time = FakeClock(Path(os.environ["FAKE_SYSTEMD"]))
cli.Layout = lambda: Layout(Path({layout!r}))
# Not from the entry points, which are those of the last installation.
command._Commands.get_command = lambda *_: cli.service
command.main()
"""
SUDO = """\
#!/bin/sh
printf "%s\\n" "$*" >> {log}
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
        folder: holds its keys, its programs and the device.
        device: what its service does.
    """

    port: int
    folder: Path
    device: Device

    @property
    def host(self) -> str:
        """As ssh takes it."""
        return f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}"

    def push(self, *arguments: str | Path) -> Result:
        """Run `edgekit push`, knowing the device's key."""
        known = f"UserKnownHostsFile={self.folder / 'known_hosts'}"
        command = ["-i", self.folder / "user", "-o", known,
                   "-o", "IdentitiesOnly=yes", *arguments]  # fmt: skip
        return CliRunner().invoke(push, [*map(str, command)])

    @property
    def sudo(self) -> list[str]:
        """What sudo was asked to do."""
        log = self.folder / "sudo.log"
        return log.read_text().splitlines() if log.exists() else []


def _configured(folder: Path, device: Device, port: int) -> Path:
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    (folder / "user.pub").rename(folder / "authorized_keys")
    host_key = (folder / "host.pub").read_text()
    (folder / "known_hosts").write_text(
        "".join(f"[{name}]:{port} {host_key}" for name in ("127.0.0.1", "localhost"))
    )
    config = folder / "sshd_config"
    config.write_text(
        f"HostKey {folder / 'host'}\nUsePAM no\nStrictModes no\nPidFile none\n"
        f"AuthorizedKeysFile {folder / 'authorized_keys'}\n"
        "PermitRootLogin prohibit-password\nPasswordAuthentication no\n"
        f'SetEnv "PATH={path}" FAKE_SYSTEMD={device.file}\n'
    )
    return config


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[Remote]:
    """A device that runs the model `old`, behind an sshd of its own."""
    with _serve(tmp_path) as remote:
        yield remote


@contextmanager
def _serve(tmp_path: Path) -> Iterator[Remote]:
    if SSHD is None or shutil.which("ssh") is None:
        pytest.skip("needs ssh and sshd (apt install openssh-server)")
    device = make_device(tmp_path)
    fake_command(
        tmp_path / "bin", "edgekit",
        EDGEKIT.format(python=sys.executable, root=str(ROOT), layout=str(device.layout.root)),
    )  # fmt: skip
    fake_command(tmp_path / "bin", "sudo", SUDO.format(log=tmp_path / "sudo.log"))
    _install(device, tiny_model(tmp_path / "old.tflite"))
    _key(tmp_path / "host")
    _key(tmp_path / "user")
    if os.geteuid() == 0:
        # Where it changes its root to; Debian's own service makes it at its start.
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    with _Listener() as listener:
        listener.config = _configured(tmp_path, device, listener.port)
        threading.Thread(target=listener.serve_forever, daemon=True).start()
        try:
            yield Remote(listener.port, tmp_path, device)
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
    """Another model, in a file whose name wants care."""
    path = tiny_model(tmp_path / "it's new.tflite")
    path.write_bytes(path.read_bytes() + b"\n")
    return path


HOST = f"{getpass.getuser()}@127.0.0.1"


def _temporary() -> set[Path]:
    return set(Path("/var/tmp").glob("edgekit.*"))


def test_a_model_reaches_the_device_and_runs(remote: Remote, new: Path) -> None:
    before = _temporary()
    done = remote.push("-p", str(remote.port), HOST, new)
    assert done.exit_code == 0, (done.output, done.exception)
    assert remote.device.store.current == sha(new)
    assert remote.device.state["loaded"] == sha(new)
    assert f"{HOST}  done    model {sha(new)[:12]} answers" in done.output
    (asked,) = remote.sudo
    assert asked == f"-n {remote.folder / 'bin/edgekit'} service upgrade -"
    assert _temporary() == before


def test_a_model_that_fails_is_taken_back_and_told_of(remote: Remote, new: Path) -> None:
    before = _temporary()
    remote.device.behaves(new, "crashes")
    done = remote.push(remote.host, new)
    assert str(done.exception) == f"not upgraded: {remote.host}"
    assert (
        f"{remote.host}  failed  model {sha(new)[:12]} was rolled back: the service ended"
        in done.output
    )
    assert remote.device.store.current != sha(new)
    assert _temporary() == before


def test_many_devices_of_which_one_keeps_its_model_and_one_is_away(
    remote: Remote, new: Path, tmp_path: Path
) -> None:
    (tmp_path / "second").mkdir()
    with _serve(tmp_path / "second") as second:
        for name in ("authorized_keys", "known_hosts"):
            with (
                (second.folder / name).open("a") as theirs,
                (remote.folder / name).open("a") as ours,
            ):
                common = (remote.folder / name).read_text()
                ours.write((second.folder / name).read_text())
                theirs.write(common)
        second.device.behaves(new, "refused")
        absent = "somebody@nowhere.invalid"
        done = remote.push(remote.host, second.host, absent, remote.host, new)
        assert str(done.exception) == f"not upgraded: {absent}, {second.host}"
        lines = dict(line.split(maxsplit=1) for line in done.output.splitlines())
        assert lines[remote.host].startswith(f"done    model {sha(new)[:12]} answers")
        assert "the service refuses it: no good" in lines[second.host]
        assert lines[absent].startswith("failed  ssh: Could not resolve hostname")
        assert done.output.splitlines()[-1] == f"1 of 3 run model {sha(new)[:12]}"
        assert remote.device.store.current == sha(new)
        assert second.device.store.current != sha(new)


def test_a_key_that_the_device_does_not_know(remote: Remote, new: Path) -> None:
    _key(remote.folder / "stranger")
    (remote.folder / "stranger").replace(remote.folder / "user")
    done = remote.push(remote.host, new)
    assert "Permission denied (publickey" in done.output
    assert remote.sudo == []


def test_a_model_that_arrives_damaged_is_not_used(
    remote: Remote, new: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_content", lambda file: file.path.read_bytes()[:-1])
    before = _temporary()
    done = remote.push(remote.host, new)
    assert f"{remote.host}  failed  the model arrived damaged" in done.output
    assert remote.sudo == []
    assert _temporary() == before


def test_sudo_that_asks_for_a_password(remote: Remote, new: Path) -> None:
    text = "#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n"
    fake_command(remote.folder / "bin", "sudo", text)
    done = remote.push(remote.host, new)
    assert "sudo: a password is required; let the user run edgekit without" in done.output


def test_a_device_that_cannot_say_how_it_is_as_json(remote: Remote, new: Path) -> None:
    (remote.folder / "bin/edgekit").rename(remote.folder / "bin/today")
    older = '#!/bin/sh\nfor word; do [ $word != --json ] || exit 2; done\nexec today "$@"\n'
    fake_command(remote.folder / "bin", "edgekit", older)
    done = remote.push(remote.host, new)
    assert done.exit_code == 0, (done.output, done.exception)
    assert f"{remote.host}  done    model {sha(new)[:12]} answers; " in done.output
    assert "edgekit there is too old for `service status --json`; update" in done.output


@pytest.mark.parametrize(
    ("health", "done", "told"),
    [
        ({"state": "running"}, True, "said"),
        ({"state": "degraded", "problems": ["camera: gone"]}, True,
         "said; the service is degraded · camera: gone"),
        ({"state": "stalled"}, False, "said; the service is stalled"),
        ({"model_sha256": "fedc" * 16}, False, "said; but now the service runs model fedcfedcfedc"),
        (None, False, "said; but now the service does not run"),
    ],
)  # fmt: skip
def test_what_counts_is_how_the_service_is_afterwards(
    health: dict[str, object] | None, done: bool, told: str
) -> None:
    sha256 = "0123" * 16
    whole = {"state": "running", "model_sha256": sha256, "problems": [], "later": "version"}
    status = {"unit": {}} | ({} if health is None else {"daemon": {"health": whole | health}})
    outcome = module._judge("pi", "said", msgspec.json.encode(status), sha256)
    assert (outcome.done, outcome.text) == (done, told)


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
    fake_command(
        remote.folder / "bin", "sudo", f"#!/bin/sh\nwhile [ -e '{hang}' ]; do sleep 0.1; done\n"
    )
    done = remote.push("--timeout", "3", remote.host, new)
    hang.unlink()
    assert f"{remote.host}  failed  no end within 3 s" in done.output


def test_a_bad_model_goes_nowhere(tmp_path: Path) -> None:
    bad = tmp_path / "bad.tflite"
    bad.write_text("no model")
    done = CliRunner().invoke(push, [HOST, str(bad)])
    assert "is not a usable model" in str(done.exception)


def test_an_option_is_no_host(new: Path) -> None:
    done = CliRunner().invoke(push, ["--", "-oProxyCommand=touch /tmp/x", str(new)])
    assert done.exit_code == 2
    assert "is not a host" in done.output


def test_without_ssh(new: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    done = CliRunner().invoke(push, [HOST, str(new)])
    assert "there is no ssh here; install an OpenSSH client" in done.output
