"""Stages of a roll-out: the playbook's own, with a real Ansible, on eight hosts of this machine.

Each has its own /opt, /run and /var/lib, and a stand-in for `edgekit` there, which exchanges models
and answers at once: what is tried here is which hosts are changed, and when no more are.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.ansible.playbooks import ROOT, Controller, Outcome, needs_ansible
from tests.device.service.conftest import sha
from tests.tiny import own_model

_HOSTS = ("canary", *(f"camera{number}" for number in range(1, 8)))
_ENTER = """\
#!/bin/sh
exec unshare --mount sh -c '
for place in opt run var/lib; do mount --bind "$0/$place" "/$place" || exit 1; done
exec /bin/sh "$@"' "{folder}" "$@"
"""
# It spoils what /opt/spoiled names.
_EDGEKIT = """\
#!/bin/sh
state=/var/lib/edgekit
use() { ln -sfn "models/$1.tflite" $state/model.tflite; }
current=$(basename "$(readlink $state/model.tflite)" .tflite)
case "$1 $2" in
"service status")
    problems='{}'
    [ "$current" = "$(cat /opt/spoiled)" ] && problems='{"mqtt": "the broker is away"}'
    printf '{"unit": {"active": "active", "pid": 1}, "daemon": {"problems": %s, "health": {
        "state": "running", "model_sha256": "%s", "frames": %s, "ts": "%s", "problems": []}}}' \\
        "$problems" "$current" "$(date +%s%N)" "$(date +%s%N)" ;;
"service upgrade")
    new=$(sha256sum "$3" | cut -d ' ' -f 1)
    [ "$3" -ef "$state/models/$new.tflite" ] || cp "$3" "$state/models/$new.tflite"
    ln -sfn "models/$current.tflite" $state/previous.tflite
    use "$new" ;;
"service use") use "$3" ;;
"doctor --json") echo '{"diagnoses": []}' ;;
*) exit 2 ;;
esac
"""


def _can_mount() -> bool:
    if os.geteuid() != 0 or not shutil.which("unshare"):
        return False
    command = ["unshare", "--mount", "mount", "--bind", "/tmp", "/opt"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


class Fleet:
    """Eight hosts that run a model."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.old = own_model(folder / "old.tflite", ("old", "green", "blue"))
        self.new = own_model(folder / "new.tflite", ("new", "green", "blue"))
        groups: dict[str, dict[str, object]] = {"edgekit_canary": {}, "edgekit_cameras": {}}
        for host in _HOSTS:
            self._make(folder / host)
            group = "edgekit_canary" if host == "canary" else "edgekit_cameras"
            groups[group][host] = {
                "ansible_connection": "local", "ansible_become": False,
                "ansible_shell_executable": str(folder / host / "enter"),
                "ansible_python_interpreter": sys.executable,
            }  # fmt: skip
        children = {name: {"hosts": hosts} for name, hosts in groups.items()}
        self._controller = Controller(folder, {"edgekit": {"children": children}}, {
            "edgekit_command": str(ROOT / ".venv" / "bin" / "edgekit"),
            "edgekit_model": str(self.new), "edgekit_stages": ["50%", "25%"],
            "edgekit_watch_seconds": 1, "edgekit_watch_interval": 1,
        })  # fmt: skip

    def _make(self, host: Path) -> None:
        models = host / "var/lib/edgekit/models"
        site = host / "opt/edgekit/lib/python3.11/site-packages/edgekit_device-0.1.0.dist-info"
        for path in (models, site, host / "opt/edgekit/bin", host / "run/systemd/system"):
            path.mkdir(parents=True)
        stored = models / f"{sha(self.old)}.tflite"
        stored.hardlink_to(self.old)
        (models.parent / "model.tflite").symlink_to(f"models/{stored.name}")
        (host / "opt/spoiled").touch()
        for path, text in ((host / "enter", _ENTER.format(folder=host)),
                           (host / "opt/edgekit/bin/edgekit", _EDGEKIT)):  # fmt: skip
            path.write_text(text)
            path.chmod(0o755)

    def give(self, host: str, **variables: Any) -> None:
        """Give a host other variables in the inventory."""
        for group in self._controller.inventory["edgekit"]["children"].values():
            if host in group["hosts"]:
                group["hosts"][host] |= variables

    def roll_out(self, *spoiling: str, words: tuple[str, ...] = (), **more: Any) -> Outcome:
        """Roll the new model out, which does no good to some hosts.

        Args:
            spoiling: which.
            words: options.
            more: variables.
        """
        for host in _HOSTS:
            (self.folder / host / "opt/spoiled").write_text(
                sha(self.new) if host in spoiling else ""
            )
        return self._controller.play("rollout", *words, **more)

    @property
    def changed(self) -> set[str]:
        """The hosts that run the new model."""
        links = {host: self.folder / host / "var/lib/edgekit/model.tflite" for host in _HOSTS}
        return {host for host, link in links.items() if link.readlink().stem == sha(self.new)}


pytestmark = [
    needs_ansible,
    pytest.mark.skipif(not _can_mount(), reason="only root can give each host its own folders"),
]


def test_stages_in_percent_stop_where_too_many_fail(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path)

    # Of eight, half are four and a quarter are two, which holds for what follows. One of four that
    # fails is a quarter, and not more; one of two is.
    done = fleet.roll_out("camera3", "camera6", edgekit_max_fail_percentage=25)
    assert done.code == 2, done.said
    assert done.failed == {"camera3", "camera6"}
    stages = re.findall("- ([0-9] of [0-9]) devices of this stage are done", done.words)
    assert stages == ["1 of 1", "3 of 4", "1 of 2"]
    for host in ("camera3", "camera6"):
        assert f"{host} FAILED: mqtt: the broker is away; model {sha(fleet.old)[:12]}" in done.words
    # Those beside one that fails are done to their ends; behind a stage that failed, none begins.
    assert "1 still to come: camera7" in done.words
    assert fleet.changed == {*_HOSTS} - {"camera3", "camera6", "camera7"}


def test_a_rollout_without_canaries_is_told_or_refused(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path)
    # It is refused, because systemd does not run there.
    (tmp_path / "canary/run/systemd/system").rmdir()
    two = ("--limit", "canary,camera1")
    done = fleet.roll_out(words=two, edgekit_skip_refused=True)
    assert done.code == 2
    assert "all devices of edgekit_canary are refused, so that none would go first" in done.words
    assert fleet.changed == set()

    done = fleet.roll_out(words=("--limit", "camera1", "--check"))
    assert done.code == 0, done.said
    left_out = (
        "--limit leaves out the canaries, canary, and none goes first: the stages begin at once"
    )
    assert left_out in done.words
    assert (done.changed, fleet.changed) == ({"camera1": 1}, set())


def test_a_wrong_clock_and_a_second_name_are_refused(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path)
    shift = "import time\nright = time.time\ntime.time = lambda: right() + 3 * 86400\n"
    (tmp_path / "sitecustomize.py").write_text(shift)
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={tmp_path} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    fleet.give("camera2", ansible_python_interpreter=str(python))
    fleet.give("camera3", ansible_shell_executable=str(tmp_path / "camera4" / "enter"))
    done = fleet.roll_out(words=("--limit", "canary,camera2,camera3,camera4"))
    assert done.code == 2
    assert "3 of 4 devices refused, and nothing was changed" in done.words
    for said in ("camera2 its clock is 3 days ahead of this machine's",
                 "camera3 it is the same device as camera4",
                 "camera4 it is the same device as camera3"):  # fmt: skip
        assert said in done.words
    assert fleet.changed == set()
