"""A model file as a program or a notebook uses it: called with a picture."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

import edgekit
from tests.tiny import COLOURS, tiny_model


@pytest.fixture
def classifier(tmp_path: Path) -> edgekit.Classifier:
    """Names a picture's strongest colour."""
    return edgekit.Classifier(tiny_model(tmp_path / "m.tflite"))


def _plain(colour: str) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    frame = np.zeros((48, 64, 3), np.uint8)
    frame[..., COLOURS.index(colour)] = 255
    return frame


@pytest.mark.parametrize("colour", COLOURS)
def test_a_frame_is_answered_with_a_label(classifier: edgekit.Classifier, colour: str) -> None:
    answer = classifier(_plain(colour))
    assert (answer.label, answer.class_index) == (colour, COLOURS.index(colour))
    assert answer.score == answer.scores.max() > 0.9
    assert answer.ranked[0] == (colour, answer.score, answer.class_index)
    assert sorted(one.label for one in answer.ranked) == sorted(COLOURS)
    assert [one.score for one in answer.ranked] == sorted(answer.scores.tolist(), reverse=True)


def test_an_array_an_image_and_a_file_get_the_same_answer(
    classifier: edgekit.Classifier, tmp_path: Path
) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    file = tmp_path / "p.png"
    Image.fromarray(frame).save(file)
    wanted = classifier(frame).scores
    for same in (Image.fromarray(frame), file, str(file), np.asfortranarray(frame)):
        assert np.array_equal(classifier(same).scores, wanted)


def test_bgr_is_said(classifier: edgekit.Classifier, tmp_path: Path) -> None:
    file = tmp_path / "p.png"
    Image.fromarray(_plain("red")).save(file)
    frame = cv2.imread(str(file))
    assert frame is not None
    assert classifier(frame).label == "blue"
    assert classifier(frame, bgr=True).label == "red"


def test_an_answer_is_a_line_and_in_a_notebook_a_table(classifier: edgekit.Classifier) -> None:
    answer = classifier(_plain("red"))
    assert repr(answer).startswith("<Answer red 9") and "\n" not in repr(answer)
    assert answer._repr_html_().count("<tr>") == len(COLOURS)


def test_names_in_an_answer_are_escaped(tmp_path: Path) -> None:
    names = ["<script>alert(1)</script>", "b", "c"]
    classifier = edgekit.Classifier(tiny_model(tmp_path / "m.tflite"), labels=names)
    assert classifier.labels == names
    assert "<script" not in classifier(_plain("red"))._repr_html_()


def test_a_classifier_says_what_it_is(classifier: edgekit.Classifier) -> None:
    first, *notes = repr(classifier).splitlines()
    assert first.startswith("<Classifier m.tflite: 3 classes, 8 x 8, ")
    assert [note.strip() for note in notes] == classifier.notes


def test_what_was_closed_says_so(tmp_path: Path) -> None:
    with edgekit.Classifier(tiny_model(tmp_path / "m.tflite")) as classifier:
        assert classifier(_plain("green")).label == "green"
    with pytest.raises(edgekit.InferenceError, match="closed; open it again"):
        classifier(_plain("green"))


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        (None, edgekit.ConfigurationError, "NoneType is not a model file; give its path"),
        (["a"], edgekit.ConfigurationError, "list is not a model file"),
        ("", edgekit.ConfigurationError, "the path of a model file is empty"),
        ("missing.tflite", edgekit.ModelFileError, "cannot read the model missing.tflite"),
        (os.curdir, edgekit.ModelFileError, "cannot read the model"),
        (Path(__file__), edgekit.ModelFileError, "test_classifier.py"),
    ],
)
def test_what_is_no_model_is_refused(model: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        edgekit.Classifier(model)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_threads_that_ask_at_once_are_each_answered_about_their_own(
    classifier: edgekit.Classifier,
) -> None:
    frames = [_plain(colour) for colour in COLOURS] * 40
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(classifier, frames))
    assert [answer.label for answer in answers] == list(COLOURS) * 40


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threads": 0}, "threads=0 is not a whole number from 1 on"),
        ({"threads": "2"}, "threads='2' is not a whole number from 1 on"),
        ({"hints": {"softmax": True}}, "hints are dict, not edgekit.Hints"),
        ({"runtime": "gpu"}, "no runtime gpu; there is auto"),
    ],
)
def test_options_that_are_none_are_refused(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(edgekit.ConfigurationError, match=message):
        edgekit.Classifier(tiny_model(tmp_path / "m.tflite"), **options)


def test_labels_without_an_order_are_refused(tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "m.tflite")
    with pytest.raises(edgekit.LabelsError, match="in the order of training, but of type set"):
        edgekit.Classifier(model, labels=set(COLOURS))  # type: ignore[arg-type]


@pytest.mark.parametrize("use", [edgekit.inspect, lambda none: edgekit.evaluate(none, ".")])
def test_nothing_is_no_model_for_anybody(use: Callable[[Any], Any]) -> None:
    with pytest.raises(edgekit.ConfigurationError, match="NoneType is not a model file"):
        use(None)


def test_nothing_are_no_pictures(classifier: edgekit.Classifier) -> None:
    with pytest.raises(edgekit.DatasetError, match="NoneType is neither a folder nor pairs"):
        edgekit.evaluate(classifier, None)  # type: ignore[arg-type]


def test_labels_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "m.tflite")
    with pytest.raises(edgekit.LabelsError, match="2 class names, but"):
        edgekit.Classifier(model, labels=["a", "b"])


def test_an_order_of_channels_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="rgb or bgr, not 'BGR'"):
        edgekit.Hints(channels="BGR")  # type: ignore[arg-type]
