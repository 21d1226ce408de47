"""The playbooks with a real Ansible, on two emulated devices with a real sshd and systemd.

`make test-ansible`, because the root file system takes some minutes to make, and each run up to
two.
"""

import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.ansible import image
from tests.ansible.devices import Device, devices, free_port
from tests.ansible.playbooks import ROOT, Controller, Outcome, needs_ansible
from tests.device.service.conftest import sha
from tests.pi.image import CannotRunError
from tests.tiny import own_model, tiny_model

CACHE = os.environ.get("EDGEKIT_ANSIBLE_CACHE")
MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
pytestmark = [
    needs_ansible,
    pytest.mark.skipif(not CACHE, reason="it takes minutes: make test-ansible"),
    pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed"),
]
EDGEKIT = str(ROOT / ".venv" / "bin" / "edgekit")
SECRET = "correct horse battery staple"


class Quiet(SimpleHTTPRequestHandler):
    """A server of files that tells nobody."""

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@contextmanager
def package_index(wheels: Path, folder: Path) -> Iterator[str]:
    """A package index of these wheels; its address."""
    for wheel in wheels.glob("*.whl"):
        project = folder / wheel.name.split("-")[0].lower().replace("_", "-").replace(".", "-")
        project.mkdir(parents=True, exist_ok=True)
        (project / wheel.name).hardlink_to(wheel)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


