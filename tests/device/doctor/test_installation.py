"""The service's units, its control by clients and what it keeps, on broken devices."""

import json
import os
import sys
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from edgekit_device.doctor.cli import doctor
from edgekit_device.doctor.device import Device
from edgekit_device.doctor.diagnosis import Diagnosis
from edgekit_device.doctor.installation import check_control, check_kept, check_units
from edgekit_device.doctor.service import check_service, daemon_of
from edgekit_device.service.layout import UNITS, Layout, packaged
from edgekit_device.service.state import ServiceState
from edgekit_device.service.systemctl import Unit

from tests.device.doctor.broken_pi import BrokenPi


@pytest.fixture
def pi(tmp_path: Path) -> BrokenPi:
    """A device whose service is installed, and waits for requests."""
    pi = BrokenPi(tmp_path)
    for name in UNITS:
        pi.write(f"etc/systemd/system/{name}", packaged(name).decode())
    pi.program("systemctl", "exit 0")
    return pi


def _device(pi: BrokenPi) -> Device:
    return Device(root=pi.root)


def _configure(pi: BrokenPi, text: str) -> None:
    pi.write("etc/edgekit/edgekit.toml", text)


def _one(found: list[Diagnosis]) -> tuple[str, str]:
    (diagnosis,) = found
    return diagnosis.level, diagnosis.text


def test_units_of_another_edgekit_are_told(pi: BrokenPi) -> None:
    assert _one(list(check_units(_device(pi))))[0] == "ok"
    pi.write("etc/systemd/system/edgekit.service", "[Service]\n")
    level, text = _one(list(check_units(_device(pi))))
    assert (level, text) == ("warning", "of another edgekit: edgekit.service")
    # As an earlier edgekit has left the device.
    (pi.root / "etc/systemd/system/edgekit-control.path").unlink()
    (diagnosis,) = check_units(_device(pi))
    assert diagnosis.text == "missing: edgekit-control.path"
    assert diagnosis.remedy == (
        "sudo edgekit service install --model /var/lib/edgekit/model.tflite"
    )
    (pi.root / "etc/systemd/system/edgekit.service").unlink()
    assert list(check_units(_device(pi))) == []


HTTP = "http = {listen = '127.0.0.1:80'}\n"


@pytest.mark.parametrize(
    ("text", "level", "said"),
    [
        (f"control = {{http = true}}\n{HTTP}", "problem", "without a token"),
        ("control = {mqtt = true}\nmqtt = {host = 'b', user = 'u'}\n", "ok", "over MQTT"),
    ],
)
def test_control_without_knowing_by_whom_is_a_problem(
    pi: BrokenPi, text: str, level: str, said: str
) -> None:
    _configure(pi, text)
    found = _one(list(check_control(_device(pi))))
    assert found[0] == level
    assert said in found[1]


def test_control_that_nobody_hears_is_told(pi: BrokenPi) -> None:
    _configure(pi, f"control = {{http = true}}\n{HTTP}")
    pi.write("etc/credstore/edgekit.http-token", "x" * 30)
    assert _one(list(check_control(_device(pi)))) == ("ok", "over HTTP")
    pi.program("systemctl", "exit 3")
    assert "edgekit-control.path does not run" in _one(list(check_control(_device(pi))))[1]
    _configure(pi, "")
    assert list(check_control(_device(pi))) == []


def test_a_history_that_the_service_cannot_write_is_a_problem(pi: BrokenPi) -> None:
    _configure(pi, "history = {folder = '/srv/history'}\n")
    level, text = _one(list(check_kept(_device(pi))))
    assert level == "problem"
    assert "the service cannot keep its history in /srv/history" in text
    _configure(pi, "history = {folder = '/var/lib/edgekit-data/history'}\n")
    assert _one(list(check_kept(_device(pi)))) == ("ok", "nothing is kept yet")
    file = pi.root / "var/lib/edgekit-data/history/a"
    file.parent.mkdir(parents=True)
    file.write_bytes(bytes(3_000_000))
    (file.parent / "link").symlink_to("/usr")
    level, text = _one(list(check_kept(_device(pi))))
    assert (level, text) == ("ok", f"3 of 500 MB in {file.parent}")
    if os.geteuid() == 0:
        os.chown(file.parent, 4711, 4711)
        level, text = _one(list(check_kept(_device(pi))))
        assert level == "problem"
        assert "belongs to another account" in text


def test_clips_are_counted(pi: BrokenPi) -> None:
    clips = Layout(pi.root).data / "clips"
    clips.mkdir(parents=True)
    (clips / "a.clip").write_bytes(bytes(2_000_000))
    assert _one(list(check_kept(_device(pi)))) == ("ok", f"2 MB in {clips}")


def test_the_health_is_under_the_key_that_the_status_of_the_service_has(
    pi: BrokenPi, monkeypatch: pytest.MonkeyPatch
) -> None:
    pi.service("LoadState=loaded", "ActiveState=active", "SubState=running", state="paused")
    monkeypatch.setattr("edgekit_device.doctor.device.Device", lambda: _device(pi))
    found = [Diagnosis("service", "note", "paused")]
    monkeypatch.setattr("edgekit_device.doctor.examination.examine", lambda device: found)
    told = json.loads(CliRunner().invoke(doctor, ["--json"]).output)
    unit = Unit.parse("MainPID=100\n")
    status = ServiceState.join(unit, Layout(pi.root).runtime)
    assert told["daemon"] == json.loads(msgspec.json.encode(status))["daemon"]
    assert told["daemon"]["health"]["state"] == "paused"
    assert told["diagnoses"] == [{"check": "service", "level": "note", "text": "paused"}]
    # Somebody wanted it so: nothing is wrong.
    (diagnosis,) = check_service(_device(pi))
    assert (diagnosis.level, diagnosis.text[:24]) == ("note", "active (running): paused")


def test_without_a_service_there_is_no_health(pi: BrokenPi) -> None:
    assert daemon_of(_device(pi)) is None


def test_a_daemon_of_before_pip_brought_another_edgekit_is_told(pi: BrokenPi) -> None:
    pi.service("LoadState=loaded", "ActiveState=active", "SubState=running", version="0.0.9")
    (diagnosis,) = check_service(_device(pi))
    assert diagnosis.level == "ok"  # The unit starts another environment's.
    pi.write("etc/systemd/system/edgekit.service", f"ExecStart={sys.prefix}/bin/edgekit run\n")
    (diagnosis,) = check_service(_device(pi))
    assert diagnosis.level == "warning"
    assert "still runs edgekit 0.0.9 (unknown commit), where " in diagnosis.text
    assert diagnosis.remedy == (
        "sudo edgekit service install --model /var/lib/edgekit/model.tflite"
    )
