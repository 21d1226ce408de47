"""How the service is: what systemd knows, and what the daemon says as long as it is its word."""

import os
import stat
from pathlib import Path

import pytest
from edgekit_device.health import Status, read_status, write_status
from edgekit_device.service.state import ServiceState, observe
from edgekit_device.service.systemctl import Unit

from edgekit.errors import EXIT_CODES, ServiceError
from tests.device.service.conftest import Device, Model, fake_command, sha
from tests.device.sinks.samples import make_health

RUNNING = "LoadState=loaded\nActiveState=active\nSubState=running\nMainPID=100\n"


def test_the_daemon_says_what_it_runs(running: Device, model: Model) -> None:
    state = observe(running.layout)
    assert state.answers
    assert state.runs(sha(model("old")))
    assert not state.runs(sha(model("new")))
    assert state.refused_model is None


@pytest.mark.parametrize(
    ("said", "answers"),
    [("starting", False), ("running", True), ("degraded", True), ("stalled", False),
     ("stopping", False)],
)  # fmt: skip
def test_a_state_is_one_in_which_frames_are_answered_or_not(
    running: Device, said: str, answers: bool
) -> None:
    running.set(state=said)
    assert observe(running.layout).answers == answers


def test_what_an_earlier_process_left_does_not_count(tmp_path: Path) -> None:
    write_status(tmp_path, Status(99, make_health(), {}, "no good"))
    state = ServiceState.join(Unit.parse(RUNNING), tmp_path)
    assert state.daemon is state.health is state.refused_model is None
    assert not state.answers
    assert not state.runs("")
    write_status(tmp_path, Status(100, make_health(), {}, "no good"))
    assert ServiceState.join(Unit.parse(RUNNING), tmp_path).refused_model == "no good"


def test_a_status_without_a_process_does_not_count(tmp_path: Path) -> None:
    write_status(tmp_path, Status(0, make_health(), {}))
    stopped = Unit.parse("LoadState=loaded\nActiveState=inactive\nMainPID=0\n")
    assert ServiceState.join(stopped, tmp_path).daemon is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"pid": 100}', b"\xff"])
def test_a_status_that_makes_no_sense_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "status.json").write_bytes(content)
    assert ServiceState.join(Unit.parse(RUNNING), tmp_path).daemon is None


def test_all_may_read_the_status_whatever_the_umask(tmp_path: Path) -> None:
    status = Status(100, make_health(), {"camera": "gone"})
    umask = os.umask(0o077)
    try:
        write_status(tmp_path, status)
    finally:
        os.umask(umask)
    (file,) = tmp_path.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert read_status(tmp_path) == status


def test_systemd_may_say_nothing() -> None:
    unit = Unit.parse("")
    assert (unit.installed, unit.pid, unit.fed, unit.end) == (False, 0, 0.0, "")


@pytest.mark.parametrize(
    ("result", "exit", "words"),
    [
        ("exit-code", 10, "exit code 10, the camera did not come back"),
        ("exit-code", 1, "exit code 1"),
        ("exit-code", 3, "exit code 3"),
        ("signal", 11, "killed by SIGSEGV"),
        ("core-dump", 6, "killed by SIGABRT"),
        ("signal", 99, "killed by signal 99"),
        ("watchdog", 6, "the watchdog: no answers for too long"),
        ("oom-kill", 9, "out of memory"),
        ("timeout", 15, "timeout"),
    ],
)
def test_an_end_is_told_in_words(result: str, exit: int, words: str) -> None:
    assert Unit.parse(f"Result={result}\nExecMainStatus={exit}\n").end == words


@pytest.mark.parametrize("code", [code for code in EXIT_CODES if "run" in code.commands])
def test_each_exit_code_of_the_daemon_has_its_meaning(code: tuple[int, object, str]) -> None:
    end = Unit.parse(f"Result=exit-code\nExecMainStatus={code[0]}\n").end
    assert end == f"exit code {code[0]}, {code[2]}"


def test_systemd_that_does_not_answer(running: Device, tmp_path: Path) -> None:
    script = "#!/bin/sh\necho 'Failed to connect to bus' >&2\nexit 1\n"
    fake_command(tmp_path / "bin", "systemctl", script)
    with pytest.raises(ServiceError, match="systemd does not answer: Failed to connect to bus"):
        observe(running.layout)


def test_root_is_not_kept_or_led_elsewhere_by_what_the_service_may_place(tmp_path: Path) -> None:
    """The runtime directory belongs to the service's account."""
    status, elsewhere = tmp_path / "status.json", tmp_path / "elsewhere"
    write_status(tmp_path, Status(100, make_health(), {}))
    assert read_status(tmp_path) is not None
    status.rename(elsewhere)
    os.mkfifo(status)
    assert read_status(tmp_path) is None
    status.unlink()
    status.symlink_to(elsewhere)
    assert read_status(tmp_path) is None
    status.unlink()
    status.symlink_to("/dev/zero")
    assert read_status(tmp_path) is None
    status.unlink()
    status.mkdir()
    assert read_status(tmp_path) is None
    status.rmdir()
    status.write_bytes(elsewhere.read_bytes() + b" " * (1 << 20))
    assert read_status(tmp_path) is None
    for deep in (b"[" * 100_000, b'{"pid": "\xff"}'):
        status.write_bytes(deep)
        assert read_status(tmp_path) is None
