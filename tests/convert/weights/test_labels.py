"""Where class names come from."""

from pathlib import Path

import numpy as np
import pytest
from edgekit_convert.answers import Answers
from edgekit_convert.weights.labels import class_names
from edgekit_convert.weights.trained import TrainedModel

from edgekit.errors import LabelsError


def _model(labels: list[str] | None = None) -> TrainedModel:
    return TrainedModel(
        stage="onnx", name="x.onnx", sha256="", architecture=None, head="", classes=2,
        parameters=0, labels=labels, network=None,
        answer=lambda pictures: Answers.of_logits(np.zeros((len(pictures), 2), np.float32)),
    )  # fmt: skip


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Evaluation pictures of two classes."""
    for name in ("dog", "cat"):
        (tmp_path / "evaluation" / name).mkdir(parents=True)
    (tmp_path / "evaluation" / "readme.txt").touch()
    return tmp_path / "evaluation"


def test_a_file_decides(folders: Path, tmp_path: Path) -> None:
    file = tmp_path / "names.txt"
    file.write_text("one\ntwo\n")
    assert class_names(_model(["three", "four"]), file, folders) == ["one", "two"]


def test_published_weights_know_their_names(folders: Path) -> None:
    assert class_names(_model(["three", "four"]), None, folders) == ["three", "four"]


def test_otherwise_the_folders_of_the_evaluation_name_them(folders: Path) -> None:
    assert class_names(_model(), None, folders) == ["cat", "dog"]


def test_folders_in_another_number_do_not(folders: Path) -> None:
    (folders / "cow").mkdir()
    with pytest.raises(LabelsError, match="2 classes and no names for them; pass --classes FILE"):
        class_names(_model(), None, folders)


def test_without_any_names_it_is_said_how_to_give_them() -> None:
    with pytest.raises(LabelsError, match="pass --classes FILE"):
        class_names(_model(), None, None)