class Broker:
    """A mosquitto that can be taken away."""

    def __init__(self) -> None:
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it listens."""
        assert MOSQUITTO is not None
        self._process = subprocess.Popen(
            [MOSQUITTO, "-p", str(self.port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 300
        while self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.1)
        raise AssertionError(f"mosquitto ended with {self._process.returncode}")

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
            self._process = None


class Fleet:
    """Two devices, and who rolls out to them.

    Attributes:
        porch: the canary; it takes everything from the folder of wheels.
        gate: the other; it takes packages from an index, and publishes to a broker.
        controller: Ansible.
        models: by name, signed but for `unsigned`; `compiled` is one that no device here runs.
    """

    def __init__(self, folder: Path, started: list[Device], index: str, broker: Broker) -> None:
        self.porch, self.gate = started
        self.broker = broker
        self._folder = folder
        key = folder / "release"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        signers = folder / "allowed_signers"
        signers.write_text(f"release@example.com {key.with_suffix('.pub').read_text()}")
        self.models = {}
        for name in ("first", "second", "third", "unsigned"):
            self.models[name] = own_model(folder / f"{name}.tflite", (name, "green", "blue"))
        self.models["compiled"] = tiny_model(folder / "compiled.tflite", compiled=True)
        for name in self.models.keys() - {"unsigned"}:
            subprocess.run([EDGEKIT, "sign", str(self.models[name]), str(key)], check=True)
        hosts = {device.name: {"ansible_port": device.port} for device in started}
        hosts["porch"]["edgekit_offline"] = True  # type: ignore[assignment]
        hosts["gate"] |= {
            "edgekit_index_url": index,
            "mqtt": {"host": "127.0.0.1", "port": broker.port},
        }  # type: ignore[dict-item]
        options = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
        inventory = {"edgekit": {
            "vars": {"ansible_host": "127.0.0.1", "ansible_user": image.USER,
                     "ansible_ssh_private_key_file": str(self.porch.key),
                     "ansible_ssh_common_args": options},
            "children": {"edgekit_canary": {"hosts": {"porch": hosts["porch"]}},
                         "edgekit_cameras": {"hosts": {"gate": hosts["gate"]}}},
        }}  # fmt: skip
        self.controller = Controller(folder, inventory, {
            "edgekit_command": EDGEKIT, "edgekit_wheels": str(folder / "wheels"),
            "edgekit_model": str(self.models["first"]), "edgekit_allowed_signers": str(signers),
            "edgekit_watch_seconds": 6, "edgekit_watch_interval": 2,
            "edgekit_credentials": {"mqtt-password": SECRET},
            "edgekit_config": self.config(),
        })  # fmt: skip

    def config(self, **more: Any) -> dict[str, Any]:
        """The configuration of both."""
        return {
            "source": "test:", "name": "{{ inventory_hostname }}", "camera": {"fps": 5},
            "health": {"stall-after": 2, "interval": 1}, "recovery": {"inference-timeout": 2},
            "mqtt": "{{ mqtt | default({}) }}",
        } | more  # fmt: skip

    def play_until(self, task: str, times: int, act: Callable[[], None], **more: Any) -> Outcome:
        """Run a playbook, and let something happen a moment after a task has begun.

        Args:
            task: its name.
            times: the first time it begins, or a later one.
            act: what happens.
            more: `playbook`, and variables.
        """
        begun = 0
        happens = threading.Timer(1.5, act)

        def watch(line: str) -> None:
            nonlocal begun
            begun += f"TASK [edgekit : {task}]" in line
            if begun == times and happens.ident is None:
                happens.start()

        done = self.play(watch=watch, **more)
        assert happens.ident is not None, done.said
        happens.join()
        return done

    def play(self, playbook: str, *words: str, **more: Any) -> Outcome:
        """Run a playbook, and hold that no secret was told."""
        began = time.monotonic()
        done = self.controller.play(playbook, *words, **more)
        print(f"{time.monotonic() - began:6.1f} s  {playbook} {' '.join(words)}: {done.code}")
        (self._folder / "last.log").write_text(done.said)
        assert SECRET not in done.said
        return done

    @contextmanager
    def one_more(self) -> Iterator[None]:
        """A third device in the inventory, which is away."""
        cameras = self.controller.inventory["edgekit"]["children"]["edgekit_cameras"]["hosts"]
        cameras["shed"] = {"ansible_port": free_port()}
        yield
        del cameras["shed"]

    def settle(self, device: Device) -> None:
        """Wait until its service answers again."""
        deadline = time.monotonic() + 300
        status = "sudo /opt/edgekit/bin/edgekit service status --json"
        while '"state": "running"' not in device.ssh(f"{status} || true"):
            assert time.monotonic() < deadline
            time.sleep(1)

    def runs(self, device: Device) -> str:
        """The name of the model that a device runs, and answers with."""
        status = json.loads(device.ssh("/opt/edgekit/bin/edgekit service status --json"))
        sha256 = status["daemon"]["health"]["model_sha256"]
        return next(name for name, path in self.models.items() if sha(path) == sha256)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Two devices with nothing of edgekit."""
    assert CACHE
    cache, folder = Path(CACHE).resolve(), tmp_path_factory.mktemp("controller")
    broker = Broker()
    try:
        root = image.root_filesystem(cache)
        wheels = image.wheels(cache, cache / "fleet-wheels")
        (folder / "wheels").symlink_to(wheels)
        with (
            package_index(wheels, folder / "index") as index,
            devices(root, cache / "work", "porch", "gate") as started,
        ):
            broker.start()
            yield Fleet(folder, started, index, broker)
    except CannotRunError as reason:
        pytest.skip(str(reason))
    finally:
        broker.stop()


def test_from_nothing_to_a_rollout_that_stops(fleet: Fleet) -> None:
    _spoil_apt(fleet)
    _install_what_vanishes(fleet)
    _install(fleet)
    _configure(fleet)
    _refuse(fleet)
    _heed_the_doctor(fleet)
    _roll_out(fleet)
    _stop_at_the_canary(fleet)
    _stop_at_the_second_stage(fleet)
    _take_back(fleet)
    _roll_out_to_what_vanishes(fleet)
    _finish_what_was_cut_short(fleet)
    _tell(fleet)
    _leave_nothing_behind(fleet)


