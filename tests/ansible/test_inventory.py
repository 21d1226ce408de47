"""Devices that are not what they seem: one with two names, or a disk that keeps nothing."""

from pathlib import Path
from typing import Any

import pytest

from tests.ansible.plugins import FACTS, INVENTORY

ROOT = "/dev/root / ext4 rw,noatime 0 0\n"


def looked(same_as: str) -> dict[str, Any]:
    return {"edgekit_looked": {"ansible_facts": {"edgekit_device": {"same_as": same_as}}}}


def test_a_device_with_two_names_is_refused_under_both() -> None:
    away = {"edgekit_looked": {"unreachable": True}}
    hosts = {"porch": looked("one"), "gate": looked("two"), "porch.lan": looked("one"),
             "shed": away, "barn": away, "new": {}}  # fmt: skip
    # Two that are away are alike in nothing that is known.
    assert INVENTORY.edgekit_twins(hosts, list(hosts)) == {
        "porch": ["it is the same device as porch.lan: leave it in the inventory once"],
        "porch.lan": ["it is the same device as porch: leave it in the inventory once"],
    }


@pytest.mark.parametrize(
    ("canaries", "hosts", "said"),
    [
        (["porch"], ["porch", "gate"], ""),
        ([], ["porch", "gate"],
         "no device of this run is in the group edgekit_canary: the stages begin at once, with 50% "
         "of 2"),
        (["porch", "shed"], ["gate"],
         "--limit leaves out the canaries, porch, shed, and none goes first: the stages begin at "
         "once, with 50% of 1"),
    ],
)  # fmt: skip
def test_a_run_in_which_no_canary_goes_first_says_so(
    canaries: list[str], hosts: list[str], said: str
) -> None:
    assert INVENTORY.edgekit_without_canaries(canaries, hosts, ["50%"]) == said


def test_this_machine_may_be_in_the_inventory() -> None:
    local = {"ansible_connection": "local"}
    assert INVENTORY.edgekit_not_this_machine(["porch"], {}) == []
    assert INVENTORY.edgekit_not_this_machine(["porch", "127.0.0.1"], local) == []


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1"])
def test_a_device_may_not_be_called_as_this_machine_is(name: str) -> None:
    # It may be a port that leads elsewhere.
    (why,) = INVENTORY.edgekit_not_this_machine(["porch", name], {"ansible_host": "::1"})
    assert why == (
        f"the inventory calls a device {name}, which Ansible takes for this machine: give it "
        "another name, with this one as its ansible_host; or say ansible_connection=local of it"
    )


@pytest.mark.parametrize(
    ("mounts", "boot", "unwritable"),
    [
        (ROOT, "console=tty1 root=/dev/mmcblk0p2", []),
        (f"{ROOT}tmpfs /run tmpfs rw 0 0\ntmpfs /var/log tmpfs rw 0 0\n", "", []),
        ("/dev/root / ext4 ro,noatime 0 0\n", "", ["/etc", "/opt", "/var/lib"]),
        (f"{ROOT}/dev/sda1 /opt ext4 ro 0 0\n", "", ["/opt"]),
        # On a disk of its own, this one stays.
        ("/dev/root / ext4 ro 0 0\n/dev/sda1 /var ext4 rw 0 0\n", "", ["/etc", "/opt"]),
        (f"{ROOT}tmpfs /var/lib tmpfs rw 0 0\n", "", ["/var/lib"]),
        # A container's.
        ("overlay / overlay rw,lowerdir=/a,upperdir=/b 0 0\n", "quiet", []),
        ("overlayroot / overlay rw,upperdir=/media/root-rw/overlay 0 0\n",
         "overlayroot=tmpfs console=tty1", ["/etc", "/opt", "/var/lib"]),
        ("overlay / overlay rw,upperdir=/upper/data 0 0\n", "boot=overlay console=tty1",
         ["/etc", "/opt", "/var/lib"]),
        ("overlayroot / overlay rw 0 0\n", "overlayroot=device:dev=/dev/sda1", []),
        ("", "", []),
    ],
)  # fmt: skip
def test_folders_that_keep_nothing_are_found(mounts: str, boot: str, unwritable: list[str]) -> None:
    assert list(FACTS.unwritable(mounts, boot)) == unwritable


def test_the_words_say_whether_it_is_the_card_or_memory() -> None:
    card = FACTS.unwritable("/dev/root / ext4 ro 0 0\n", "")
    assert card["/opt"] == "is mounted read-only"
    memory = FACTS.unwritable(f"{ROOT}tmpfs /opt tmpfs rw 0 0\n", "")
    assert memory["/opt"] == "lies in memory, and is lost at the next start"


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A device with a model, and a stand-in for its edgekit."""
    monkeypatch.setattr(FACTS, "STATE", tmp_path)
    (tmp_path / "model.tflite").touch()
    (tmp_path / "bin").mkdir()
    return tmp_path


def _answer(state: Path, script: str) -> None:
    command = state / "bin" / "edgekit"
    command.write_text(f"#!/bin/sh\n{script}\n")
    command.chmod(0o755)


def test_a_model_whose_signer_is_to_go_is_told(state: Path) -> None:
    _answer(state, 'echo "edgekit: signed by A, for which $4 does not vouch" >&2; exit 1')
    why = FACTS.model_refused(state, "alice ssh-ed25519 AAAA\n")
    assert why == "signed by A, for which edgekit_allowed_signers does not vouch"
    _answer(state, 'grep -q alice "$4"')
    assert FACTS.model_refused(state, "alice ssh-ed25519 AAAA\n") == ""
    _answer(state, "exit 3")
    assert FACTS.model_refused(state, "alice ssh-ed25519 AAAA\n") == "it cannot be checked"


def test_without_signers_a_model_or_edgekit_there_is_nothing_to_check(state: Path) -> None:
    # No edgekit yet.
    assert FACTS.model_refused(state, "alice ssh-ed25519 AAAA\n") == ""
    _answer(state, "exit 1")
    assert FACTS.model_refused(state, "") == ""
    (state / "model.tflite").unlink()
    assert FACTS.model_refused(state, "alice ssh-ed25519 AAAA\n") == ""
