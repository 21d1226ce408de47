"""Files and networks of the libraries of docs/trainers.md, as these libraries write them.

They are installed by `make trainers` in an environment of their own, which takes minutes; what they
write is also in tables in tests/convert/weights/, so that every run of the suite reads it.
"""

import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT

TRAINERS = ROOT / "build" / "trainers"


@pytest.mark.parametrize("library", ["timm", "transformers", "fastai", "lightning"])
def test_its_files_load_and_its_example_runs(library: str, tmp_path: Path) -> None:
    if not (TRAINERS / ".ready").is_file():
        pytest.skip("the trainers' libraries are not installed: make trainers")
    script = ROOT / "tests" / "integration" / "trainers.py"
    done = subprocess.run(
        [TRAINERS / "bin" / "python", script, library],
        cwd=tmp_path,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
