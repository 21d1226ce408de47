"""Figures and the gate."""

import numpy as np
import pytest
from edgekit_convert.answers import Answers
from edgekit_convert.verify.fidelity import (
    Thresholds,
    compare,
    judge,
    signal_to_noise,
    wilson_interval,
)

from edgekit.model.manifest import Fidelity, StageFidelity


def _answers(logits: list[list[float]]) -> Answers:
    return Answers.of_logits(np.array(logits, np.float32))


def test_equal_answers_have_no_noise() -> None:
    one = _answers([[1, 2, 3], [3, 1, 0]])
    stage = compare("x", one, one, np.array([2, 1]))
    assert (stage.agreement, stage.kl, stage.snr_db, stage.top1) == (1.0, 0.0, None, 0.5)


def test_noise_is_counted_in_decibels() -> None:
    assert signal_to_noise(np.array([3.0, 4.0]), np.array([3.0, 3.5])) == 20.0


def test_the_divergence_of_two_coins() -> None:
    fair, bent = _answers([[0, 0]]), _answers([[0, float(np.log(3))]])
    stage = compare("x", bent, fair, None)
    expected = 0.5 * np.log(0.5 / 0.25) + 0.5 * np.log(0.5 / 0.75)
    assert stage.kl == pytest.approx(expected, rel=1e-4)


def test_wilsons_interval() -> None:
    # Agresti and Coull 1998: 8 of 10 gives 0.49 to 0.94.
    low, high = wilson_interval(0.8, 10)
    assert (round(low, 2), round(high, 2)) == (0.49, 0.94)
    assert wilson_interval(1.0, 50)[1] == 1.0


def _stage(name: str, agreement: float, top1: float | None, images: int = 100) -> StageFidelity:
    return StageFidelity(name, images, agreement, 1.0, 0.0, 40.0, top1)


@pytest.mark.parametrize(
    ("stages", "passed", "words"),
    [
        ([("pytorch", 1, 0.8), ("tflite-int8 (litert)", 0.97, 0.795)], True, "keeps 99.38%"),
        ([("pytorch", 1, 0.8), ("tflite-int8 (litert)", 0.99, 0.79)], False, "79.00% top-1"),
        ([("pytorch", 1, None), ("tflite-int8 (litert)", 0.97, None)], False, "97.00%"),
        ([("pytorch", 1, None), ("tflite-int8 (litert)", 0.98, None)], True, "98.00%"),
        (
            [("pytorch", 1, 0.8), ("onnx", 0.9, 0.8), ("tflite-int8 (litert)", 1, 0.8)],
            False,
            "stage onnx agrees with pytorch on 90.0%",
        ),
    ],
)
def test_the_gate_names_the_stage_that_breaks(
    stages: list[tuple[str, float, float | None]], passed: bool, words: str
) -> None:
    gate = judge(Fidelity("evaluation", [_stage(*stage) for stage in stages]), Thresholds())
    assert gate.passed is passed
    assert words in gate.reason


def test_thresholds_can_be_chosen() -> None:
    stages = [_stage("pytorch", 1, None), _stage("tflite-int8 (litert)", 0.9, None)]
    assert judge(Fidelity("evaluation", stages), Thresholds(agreement=0.9)).passed
    assert not judge(Fidelity("calibration", stages), Thresholds()).passed


@pytest.mark.parametrize("count", [10, 42])
def test_one_of_the_pictures_held_out_of_the_calibration_may_differ_by_chance(count: int) -> None:
    stages = [
        _stage("pytorch", 1, None, images=count),
        _stage("tflite-int8 (litert)", (count - 1) / count, None, images=count),
    ]
    assert judge(Fidelity("calibration", stages), Thresholds()).passed
    assert not judge(Fidelity("evaluation", stages), Thresholds()).passed


def test_one_picture_of_a_sample_may_differ_by_chance() -> None:
    stages = [
        _stage("pytorch", 1, 0.8),
        _stage("tflite-int8 (litert)", 1, 0.8),
        _stage("tflite-int8 (tflite)", 31 / 32, 0.8, images=32),
    ]
    assert judge(Fidelity("evaluation", stages), Thresholds()).passed


def test_a_second_runtime_that_answers_otherwise_fails() -> None:
    stages = [
        _stage("pytorch", 1, 0.8),
        _stage("tflite-int8 (litert)", 1, 0.8),
        _stage("tflite-int8 (tflite)", 0.5, 0.8, images=64),
    ]
    gate = judge(Fidelity("evaluation", stages), Thresholds())
    assert not gate.passed
    assert "tflite-int8 (tflite)" in gate.reason