# dpkg loses its power while it unpacks.
_HALF_UNPACK = """\
import glob, os, subprocess
journal, there = "/var/lib/dpkg/updates", ["dpkg-query", "-W", "-f", "${Status}", "python3-pip-whl"]
while "half-installed" not in subprocess.run(there, capture_output=True, text=True).stdout:
    subprocess.run(["dpkg", "--purge", "--force-all", "python3-pip-whl"], capture_output=True)
    dpkg = subprocess.Popen(["dpkg", "--unpack", *glob.glob("/srv/apt/python3-pip-whl*")])
    while dpkg.poll() is None:
        if any("half-installed" in open(f"{journal}/{name}").read() for name in os.listdir(journal)
               if name.isdigit()):
            dpkg.kill()
"""
# Another has apt's locks for some seconds, as its own updates do after the start.
_LOCK_APT = """\
import fcntl, time
files = [open(f"/var/lib/{name}", "w") for name in ("dpkg/lock-frontend", "apt/lists/lock")]
[fcntl.lockf(file, fcntl.LOCK_EX) for file in files]
print("locked", flush=True)
time.sleep(40)
"""


def _spoil_apt(fleet: Fleet) -> None:
    """The one cannot reach its archive; the other was cut short in dpkg, and is at its updates."""
    archive = "/etc/apt/sources.list"
    fleet.gate.ssh(f"sudo cp {archive} {archive}.good; sudo rm -rf /var/lib/apt/lists/*; "
                   f"echo 'deb http://127.0.0.1:1/ ./' | sudo tee {archive}")  # fmt: skip
    done = fleet.play("install", "--limit", "gate")
    assert done.code == 2
    assert "gate FAILED: apt: No package matching" in done.words
    assert "its lists could not be fetched (network, clock, /etc/apt/sources.list): " in done.words
    assert "Could not connect to 127.0.0.1:1" in done.words
    assert fleet.gate.ssh("ls /opt; sudo ls /var/lib | grep edgekit || true") == ""
    fleet.gate.ssh(f"sudo mv {archive}.good {archive}")

    for program, more in ((_HALF_UNPACK, ""), (_LOCK_APT, " > /dev/null 2>&1 &")):
        fleet.porch.ssh(f"sudo python3 -c {shlex.quote(program)}{more}")
    # The installations that follow have to get past both.
    assert "half-installed" in fleet.porch.ssh("dpkg-query -W -f '${Status}' python3-pip-whl")


def _pull_the_cable(device: Device, seconds: float) -> None:
    device.cut(signal.SIGSTOP)
    time.sleep(seconds)
    device.cut(signal.SIGCONT)


def _install_what_vanishes(fleet: Fleet) -> None:
    """First the canary loses its power in the midst of pip, then the other its cable."""
    done = fleet.play("install", "--check", "--diff")
    assert done.code == 0, done.said
    assert all(done.changed.values())
    assert "would be installed, and its service started" in done.words
    for device in (fleet.porch, fleet.gate):
        assert device.ssh("ls /opt; sudo ls /etc/credstore 2> /dev/null || true") == ""

    pip = "Install edgekit and what it needs"
    done = fleet.play_until(pip, 1, fleet.porch.pull_the_plug, playbook="install")
    assert done.code == 2
    assert done.failed == {"porch"}, done.said
    assert "porch FAILED: it went away in the midst of it" in done.words
    assert "1 still to come: gate" in done.words
    fleet.porch.switch_on()
    fleet.porch.wait()
    assert "its packages are half installed" in fleet.play("facts").words

    # ssh would wait for hours by itself; the configuration has it wait a minute.
    cable = partial(_pull_the_cable, fleet.gate, 75)
    done = fleet.play_until(pip, 2, cable, playbook="install")
    assert done.code == 2
    assert done.failed == {"gate"}, done.said
    assert "gate FAILED: it went away in the midst of it" in done.words
    # pip may go on there by itself; while it does, a run would be refused.
    fleet.gate.ssh("sudo flock /run/edgekit.lock true")


