"""The Python that `make` takes."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAKE = shutil.which("make")
pytestmark = pytest.mark.skipif(MAKE is None, reason="make is not installed")

REFUSES = "exit 127"  # as pyenv's names do for versions that are not chosen


def _answers(version: str) -> str:
    """A shell script that judges the condition as a Python of some version would."""
    numbers = tuple(map(int, version.split(".")))
    return f"""exec {sys.executable} -c "import sys; sys.version_info = {numbers}; $2" """


def _make(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    assert MAKE is not None
    return subprocess.run(
        [MAKE, "--no-print-directory", *arguments], cwd=ROOT, text=True, check=False,
        capture_output=True, env={"PATH": str(folder)},
    )  # fmt: skip


def _taken(folder: Path, pythons: dict[str, str]) -> str:
    for name, script in pythons.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    done = _make(folder, "--eval", "taken: ; @echo $(PYTHON);", "taken")
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("pythons", "taken"),
    [
        ({"python3": "3.11", "python3.13": "3.13"}, "python3"),
        ({"python3": "3.13"}, "python3"),
        ({"python3": "3.10", "python3.11": "3.11", "python3.12": "3.12"}, "python3.12"),
        ({"python3": "3.14", "python3.13": "3.13"}, "python3.13"),
        ({"python3": REFUSES, "python3.13": REFUSES, "python3.11": "3.11"}, "python3.11"),
        ({"python3": "3.9"}, ""),
    ],
)
def test_python3_where_it_fits_else_the_newest(
    tmp_path: Path, pythons: dict[str, str], taken: str
) -> None:
    scripts = {name: what if what == REFUSES else _answers(what) for name, what in pythons.items()}
    assert _taken(tmp_path, scripts) == taken


def test_without_one_it_says_what_to_do(tmp_path: Path) -> None:
    done = _make(tmp_path, f"VENV={tmp_path / 'none'}", str(tmp_path / "none" / ".ready"))
    assert done.returncode != 0
    assert "edgekit needs Python 3.11, 3.12 or 3.13" in done.stderr
    assert "make PYTHON=" in done.stderr
