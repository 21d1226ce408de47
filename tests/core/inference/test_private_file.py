"""A model's bytes in a nameless file."""

import contextlib
import os
from pathlib import Path

import numpy as np
import pytest

from edgekit.inference import private_file as private_file_module
from edgekit.inference.classifier import Classifier
from edgekit.inference.private_file import private_file
from edgekit.inference.runtimes import installed_runtimes
from tests.tiny import SIZE, tiny_model


def test_the_copy_is_whole_and_has_no_name() -> None:
    content = os.urandom(3_000_000)
    with private_file(content) as path:
        if path is None:
            pytest.skip("this system has no nameless files in /var/tmp")
        assert Path(path).read_bytes() == content
        assert "(deleted)" in str(Path(path).readlink())
    assert not Path(path).exists()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux")
def test_nothing_stays_open() -> None:
    with private_file(b"x" * 10_000) as path:
        if path is None:
            pytest.skip("this system has no nameless files in /var/tmp")
        target = str(Path(path).readlink())
    assert target not in _open_files()


def _open_files() -> set[str]:
    """What the descriptors of this process stand for; other threads may close some meanwhile."""
    files = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            files.add(str(descriptor.readlink()))
    return files


def test_without_such_files_there_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(private_file_module, "_FOLDER", str(tmp_path / "nowhere"))
    with private_file(b"x") as path:
        assert path is None


@pytest.mark.parametrize("runtime", installed_runtimes())
@pytest.mark.parametrize("possible", [True, False])
def test_answers_are_the_same_either_way(
    runtime: str, possible: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_model(tmp_path / "tiny.tflite")
    if not possible:
        monkeypatch.setattr(private_file_module, "_FOLDER", str(tmp_path / "nowhere"))
    classifier = Classifier.open(model, runtime=runtime)
    # The user's file may be written over: the interpreter has a copy of its own.
    model.write_bytes(b"")
    frame = np.zeros((SIZE, SIZE, 3), np.uint8)
    frame[..., 1] = 255
    assert classifier.label(int(classifier.classify(frame).argmax())) == "green"