def _install(fleet: Fleet) -> None:
    # Nothing of a secret is told, however much else is.
    done = fleet.play("install", "-vvv", "--diff")
    assert done.code == 0, done.said
    for device in (fleet.porch, fleet.gate):
        assert fleet.runs(device) == "first"
        access = (
            "sudo stat -c '%a %U %n' /etc/credstore/edgekit.mqtt-password /etc/edgekit/edgekit.toml"
        )
        assert device.ssh(access).splitlines() == [
            "600 root /etc/credstore/edgekit.mqtt-password", "640 root /etc/edgekit/edgekit.toml",
        ]  # fmt: skip
        assert device.ssh("sudo cat /etc/credstore/edgekit.mqtt-password") == f"{SECRET}\n"
        assert "release@example.com" in device.ssh("cat /etc/edgekit/allowed_signers")
        assert device.ssh("sudo ls /var/lib").count("edgekit-ansible") == 0

    done = fleet.play("install")
    assert done.code == 0, done.said
    assert done.changed == {"porch": 0, "gate": 0}

    # A run that was cut short behind these would have left a service that knows nothing of them.
    fleet.gate.ssh("sudo touch /etc/credstore/edgekit.mqtt-password")
    done = fleet.play("install")
    assert (done.code, done.changed) == (0, {"porch": 0, "gate": 1}), done.said


def _configure(fleet: Fleet) -> None:
    other = fleet.config(**{"top-k": 2})
    done = fleet.play("install", "--check", "--diff", edgekit_config=other)
    assert done.changed == {"porch": 1, "gate": 1}, done.said
    assert "top-k = 2" in done.words
    read = "sudo grep top-k /etc/edgekit/edgekit.toml || true"
    assert fleet.porch.ssh(read) == ""

    fleet.gate.ssh(
        "echo top-k=1 | cat - /etc/edgekit/edgekit.toml | sudo tee /etc/edgekit/edgekit.toml"
    )
    done = fleet.play("install", edgekit_config=other)
    assert done.code == 2
    assert done.changed == {"porch": 0, "gate": 0}
    assert "gate its /etc/edgekit/edgekit.toml was edited there" in done.words
    assert fleet.porch.ssh(read) == ""
    done = fleet.play("install", edgekit_config=other, edgekit_replace_config=True)
    assert done.code == 0, done.said
    assert fleet.porch.ssh(read) == fleet.gate.ssh(read) == "top-k = 2\n"


def _refuse(fleet: Fleet) -> None:
    with fleet.one_more():
        done = fleet.play("rollout", edgekit_model=str(fleet.models["unsigned"]))
    assert done.code == 2
    assert "3 of 3 devices refused, and nothing was changed" in done.words
    for said in (
        "gate it runs signed models alone",
        "porch it runs signed models alone",
        "shed away: ",
    ):
        assert said in done.words
    # Who signed what runs there is to go: it would not run any more.
    others = fleet.controller.folder / "others"
    others.write_text(f"new@example.com {fleet.porch.key.with_suffix('.pub').read_text()}")
    done = fleet.play("install", edgekit_allowed_signers=str(others))
    assert (done.code, done.changed) == (2, {"porch": 0, "gate": 0}), done.said
    for host in ("porch", "gate"):
        assert (
            f"{host} its model would not run any more: /var/lib/edgekit/model.tflite" in done.words
        )
    done = fleet.play("rollout", edgekit_version="9.0", edgekit_architectures=["aarch64"],
                      edgekit_model=str(fleet.models["second"]))  # fmt: skip
    assert done.code == 2
    assert (
        "porch its architecture is x86_64, not aarch64; it has edgekit 0.1.0, not 9.0" in done.words
    )
    assert not any(done.changed.values())
    assert fleet.runs(fleet.porch) == fleet.runs(fleet.gate) == "first"


