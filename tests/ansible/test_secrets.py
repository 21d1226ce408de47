"""Secrets on their way to a device: a real Ansible writes them to one place, and no other."""

import json
import stat
import sys
from pathlib import Path

import pytest

from tests.ansible.playbooks import FOLDER, Controller, Outcome, needs_ansible

pytestmark = needs_ansible
_SECRET = "correct horse battery staple"
_PLAYBOOK = f"""\
- hosts: edgekit
  gather_facts: false
  tasks:
    # As the role itself tells of what fails.
    - block:
        - ansible.builtin.import_role:
            name: {FOLDER}/roles/edgekit
            tasks_from: credentials
      rescue:
        - ansible.builtin.fail:
            msg: "{{{{ ansible_failed_result.msg }}}}"
"""
# Runs every command, and looks first for the secret wherever Ansible has files.
_SHELL = """\
#!/bin/sh
grep --recursive --files-with-matches '{secret}' '{home}' >> '{found}'
exec /bin/sh "$@"
"""


class Device:
    """This machine, whose every command is watched."""

    def __init__(self, folder: Path) -> None:
        self.store = folder / "credstore"
        self.found = folder / "found"
        home, shell = folder / "home", folder / "shell"
        home.mkdir()
        self.found.touch()
        shell.write_text(_SHELL.format(secret=_SECRET, home=home, found=self.found))
        shell.chmod(0o755)
        (folder / "credentials.yml").write_text(_PLAYBOOK)
        host = {
            "ansible_connection": "local", "ansible_shell_executable": str(shell),
            "ansible_python_interpreter": sys.executable, "ansible_remote_tmp": str(home / "there"),
            # Somebody may run it without the configuration that lies beside the playbooks.
            "ansible_pipelining": False,
        }  # fmt: skip
        self._controller = Controller(home, {"edgekit": {"hosts": {"porch": host}}}, {
            "edgekit_credstore": str(self.store),
        })  # fmt: skip
        self._playbook = folder / "credentials"

    def write(self, *words: str, **credentials: object) -> Outcome:
        """Let Ansible write credentials; what is given to it on this machine does not count."""
        given = self.store.parent / "given.json"
        given.write_text(json.dumps({"edgekit_credentials": credentials}))
        return self._controller.play(str(self._playbook), "-vvv", "-e", f"@{given}", *words)


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(tmp_path)


def test_a_secret_is_written_to_its_place_and_to_no_other(device: Device) -> None:
    done = device.write("--check", "--diff", password=_SECRET)
    assert done.changed == {"porch": 1}, done.said
    assert not device.store.exists()

    done = device.write("--diff", password=_SECRET)
    assert (done.code, done.changed) == (0, {"porch": 1}), done.said
    assert _SECRET not in done.said
    path = device.store / "edgekit.password"
    assert path.read_text() == f"{_SECRET}\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(device.store.stat().st_mode) == 0o700
    # However it is cut short, there is nothing to be left anywhere.
    assert device.found.read_text() == ""

    before = path.stat().st_ino
    assert device.write(password=_SECRET).changed == {"porch": 0}
    assert path.stat().st_ino == before


def test_what_others_could_read_or_a_link_leads_to_is_replaced(device: Device) -> None:
    device.store.mkdir()
    secret = f"{_SECRET}\n"
    for name in ("password", "token"):
        (device.store / f"edgekit.{name}").write_text(secret)
    (device.store / "edgekit.password").chmod(0o644)
    elsewhere = device.store.parent / "elsewhere"
    (device.store / "edgekit.token").rename(elsewhere)
    elsewhere.chmod(0o600)
    (device.store / "edgekit.token").symlink_to(elsewhere)
    # A run that lost its power has left this.
    (device.store / ".edgekit.token.partial").write_text("correct ho")
    done = device.write(password=_SECRET, token=_SECRET)
    assert done.changed == {"porch": 1}, done.said
    for path in device.store.iterdir():
        assert (path.is_symlink(), path.stat().st_mode & 0o777, path.read_text()) == (
            False, 0o600, secret,
        )  # fmt: skip
    assert sorted(path.name for path in device.store.iterdir()) == [
        "edgekit.password", "edgekit.token",
    ]  # fmt: skip


def test_a_folder_that_cannot_be_made_is_told_without_the_secret(device: Device) -> None:
    device.store.write_text("no folder")
    done = device.write(password=_SECRET)
    assert done.code == 2
    assert f"cannot write the credentials: [Errno 17] File exists: '{device.store}'" in done.words
    assert _SECRET not in done.said
    assert device.store.read_text() == "no folder"
