"""A model answers once in a process of its own before anything depends on it."""

import sys
from pathlib import Path

import pytest
from edgekit_device.config.settings import Settings
from edgekit_device.service.verify import verify

from edgekit.errors import ModelFileError
from tests.device.service.conftest import Model, fake_command, sha
from tests.tiny import tiny_model


def test_a_model_that_answers(model: Model) -> None:
    assert verify(model("a"), Settings()).sha256 == sha(model("a"))


def test_a_model_and_its_labels_may_be_named_from_the_current_folder(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = model("a").parent
    monkeypatch.chdir(folder)
    (folder / "labels.txt").write_text("red\ngreen\nblue\n")
    verify(Path("a.tflite"), Settings(labels=Path("labels.txt")))


def test_labels_that_do_not_fit(model: Model, tmp_path: Path) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("one\n")
    with pytest.raises(ModelFileError, match=r"gives no answer: .*labels.txt"):
        verify(model("a"), Settings(labels=labels))


def test_a_model_is_tried_with_what_the_settings_say_of_it(tmp_path: Path) -> None:
    logits = tiny_model(tmp_path / "l.tflite", logits=True)
    with pytest.raises(ModelFileError, match=r"gives no answer: .*answers no probabilities"):
        verify(logits, Settings())
    verify(logits, Settings(softmax=True))


def test_nothing_is_imported_from_the_current_folder(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may stand in a folder that somebody else may write to."""
    planted = "from pathlib import Path\nPath(__file__).with_name('run').touch()\n"
    for name in ("msgspec.py", "numpy.py", "cv2.py"):
        (tmp_path / name).write_text(planted)
    monkeypatch.chdir(tmp_path)
    verify(model("a"), Settings())
    assert not (tmp_path / "run").exists()


def test_a_model_that_crashes_the_runtime_is_refused(
    model: Model, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    crash = fake_command(tmp_path / "bin", "python", "#!/bin/sh\nkill -SEGV $$\n")
    monkeypatch.setattr(sys, "executable", str(crash))
    with pytest.raises(ModelFileError, match=r"crashes the TFLite runtime \(SIGSEGV\)"):
        verify(model("a"), Settings())


def test_a_model_for_an_accelerator_is_left_to_the_service(
    model: Model, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
    verify(model("a"), Settings(delegate="edgetpu"))
