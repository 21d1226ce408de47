"""A device in a folder: its files, its models, and a stand-in for systemctl."""

import json
import os
import stat
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from edgekit_device import runtime_choice
from edgekit_device.health import installed_commit
from edgekit_device.service import configure, environment, probation, verify
from edgekit_device.service.layout import COMMAND, UNIT, Layout, packaged
from edgekit_device.service.store import Store
from edgekit_device.trial_protocol import Report

from edgekit import __version__
from tests.device.service.fake_clock import FakeClock
from tests.tiny import tiny_model

# A model is judged after a few looks at the service.
QUICK = "source = 'test:'\nhealth = {stall-after = 1}\nrecovery = {inference-timeout = 1}\n"
# Seconds of the fake clock that it has for that.
TIMEOUT = 5.0
Model = Callable[[str], Path]


def sha(path: Path) -> str:
    """Hash of a file."""
    return sha256(path.read_bytes()).hexdigest()


@dataclass
class Device:
    """The stand-in's state, and where it acts.

    Attributes:
        layout: paths below a folder.
        file: the stand-in's state.
        said: lines that commands told.
    """

    layout: Layout
    file: Path
    said: list[str]

    @property
    def store(self) -> Store:
        """The models."""
        return Store(self.layout.state)

    @property
    def state(self) -> dict[str, Any]:
        """The service's state."""
        state: dict[str, Any] = json.loads(self.file.read_text())
        return state

    def set(self, **fields: Any) -> None:
        """Change the service's state."""
        self.file.write_text(json.dumps(self.state | fields))

    def behaves(self, model: Path, how: str) -> None:
        """Let the service fare so with a model: good, refused, crashes, stalls, pauses, hangs,
        aborts or ignored. With a configuration: good, refused, crashes, stalls, pauses, away,
        unread or late."""
        self.set(behaviour=self.state["behaviour"] | {sha(model): how})

    @property
    def calls(self) -> list[str]:
        """What systemctl was told to do."""
        calls: list[str] = self.state["calls"]
        return calls


@pytest.fixture
def model(tmp_path: Path) -> Model:
    """Makes models that work and differ."""

    def make(name: str) -> Path:
        folder = tmp_path / "models"
        folder.mkdir(exist_ok=True)
        path = folder / f"{name}.tflite"
        if path.exists():
            return path
        tiny_model(path)
        with zipfile.ZipFile(path, "a") as texts:
            texts.writestr("note.md", name)
        return path

    return make


def fake_command(folder: Path, name: str, text: str) -> Path:
    """Put an executable script in a folder."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def make_device(folder: Path) -> Device:
    """A device below a folder, whose systemctl lies in `bin` there."""
    layout = Layout(folder / "root")
    (layout.root / "etc").mkdir(parents=True)
    groups = layout.root / "etc/group"
    groups.write_text("root:x:0:\nvideo:x:44:\nplugdev:x:46:\nedgekit-config:x:990:\n")
    program = Path(__file__).with_name("fake_systemctl.py").read_text()
    fake_command(folder / "bin", "systemctl", f"#!{sys.executable} -SE\n{program}")
    fake_command(folder / "bin", "groupdel", f'#!/bin/sh\nsed -i "/^$1:/d" {groups}\n')
    file = folder / "systemd.json"
    file.write_text(json.dumps({
        "link": str(layout.state / "model.tflite"), "unit": str(layout.unit),
        "runtime": str(layout.runtime), "config": str(layout.config), "now": 1000.0, "reloads": 0,
        "active": "inactive", "sub": "dead", "pid": 0, "next_pid": 100, "restarts": 0,
        "result": "success", "exit": 0, "fed": 1, "loaded": "", "state": "", "problems": {},
        "follows": "", "read": None, "late": 0, "code": "",
        "version": __version__, "commit": installed_commit(),
        "installed": [__version__, installed_commit()],
        "refused_model": None, "silent": False, "drift": None, "behaviour": {}, "calls": [],
    }))  # fmt: skip
    return Device(layout, file, [])


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Device:
    """A device on which nothing is installed."""
    device = make_device(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_SYSTEMD", str(device.file))
    # The unit starts this environment, as if it were the one in /opt/edgekit.
    monkeypatch.setattr(environment, "_here", lambda: COMMAND)
    for module in (probation, configure):
        monkeypatch.setattr(module, "time", FakeClock(device.file))
    monkeypatch.setattr(probation, "TIMEOUT", TIMEOUT)
    monkeypatch.setattr(configure, "PATIENCE", 2.0)
    # There is nothing to choose, and nothing to measure.
    monkeypatch.setattr(verify, "installed_versions", lambda: {"litert": "2.1.0"})
    return device


def two_runtimes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two runtimes are installed, of which tflite is faster; returns those that models are tried
    with.
    """
    tried: list[str] = []

    def try_model(*given: Any, **_: Any) -> Report:
        runtime = given[-1].runtime
        tried.append(runtime)
        return Report(answer_ms={"litert": 63.1, "tflite": 4.8}.get(runtime))

    versions = {"litert": "2.1.0", "tflite": "2.14.0"}
    for module in (verify, runtime_choice):
        monkeypatch.setattr(module, "installed_versions", lambda: versions)
        monkeypatch.setattr(module, "try_model", try_model)
    return tried


@pytest.fixture
def running(device: Device, model: Model) -> Device:
    """A device that runs the model `old`."""
    layout = device.layout
    layout.unit.parent.mkdir(parents=True)
    layout.unit.write_bytes(packaged(UNIT))
    layout.config.parent.mkdir()
    layout.config.write_text(QUICK)
    old = device.store.add(model("old").read_bytes())
    device.store.use(old)
    device.set(active="active", sub="running", pid=100, loaded=old, state="running")
    return device
