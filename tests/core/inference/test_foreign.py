"""Models without a manifest: pixels as they want them, and answers that are probabilities."""

from pathlib import Path

import numpy as np
import pytest

from demo.fixtures import Material
from edgekit.errors import ModelFileError
from edgekit.inference.classifier import Classifier
from edgekit.inference.foreign import lookup_table, softmax
from edgekit.inference.interpreter import Interpreter
from edgekit.model.foreign import Hints
from edgekit.offline.folder_evaluation import evaluate
from tests.tiny import SIZE, tiny_model

RAMP = np.arange(0, 256, 4, dtype=np.uint8).reshape(1, SIZE, SIZE, 1).repeat(3, axis=3)


def _given(monkeypatch: pytest.MonkeyPatch, model: Path, **hints: object) -> np.ndarray:
    """What the interpreter is given for a picture whose channels are 40, 120 and 200."""
    given: list[np.ndarray] = []
    classifier = Classifier.open(model, hints=Hints(**hints))  # type: ignore[arg-type]
    monkeypatch.setattr(Interpreter, "set_input", lambda self, values: given.append(values))
    tensor = np.empty((1, SIZE, SIZE, 3), np.uint8)
    tensor[:] = 40, 120, 200
    classifier.invoke(tensor)
    assert given[0].shape == tensor.shape
    return np.asarray(given[0][0, 0, 0])


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, [40, 120, 200]),
        ({"scale": 2 / 255, "zero_point": 128}, [40, 120, 200]),
        ({"scale": 0.5 / 255}, [80, 240, 255]),
        ({"dtype": "INT8", "zero_point": -128}, [-88, -8, 72]),
        ({"dtype": "INT8", "scale": 1 / 128}, [-88, -8, 73]),
        ({"dtype": "INT8", "scale": 0.5 / 255, "zero_point": -128}, [-48, 112, 127]),
    ],
)
def test_scale_and_zero_point_are_obeyed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, options: dict[str, object], wanted: list[int]
) -> None:
    model = tiny_model(tmp_path / "m.tflite", **options)
    assert _given(monkeypatch, model).tolist() == wanted


def test_blue_may_come_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "m.tflite")
    assert _given(monkeypatch, model, channels="bgr").tolist() == [200, 120, 40]


def test_mean_and_deviation_are_those_of_their_channel(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model = tiny_model(tmp_path / "m.tflite", dtype="FLOAT32")
    wanted = [(40 / 255 - 0.485) / 0.229, (120 / 255 - 0.456) / 0.224, (200 / 255 - 0.406) / 0.225]
    found = _given(monkeypatch, model, normalization="imagenet")
    assert found == pytest.approx(wanted, abs=1e-6)
    reversed_ = _given(monkeypatch, model, normalization="imagenet", channels="bgr")
    assert reversed_ == pytest.approx(wanted[::-1], abs=1e-6)


def test_a_table_keeps_within_the_type() -> None:
    table = lookup_table((0.5,) * 3, (0.5,) * 3, "int8", 1 / 128, 0)
    assert table is not None
    assert table.dtype == np.int8
    assert table[0, [0, 128, 255], 1].tolist() == [-128, 1, 127]
    assert lookup_table((0.5,) * 3, (0.5,) * 3, "uint8", 1 / 128, 128) is None


def test_logits_are_refused_or_get_a_softmax(tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "m.tflite", logits=True, scale=2 / 255, zero_point=128)
    with pytest.raises(
        ModelFileError, match=r"m.tflite answers no probabilities, .*pass --softmax"
    ):
        Classifier.open(model)
    classifier = Classifier.open(model, hints=Hints(softmax=True))
    scores = classifier.invoke(RAMP)
    assert scores.sum() == pytest.approx(1)
    assert scores == pytest.approx([1 / 3] * 3, abs=1e-6)
    assert classifier.notes[-1] == "its answers are logits; a softmax makes probabilities of them"


def test_logits_that_are_never_negative_are_seen_too(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="values from 0 to 1; where they are logits"):
        Classifier.open(tiny_model(tmp_path / "m.tflite", logits=True))


def test_a_second_softmax_is_not_applied(tmp_path: Path) -> None:
    plain = Classifier.open(tiny_model(tmp_path / "m.tflite"))
    other = Classifier.open(tmp_path / "m.tflite", hints=Hints(softmax=True))
    picture = np.zeros((1, SIZE, SIZE, 3), np.uint8)
    picture[..., 1] = 200
    assert np.array_equal(plain.invoke(picture), other.invoke(picture))
    assert other.notes[-1].endswith("--softmax changes nothing")


def test_softmax_of_large_logits() -> None:
    assert softmax(np.float32([1000, 0, 0])).tolist() == [1, 0, 0]
    assert softmax(np.float32([0, np.log(3)])) == pytest.approx([0.25, 0.75])


def test_one_line_says_what_was_taken(tmp_path: Path) -> None:
    classifier = Classifier.open(tiny_model(tmp_path / "m.tflite"))
    assert classifier.notes == [
        "m.tflite has no manifest; pixels normalized to 0..1 (rgb), as its values from 0 to 1 say"
    ]


def test_our_own_models_are_fed_as_ever(converted: Path) -> None:
    assert Classifier.open(converted).notes == []
    classifier = Classifier.open(converted, hints=Hints(channels="bgr", softmax=True))
    assert classifier.notes[0].endswith("they change nothing")
    shape = (1, classifier.geometry.height, classifier.geometry.width, 3)
    picture = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    assert np.array_equal(classifier.invoke(picture), Classifier.open(converted).invoke(picture))


def test_an_input_that_is_not_understood_is_refused_with_the_file(tmp_path: Path) -> None:
    with pytest.raises(
        ModelFileError, match=r"/m.tflite takes values from 0 to 7.969 and does not"
    ):
        Classifier.open(tiny_model(tmp_path / "m.tflite", scale=1 / 32))


@pytest.mark.parametrize(
    ("name", "hints", "right"),
    [
        ("01_softmax_uint8_dimcal", Hints(), 0.362),
        ("01_bgr_uint8", Hints(channels="bgr"), 0.429),
        ("imagenet_softmax_int8", Hints(), 0.490),
        ("imagenet_logits_int8", Hints(softmax=True), 0.490),
    ],
)
def test_real_foreign_models_are_as_right_as_they_can_be(
    shared: Path, material: Material, name: str, hints: Hints, right: float
) -> None:
    file = shared / "faults" / "foreign" / f"{name}.tflite"
    if not file.is_file():
        pytest.skip(f"needs {file}")
    classifier = Classifier.open(file, labels=material.classes, hints=hints)
    found = evaluate(classifier, material.calibration)
    assert found.top1.value == pytest.approx(right, abs=0.006)
