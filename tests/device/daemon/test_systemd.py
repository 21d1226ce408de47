"""What systemd is told, through a real socket."""

import os
import socket
from pathlib import Path

import pytest
from edgekit_device.daemon.systemd import ServiceManager


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> socket.socket:
    """The end of the socket that systemd would hold."""
    path = tmp_path / "notify"
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    channel.bind(str(path))
    channel.settimeout(5)
    monkeypatch.setenv("NOTIFY_SOCKET", str(path))
    return channel


def test_fields_go_out_in_one_datagram(manager: socket.socket) -> None:
    with manager:
        ServiceManager().send(READY=1, STATUS="running · 12 fps")
        assert manager.recv(1000).decode() == "READY=1\nSTATUS=running · 12 fps"


def test_a_line_break_begins_no_other_field(manager: socket.socket) -> None:
    with manager:
        ServiceManager().send(STATUS="camera: no\nREADY=1\r\nSTOPPING=1")
        assert manager.recv(1000).decode() == "STATUS=camera: no READY=1 STOPPING=1"


def test_a_manager_that_is_gone_is_no_trouble(manager: socket.socket) -> None:
    service_manager = ServiceManager()
    manager.close()
    service_manager.send(WATCHDOG=1)


def test_an_abstract_address(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"edgekit-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(f"\0{name}")
        channel.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
        ServiceManager().send(WATCHDOG=1)
        assert channel.recv(100) == b"WATCHDOG=1"


def test_without_a_manager_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    service_manager = ServiceManager()
    service_manager.send(READY=1)
    assert service_manager.watchdog is None


def test_the_watchdog_is_ours_only_when_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    assert ServiceManager().watchdog == 30.0
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert ServiceManager().watchdog is None
