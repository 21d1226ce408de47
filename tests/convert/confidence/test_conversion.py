"""A whole conversion of a network that is too sure, measured on pictures given in Python."""

from pathlib import Path
from typing import Any

import edgekit_convert as ek
import numpy as np
import pytest
from edgekit_convert.confidence.last_layer import logit_scale
from edgekit_convert.outputs import Conversion

import edgekit
from demo.fixtures import Material
from edgekit.model.manifest import Confidence
from edgekit.vision.dataset import labelled_images
from edgekit.vision.pictures import read_image

LENIENT: dict[str, Any] = {
    "min_kept": 0.8, "min_agreement": 0.8, "min_snr": 8, "max_score_change": 0.2,
}  # fmt: skip


@pytest.fixture(scope="module")
def labelled(material: Material) -> list[tuple[Any, int]]:
    """The demo's pictures, every tenth with a wrong label: whatever the network, it is too sure."""
    names = material.classes.read_text().splitlines()
    images = labelled_images(material.evaluation, names)
    return [
        (read_image(image.path), (image.index + (number % 10 == 0)) % len(names))
        for number, image in enumerate(images)
    ]


@pytest.fixture(scope="module")
def result(material: Material, labelled: list[tuple[Any, int]]) -> Conversion:
    return ek.convert(
        material.checkpoint, classes=material.classes, size=64, io="float32",
        calibration=material.calibration, evaluate=labelled, **LENIENT,
    )  # fmt: skip


@pytest.fixture(scope="module")
def confidence(result: Conversion) -> Confidence:
    found = result.report.manifest.confidence
    assert found is not None and found.reason == ""
    return found


def test_it_gets_a_temperature_which_is_told(result: Conversion, confidence: Confidence) -> None:
    assert confidence.temperature > 1.2
    assert f"confidence: {confidence}" in result.notes
    assert {"calibrating the confidence", "checking the calibrated model"} <= set(
        result.report.seconds
    )
    curves = result.report.confidence
    assert curves is not None and curves.after is not None
    assert curves.after.error < curves.before.error / 2


def test_the_stages_are_compared_before_it_and_the_file_answers_the_same_but_less_surely(
    result: Conversion, confidence: Confidence, labelled: list[tuple[Any, int]], tmp_path: Path
) -> None:
    result.save(tmp_path / "toys.tflite")
    stage = next(one for one in result.report.fidelity.stages if "int8" in one.stage)
    evaluation = edgekit.evaluate(tmp_path / "toys.tflite", labelled)
    assert stage.top1 is not None
    assert evaluation.top1.hits == pytest.approx(stage.top1 * stage.images, abs=confidence.tied + 1)
    curves = result.report.confidence
    assert curves is not None and evaluation.calibration is not None
    # By far more than the gate allows a stage.
    assert evaluation.calibration.confidence < curves.before.confidence - 0.1
    assert stage.score_change is not None and stage.score_change < 0.1
    # The temperature in use is that of all pictures, not of the nine tenths.
    after = curves.after
    assert after is not None
    assert evaluation.calibration.confidence == pytest.approx(after.confidence, abs=0.03)
    shown = repr(edgekit.inspect(tmp_path / "toys.tflite"))
    assert f"confidence    {confidence}" in shown


def test_the_scale_of_the_logits_is_that_of_the_temperature(
    result: Conversion, confidence: Confidence
) -> None:
    # In the report, layers are as they were compared: before it.
    last = result.report.layers[-1]
    assert (last.high - last.low) / 255 / logit_scale(result.flatbuffer) == pytest.approx(
        confidence.temperature, rel=1e-3
    )
    assert np.isfinite(confidence.temperature)