def _heed_the_doctor(fleet: Fleet) -> None:
    second = {"edgekit_model": str(fleet.models["second"])}
    module = "/usr/lib/python3/dist-packages/picamera2.py"
    # Whoever has a camera module could not use it; the service here has none, and goes on.
    spoil = f"echo 'raise ImportError(\"no libcamera\")' | sudo tee {module}"
    fleet.gate.ssh(spoil)
    done = fleet.play("rollout", **second)
    assert done.code == 2
    assert "1 of 2 devices refused, and nothing was changed" in done.words
    assert "gate edgekit doctor: picamera2: cannot be imported" in done.words
    assert fleet.runs(fleet.porch) == fleet.runs(fleet.gate) == "first"
    done = fleet.play("install")
    assert "gate FAILED: edgekit doctor: picamera2: cannot be imported" in done.words
    done = fleet.play("rollout", "--check", **second, edgekit_doctor_ignore=["picamera2"])
    assert done.changed == {"porch": 1, "gate": 1}, done.said
    fleet.gate.ssh(f"sudo rm {module}")

    break_it = partial(fleet.porch.ssh, spoil)
    done = fleet.play_until("Watch the service", 1, break_it, playbook="rollout", **second)
    assert done.code == 2
    assert "porch FAILED: edgekit doctor: picamera2: cannot be imported" in done.words
    assert f"model {sha(fleet.models['first'])[:12]} runs again" in done.words
    fleet.porch.ssh(f"sudo rm {module}")
    assert fleet.runs(fleet.porch) == fleet.runs(fleet.gate) == "first"


def _roll_out(fleet: Fleet) -> None:
    second = {"edgekit_model": str(fleet.models["second"])}
    done = fleet.play("rollout", "--check", **second)
    assert done.changed == {"porch": 1, "gate": 1}, done.said
    assert fleet.runs(fleet.porch) == "first"

    with fleet.one_more():
        done = fleet.play("rollout", **second, edgekit_skip_refused=True)
    assert done.code == 0, done.said
    assert "1 of 3 devices refused, and nothing was changed" in done.words
    assert "shed away: " in done.words
    # The canary is watched to its end before the other begins.
    order = [done.said.index(line) for line in ("changed: [porch]", "still to come: gate",
                                                "changed: [gate]")]  # fmt: skip
    assert order == sorted(order)
    assert fleet.runs(fleet.porch) == fleet.runs(fleet.gate) == "second"
    done = fleet.play("rollout", **second)
    assert (done.code, done.changed) == (0, {"porch": 0, "gate": 0}), done.said


def _stop_at_the_canary(fleet: Fleet) -> None:
    done = fleet.play("rollout", edgekit_model=str(fleet.models["compiled"]))
    assert done.code == 2
    assert done.failed == {"porch"}
    assert "porch FAILED: Change to the model" in done.words
    assert "1 still to come: gate" in done.words
    assert fleet.runs(fleet.porch) == fleet.runs(fleet.gate) == "second"


def _stop_at_the_second_stage(fleet: Fleet) -> None:
    """The gate's broker goes away while the gate is watched: a problem that it had not before."""

    def watch(line: str) -> None:
        if line.startswith("ok: [gate] => (item=0 s)") or "Watch the service" in line:
            stages.append(line)
        if sum("Watch the service" in stage for stage in stages) == 2:
            fleet.broker.stop()

    stages: list[str] = []
    done = fleet.play("rollout", edgekit_model=str(fleet.models["third"]), watch=watch)
    fleet.broker.start()
    assert done.code == 2
    assert done.failed == {"gate"}, done.said
    assert f"runs model {sha(fleet.models['third'])[:12]}" in done.words
    assert "gate FAILED: mqtt: " in done.words
    assert f"model {sha(fleet.models['second'])[:12]} runs again" in done.words
    assert (fleet.runs(fleet.porch), fleet.runs(fleet.gate)) == ("third", "second")


def _take_back(fleet: Fleet) -> None:
    third = {"edgekit_model": "", "edgekit_model_sha256": sha(fleet.models["third"])[:12]}
    done = fleet.play("rollback", **third)
    assert (done.code, done.changed) == (0, {"porch": 1, "gate": 0}), done.said
    assert fleet.runs(fleet.porch) == fleet.runs(fleet.gate) == "second"
    done = fleet.play("rollback", **third)
    assert (done.code, done.changed) == (0, {"porch": 0, "gate": 0}), done.said


