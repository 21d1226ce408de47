"""The converter in an environment of a newer Python: `python -m tests.integration.newer_python`.

It takes minutes to install, so that who runs the suite may begin before it.
"""

import subprocess
import sys
from pathlib import Path

from release.clean import find_python

ROOT = Path(__file__).parents[2]
# The newest that is found is tried. From 3.12 on onnx2tf is another, without TensorFlow.
NEWER = ("3.13", "3.12")
_FOLDER = ROOT / "build" / "newer-python"
_DECIDING = ("constraints.txt", "pyproject.toml", "convert/pyproject.toml", "convert/setup.py")


def newer_python() -> str | None:
    """A Python whose tools are newer than this one's; None where there is none."""
    if sys.version_info >= (3, 12):
        return None
    return next(filter(None, map(find_python, NEWER)), None)


def command_of(python: str) -> Path:
    """Its `edgekit`, in an environment that is made on first use and kept in build/."""
    stamp = _FOLDER / "installed.txt"
    wanted = python + "".join((ROOT / name).read_text() for name in _DECIDING)
    if not stamp.is_file() or stamp.read_text() != wanted:
        install = ["-m", "pip", "install", "--quiet", "--constraint", "constraints.txt"]
        for command in (
            [python, "-m", "venv", "--clear", str(_FOLDER)],
            [str(_FOLDER / "bin" / "python"), *install, "-e", ".", "-e", "./convert[torch]"],
        ):
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
        stamp.write_text(wanted)
    return _FOLDER / "bin" / "edgekit"


if __name__ == "__main__":
    if (found := newer_python()) is not None:
        command_of(found)
