"""A whole conversion with a temperature, whatever the network; pictures are given in Python."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import edgekit_convert as ek
import numpy as np
import pytest
from edgekit_convert import conversion as steps
from edgekit_convert.answers import Answers, softmax
from edgekit_convert.confidence.calibrate import Calibrated
from edgekit_convert.confidence.last_layer import logit_scale, temper
from edgekit_convert.outputs import Conversion
from edgekit_convert.pictures import Pictures

import edgekit
from demo.fixtures import Material
from edgekit.inference.interpreter import Interpreter
from edgekit.model.geometry import Geometry
from edgekit.model.manifest import Confidence
from edgekit.model.profile import QUANTILES
from edgekit.vision.dataset import labelled_images
from edgekit.vision.pictures import read_image
from edgekit.vision.preprocess import prepare

LENIENT: dict[str, Any] = {
    "min_kept": 0.8, "min_agreement": 0.8, "min_snr": 8, "max_score_change": 0.2,
}  # fmt: skip


class Done(NamedTuple):
    """A conversion, what its int8 stage answered, and the pictures."""

    result: Conversion
    answers: Answers
    labelled: list[tuple[Any, int]]


@pytest.fixture(scope="module")
def done(material: Material) -> Iterator[Done]:
    seen: list[Answers] = []

    def calibrate(
        flatbuffer: bytes, answers: Answers, pictures: Pictures, *, keep: str, seed: int
    ) -> Calibrated:
        assert (keep, seed) == ("", 5)
        assert pictures.truth is not None
        seen.append(answers)
        tempered, exact = temper(flatbuffer, 1.5)
        return Calibrated(tempered, Confidence(temperature=exact, images=len(pictures.truth)))

    names = material.classes.read_text().splitlines()
    images = labelled_images(material.evaluation, names)
    labelled = [(read_image(image.path), image.index) for image in images[::2]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps, "calibrate", calibrate)
        result = ek.convert(
            material.checkpoint, classes=material.classes, size=64, io="float32", seed=5,
            calibration=material.calibration, evaluate=labelled, **LENIENT,
        )  # fmt: skip
    yield Done(result, seen[0], labelled)


def test_the_file_answers_the_same_but_less_surely(done: Done, tmp_path: Path) -> None:
    result = done.result
    result.save(tmp_path / "toys.tflite")
    evaluation = edgekit.evaluate(tmp_path / "toys.tflite", done.labelled)
    stage = next(one for one in result.report.fidelity.stages if "int8" in one.stage)
    assert stage.top1 is not None and evaluation.calibration is not None
    assert evaluation.top1.hits == pytest.approx(stage.top1 * stage.images, abs=1)
    expected = softmax(done.answers.logits / 1.5).max(axis=1).mean()
    assert evaluation.calibration.confidence == pytest.approx(expected, abs=0.01)
    assert "confidence    temperature 1.5, from" in repr(edgekit.inspect(tmp_path / "toys.tflite"))


def test_the_profile_is_of_what_the_file_answers(done: Done) -> None:
    result = done.result
    interpreter = Interpreter(result.flatbuffer)
    geometry = Geometry(height=64, width=64, crop=1.0)
    scores = [interpreter.answer(prepare(one, geometry)).max() for one, _ in done.labelled]
    profile = result.report.manifest.profile
    assert profile is not None and profile.answers is not None
    assert profile.answers.images == len(scores)
    expected = np.quantile(scores, np.linspace(0, 1, QUANTILES))
    # The integers of the logits are the same, so but for rounding in the manifest the scores are.
    assert profile.answers.figures["score"] == pytest.approx(expected, abs=1e-5)


def test_stages_and_layers_are_compared_before_it(done: Done) -> None:
    report = done.result.report
    layer = [one for one in report.layers if one.operator == "FULLY_CONNECTED"][-1]
    assert (layer.high - layer.low) / 255 / logit_scale(done.result.flatbuffer) == pytest.approx(
        1.5, rel=1e-3
    )


def test_it_is_told(done: Done) -> None:
    report = done.result.report
    found = report.manifest.confidence
    assert found is not None
    assert f"confidence: {found}" in repr(done.result).splitlines()
    assert {"calibrating the confidence", "checking the calibrated model"} <= set(report.seconds)
