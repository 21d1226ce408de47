"""What a device's packages ask for: one OpenCV on every machine, the right one on a board."""

import runpy
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import setuptools
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]


def _asked(monkeypatch: pytest.MonkeyPatch, system: str, machine: str) -> list[str]:
    """Names of the distributions that edgekit-device asks for on a machine."""
    given: dict[str, Any] = {}
    monkeypatch.setattr(setuptools, "setup", lambda **arguments: given.update(arguments))
    # Imported anew, from beside the file, and only for it.
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "shared_setup", raising=False)
    runpy.run_path(str(ROOT / "device/setup.py"))
    monkeypatch.delitem(sys.modules, "shared_setup")
    environment = {"platform_system": system, "platform_machine": machine}
    asked = map(Requirement, given["install_requires"])
    return [one.name for one in asked if one.marker is None or one.marker.evaluate(environment)]


def _opencv(monkeypatch: pytest.MonkeyPatch, system: str, machine: str) -> list[str]:
    """Those of OpenCV."""
    return [name for name in _asked(monkeypatch, system, machine) if "opencv" in name]


def test_a_board_gets_opencv_without_a_desktop(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _opencv(monkeypatch, "Linux", "aarch64") == ["opencv-python-headless"]


@pytest.mark.parametrize("machine", ["armv7l", "armv6l", "armv8l"])
def test_a_board_of_32_bits_takes_opencv_from_the_system(
    machine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The package index has no wheel of it for them.
    assert _opencv(monkeypatch, "Linux", machine) == []


@pytest.mark.parametrize(
    ("system", "machine"),
    [("Linux", "x86_64"), ("Darwin", "arm64"), ("Darwin", "x86_64"), ("Windows", "AMD64"),
     ("Windows", "ARM64")],
)  # fmt: skip
def test_a_workstation_gets_the_opencv_that_the_converter_brings(
    system: str, machine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # onnx2tf pins opencv-python: a second one would write the same folder.
    assert _opencv(monkeypatch, system, machine) == ["opencv-python"]


@pytest.mark.parametrize(
    ("system", "machine", "bits"),
    [("Linux", "aarch64", 64), ("Linux", "x86_64", 64), ("Darwin", "arm64", 64),
     ("Windows", "AMD64", 64), ("Linux", "armv7l", 32), ("Linux", "armv8l", 32)],
)  # fmt: skip
def test_each_machine_gets_the_runtime_that_has_a_wheel_there(
    system: str, machine: str, bits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = _asked(monkeypatch, system, machine)
    assert ("ai-edge-litert" in asked) == (bits == 64)
    assert ("tflite-runtime" in asked) == (bits == 32)


@pytest.mark.parametrize(
    ("machine", "taken", "refused"),
    [("aarch64", "2.2.6", "1.24.2"), ("armv7l", "1.24.2", "2.2.6")],
)
def test_numpy_is_as_old_as_debian_12_has_it_on_32_bits(
    machine: str, taken: str, refused: str
) -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    asked = map(Requirement, tomllib.loads(text)["project"]["dependencies"])
    (numpy,) = (
        one for one in asked if one.name == "numpy"
        if one.marker and one.marker.evaluate({"platform_machine": machine})
    )  # fmt: skip
    # Its predecessor of LiteRT was built with NumPy 1.
    assert taken in numpy.specifier
    assert refused not in numpy.specifier


def test_what_all_share_asks_for_none() -> None:
    assert "opencv" not in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
