"""Answers of several pictures have to be probabilities, one for each class."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgekit.errors import InferenceError, ModelFileError
from edgekit.inference.classifier import Classifier
from edgekit.inference.interpreter import Interpreter
from edgekit.inference.probabilities import are_probabilities, trial_pictures
from edgekit.model.container import read_model
from edgekit.model.geometry import Geometry
from tests.tiny import tiny_model

GOOD = (0.25, 0.25, 0.5)


class Answers:
    """An interpreter that gives answers one after the other."""

    runtime, accelerator = "scripted", "cpu"

    def __init__(self, *answers: Any) -> None:
        self._answers: Iterator[Any] = iter(answers)
        self.pictures: list[NDArray[Any]] = []

    def answer(self, tensor: NDArray[Any]) -> NDArray[np.float32]:
        self.pictures.append(tensor)
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        return np.array(answer, np.float32)


Check = Callable[..., Answers]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    model = read_model(tiny_model(tmp_path / "m.tflite"))

    def run(*answers: Any) -> Answers:
        classifier, interpreter = Classifier(model), Answers(*answers)
        classifier._interpreter = interpreter  # type: ignore[assignment]
        classifier.check_answers()
        return interpreter

    return run


def test_grey_black_white_and_noise_are_tried(check: Check) -> None:
    pictures = check(GOOD, GOOD, GOOD, GOOD).pictures
    assert [picture.shape for picture in pictures] == [(1, 8, 8, 3)] * 4
    assert [picture.mean() for picture in pictures[:3]] == [128, 0, 255]
    assert len(np.unique(pictures[3])) > 90


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((0.5, np.nan, 0.5), "no probabilities, but values from nan to nan"),
        ((0.5, np.inf, 0.5), "no probabilities, but values from 0.5 to inf"),
        ((-0.5, 0.5, 1.0), "no probabilities, but values from -0.5 to 1"),
        ((0.5, 1.5, -1.0), "no probabilities"),
        ((0.9, 0.9, 0.9), "no probabilities, but values from 0.9 to 0.9"),
        ((0.0, 0.0, 0.0), "no probabilities"),
        ((0.5, 0.5), "2 values for 3 classes"),
        ((), "0 values for 3 classes"),
        ((0.25, 0.25, 0.25, 0.25), "4 values for 3 classes"),
    ],
)
def test_one_answer_that_is_none_is_enough(
    check: Check, number: int, answer: tuple[float, ...], said: str
) -> None:
    answers: list[Any] = [GOOD] * 4
    answers[number] = answer
    with pytest.raises(ModelFileError, match=rf"m\.tflite answers {said}.*; convert it again$"):
        check(*answers)


def test_one_that_fails_at_its_second_answer_is_found(check: Check) -> None:
    with pytest.raises(InferenceError, match="gone"):
        check(GOOD, InferenceError("gone"))


def test_rounding_is_no_fault() -> None:
    thousand = np.full(1000, 0.0, np.float32)
    # All that 1000 classes have is less than half a step of 1/256 each.
    assert are_probabilities(thousand, 1 / 256)
    assert not are_probabilities(thousand, 0.0)
    assert are_probabilities(np.array([0.995, 0.015], np.float32), 0.0)


def test_the_pictures_are_the_same_each_time() -> None:
    geometry = Geometry(height=4, width=6)
    for one, other in zip(trial_pictures(geometry), trial_pictures(geometry), strict=True):
        assert np.array_equal(one, other)


def test_a_model_that_was_read_is_loaded_without_its_file(tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "m.tflite")
    model = read_model(path)
    path.unlink()
    classifier = Classifier.load(model)
    assert (classifier.path, classifier.sha256) == (path, model.sha256)
    classifier.check_answers()
    assert isinstance(classifier._interpreter, Interpreter)
