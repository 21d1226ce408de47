"""Where class names come from."""

from pathlib import Path

import numpy as np
import pytest
from edgekit_convert.answers import Answers
from edgekit_convert.weights.labels import class_names
from edgekit_convert.weights.names import SavedNames
from edgekit_convert.weights.trained import TrainedModel

from edgekit.errors import LabelsError


def _model(labels: list[str] | None = None, saved: list[SavedNames] | None = None) -> TrainedModel:
    return TrainedModel(
        stage="onnx", name="x.onnx", sha256="", source="onnx", architecture=None, head="",
        classes=2, parameters=0, labels=labels, network=None,
        answer=lambda pictures: Answers.of_logits(np.zeros((len(pictures), 2), np.float32)),
        saved_names=saved or [],
    )  # fmt: skip


def _folders(parent: Path, *names: str) -> Path:
    for name in names:
        (parent / name).mkdir(parents=True)
    return parent


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Evaluation pictures of two classes."""
    (_folders(tmp_path / "evaluation", "dog", "cat") / "readme.txt").touch()
    return tmp_path / "evaluation"


def test_a_file_decides(folders: Path, tmp_path: Path) -> None:
    file = tmp_path / "names.txt"
    file.write_text("one\ntwo\n")
    found = class_names(_model(["three", "four"]), file, folders, None)
    assert (found.names, found.source) == (["one", "two"], str(file))


def test_published_weights_know_their_names(folders: Path) -> None:
    found = class_names(_model(["cat", "dog"]), None, folders, None)
    assert (found.names, found.source) == (["cat", "dog"], "torchvision's ImageNet")
    assert found.notes == []


def test_a_checkpoint_may_know_its_names_too(folders: Path) -> None:
    saved = [SavedNames("class_to_idx", ["dog", "cat"])]
    found = class_names(_model(saved=saved), None, folders, None)
    assert (found.names, found.source) == (["dog", "cat"], "'class_to_idx' in the checkpoint")
    assert found.notes == []  # the folders are called so, and have no order


def test_otherwise_the_folders_of_the_evaluation_name_them(folders: Path) -> None:
    found = class_names(_model(), None, folders, None)
    assert (found.names, found.source) == (["cat", "dog"], "the folders of --evaluate")


def test_or_those_of_the_calibration(folders: Path, tmp_path: Path) -> None:
    (tmp_path / "flat").mkdir()
    found = class_names(_model(), None, tmp_path / "flat", folders)
    assert (found.names, found.source) == (["cat", "dog"], "the folders of --calibration")


def test_folders_of_the_system_are_no_classes(folders: Path) -> None:
    _folders(folders, ".ipynb_checkpoints", "@eaDir", "__MACOSX")
    assert class_names(_model(), None, folders, None).names == ["cat", "dog"]


@pytest.mark.parametrize(
    ("saved", "told"),
    [
        (["cat", "dog"], "the same names in another order (cat, dog)"),
        (["dog", "cow"], "other names (dog, cow)"),
        (["dog", "cat"], None),
    ],
)
def test_names_that_contradict_those_chosen_are_told(
    saved: list[str], told: str | None, tmp_path: Path
) -> None:
    file = tmp_path / "names.txt"
    file.write_text("dog\ncat\n")
    notes = class_names(_model(saved=[SavedNames("classes", saved)]), file, None, None).notes
    assert (told is None) == (notes == [])
    assert told is None or told in notes[0]


def test_folders_that_contradict_are_told(folders: Path) -> None:
    saved = [SavedNames("classes", ["cat", "cow"])]
    (note,) = class_names(_model(saved=saved), None, folders, None).notes
    assert "the folders of --evaluate has other names (cat, dog)" in note


@pytest.mark.parametrize("names", [("monday", "tuesday", "friday"), ("Dog", "CAT"), ("dog",)])
def test_folders_that_may_be_something_else_are_not(names: tuple[str, ...], tmp_path: Path) -> None:
    calibration = _folders(tmp_path / "calibration", *names)
    saved = [SavedNames("classes", ["cat", "dog"])]
    assert class_names(_model(saved=saved), None, None, calibration).notes == []


def test_other_words_for_published_names_are_not(tmp_path: Path) -> None:
    file = tmp_path / "names.txt"
    file.write_text("Katze\nHund\n")
    assert class_names(_model(["cat", "dog"]), file, None, None).notes == []


def test_names_in_another_number_are_not_used_but_told(folders: Path) -> None:
    saved = [SavedNames("classes", ["a", "b", "c"])]
    found = class_names(_model(saved=saved), None, folders, None)
    assert found.names == ["cat", "dog"]
    assert "'classes' in the checkpoint has other names (a, b, c)" in found.notes[0]


def test_folders_in_another_number_do_not(folders: Path) -> None:
    (folders / "cow").mkdir()
    with pytest.raises(LabelsError, match=r"no names for them \(3 in the folders of --evaluate\)"):
        class_names(_model(), None, folders, None)


def test_without_any_names_all_ways_to_give_them_are_said() -> None:
    with pytest.raises(
        LabelsError, match="2 classes and no names for them; pass --classes FILE"
    ) as said:
        class_names(_model(), None, None, None)
    for way in ("--evaluate", "--calibration", "'classes'"):
        assert way in str(said.value)