def _roll_out_to_what_vanishes(fleet: Fleet) -> None:
    third = {"playbook": "rollout", "edgekit_model": str(fleet.models["third"])}

    def lose_power() -> None:
        fleet.porch.pull_the_plug()
        fleet.porch.switch_on()

    done = fleet.play_until("Change to the model", 1, lose_power, **third)
    assert done.code == 2
    assert done.failed == {"porch"}, done.said
    assert "porch FAILED: it went away while it changed" in done.words
    assert f"model {sha(fleet.models['second'])[:12]} runs again" in done.words
    assert fleet.runs(fleet.porch) == fleet.runs(fleet.gate) == "second"

    done = fleet.play_until(
        "Watch the service", 2, partial(_pull_the_cable, fleet.gate, 25), **third
    )
    assert done.code == 2
    assert done.failed == {"gate"}, done.said
    assert "gate FAILED: it went away while it was watched" in done.words
    assert f"model {sha(fleet.models['second'])[:12]} runs again" in done.words
    assert (fleet.runs(fleet.porch), fleet.runs(fleet.gate)) == ("third", "second")


def _finish_what_was_cut_short(fleet: Fleet) -> None:
    """A device that stays away keeps the new model, and the next run watches it to the end."""
    third = {"edgekit_model": str(fleet.models["third"])}
    done = fleet.play_until(
        "Watch the service", 1, fleet.gate.pull_the_plug, playbook="rollout", **third
    )
    assert done.code == 2
    assert done.failed == {"gate"}, done.said
    assert "gate FAILED: it went away while it was watched; it is away, and may keep" in done.words
    fleet.gate.switch_on()
    fleet.gate.wait()
    assert "a run was cut short on it" in fleet.play("facts").words
    fleet.settle(fleet.gate)
    done = fleet.play("rollout", "--check", **third)
    assert done.changed == {"porch": 0, "gate": 1}, done.said
    assert "which it runs, would be watched" in done.words
    done = fleet.play("rollout", **third)
    assert (done.code, done.changed) == (0, {"porch": 0, "gate": 0}), done.said
    assert done.words.count("Watch the service") == 1
    done = fleet.play("rollout", **third)
    assert "Watch the service" not in done.words
    assert fleet.runs(fleet.porch) == fleet.runs(fleet.gate) == "third"


def _leave_nothing_behind(fleet: Fleet) -> None:
    for device in (fleet.porch, fleet.gate):
        there = device.ssh("sudo ls -A /var/lib /opt /root ~/.ansible/tmp")
        assert "edgekit-ansible" not in there
        # Not as an argument, which sudo would write into the journal.
        secret = f"echo '{SECRET}' | sudo grep -rlF -f - /home /root /tmp /var /etc || true"
        assert device.ssh(secret) == "/etc/credstore/edgekit.mqtt-password\n"
        assert "unfinished" not in there
        temporary = device.ssh("ls -A /tmp ~/.ansible/tmp").split()
        assert [name for name in temporary if "ansible" in name and name[0] != "/"] == []
    assert list(fleet.controller.folder.glob("tmp/*")) == []


def _tell(fleet: Fleet) -> None:
    report = fleet.controller.folder / "report.json"
    done = fleet.play("facts", edgekit_report=str(report))
    assert done.code == 0, done.said
    told = json.loads(report.read_text())
    assert told.keys() == {"porch", "gate"}
    for device in told.values():
        assert device["model"] == sha(fleet.models["third"])
        assert device["health"]["state"] == "running"
        assert (device["version"], device["signed_alone"]) == ("0.1.0", True)
        assert (device["unfinished"], device["unwell"]) == ([], [])
        assert device["system"]["up_seconds"] > 0
