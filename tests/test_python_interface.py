"""What a program reaches from `edgekit` and `edgekit_convert`: all of it, typed, and documented."""

import inspect
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import edgekit_convert
import pytest

import edgekit
from edgekit import errors

ROOT = Path(__file__).parents[1]
PACKAGES = (edgekit, edgekit_convert)

PROGRAM = """
from typing import Any, assert_type

import edgekit_convert as ek
import numpy as np
import torch

import edgekit


def show(title: str, done: int, total: int | None) -> None: ...


def main(model: torch.nn.Module, frame: np.ndarray[Any, np.dtype[np.uint8]]) -> None:
    try:
        result = ek.convert(model, size=224, calibration="photos/", classes=["a"], progress=show)
    except ek.FidelityError as error:
        assert_type(error.report, Any)
        raise
    except edgekit.EdgekitError:
        raise
    assert_type(result, ek.Conversion)
    assert_type(result.report, ek.Report)
    assert_type(result.notes, list[str])
    assert_type(result.save("door.tflite"), ek.Report)
    with edgekit.Classifier("door.tflite", labels=["a"]) as classifier:
        answer = classifier(frame, bgr=True)
    assert_type(answer, edgekit.Answer)
    assert_type(answer.label, str)
    assert_type(answer.score, float)
    assert_type(edgekit.evaluate("door.tflite", "held-out/").notes, list[str])
    edgekit.inspect("door.tflite")["sha256"].upper()
"""


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_what_is_exported_is_there(package: ModuleType) -> None:
    assert package.__all__ == sorted(package.__all__)
    assert set(package.__all__) <= set(dir(package))
    for name in package.__all__:
        assert getattr(package, name) is not None


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_what_is_not_exported_is_not_there(package: ModuleType) -> None:
    with pytest.raises(AttributeError, match=f"module '{package.__name__}' has no attribute 'no'"):
        _ = package.no


def test_every_exception_is_reached_from_the_package() -> None:
    tree = {
        name
        for name, one in vars(errors).items()
        if inspect.isclass(one) and issubclass(one, errors.EdgekitError)
    }
    assert tree <= set(edgekit.__all__)


def test_a_program_sees_the_types(tmp_path: Path) -> None:
    """As mypy --strict does, on a program of somebody else's."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    # The settings of `make check`, whose cache they share.
    command = [sys.executable, "-m", "mypy", "--config-file", "pyproject.toml", str(program)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("Success"), done.stdout + done.stderr
