"""The pictures that int8 answers otherwise."""

import cv2
import numpy as np
from edgekit_convert.answers import Answers
from edgekit_convert.pictures import Pictures
from edgekit_convert.verify.disagreements import find_disagreements

LABELS = ["cat", "dog"]


def _answers(*cats: float) -> Answers:
    probabilities = np.array([[cat, 1 - cat] for cat in cats], np.float32)
    return Answers(np.log(probabilities), probabilities)


def _pictures(count: int, truth: list[int] | None = None) -> Pictures:
    tensors = np.zeros((count, 2, 2, 3), np.uint8)
    tensors[:, :, :, 0] = np.arange(count).reshape(-1, 1, 1)
    indices = None if truth is None else np.array(truth)
    return Pictures(tensors, [f"{i}.jpg" for i in range(count)], "", indices)


def test_the_surest_float_answer_comes_first() -> None:
    pictures = _pictures(3, truth=[0, 1, 0])
    exact, rounded = _answers(0.6, 0.9, 0.2), _answers(0.4, 0.3, 0.1)
    found, count = find_disagreements(pictures, LABELS, exact, rounded)
    assert count == 2
    assert [one.picture for one in found] == ["1.jpg", "0.jpg"]
    first = found[0]
    assert (first.truth, first.float_label, first.int8_label) == ("dog", "cat", "dog")
    assert (first.float_score, first.int8_score) == (0.9, 0.7)


def test_the_picture_is_what_the_model_saw() -> None:
    ((found,), _) = find_disagreements(_pictures(2), LABELS, _answers(0.9, 0.9), _answers(0.9, 0.1))
    assert found.truth is None
    shown = cv2.imdecode(np.frombuffer(found.png, np.uint8), cv2.IMREAD_COLOR)
    assert shown is not None
    assert shown[0, 0].tolist() == [0, 0, 1]  # BGR


def test_of_many_the_first_are_shown_and_all_counted() -> None:
    found, count = find_disagreements(
        _pictures(30), LABELS, _answers(*[0.9] * 30), _answers(*[0.1] * 30)
    )
    assert (len(found), count) == (24, 30)


def test_equal_answers_of_another_probability_are_no_disagreement() -> None:
    assert find_disagreements(_pictures(1), LABELS, _answers(0.9), _answers(0.6)) == ([], 0)
