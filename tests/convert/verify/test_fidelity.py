"""Figures and the gate, on worked numbers."""

import numpy as np
import pytest
from edgekit_convert.answers import Answers, decibels, logit_divergence, signal_to_noise
from edgekit_convert.verify.fidelity import Kind, Stage, Thresholds, compare, decisive, judge

from edgekit.model.manifest import StageFidelity

LITERT, TFLITE = "tflite-int8 (litert)", "tflite-int8 (tflite)"
KINDS = {"pytorch": Kind.REFERENCE, "onnx": Kind.FLOAT}


def _answers(logits: list[list[float]]) -> Answers:
    return Answers.of_logits(np.array(logits, np.float32))


class TestFigures:
    def test_equal_answers_have_no_noise(self) -> None:
        one = _answers([[1, 2, 3], [3, 1, 0]])
        stage = compare("x", one, one, np.array([2, 1]))
        assert (stage.agreement, stage.kl, stage.snr_db, stage.top1) == (1.0, 0.0, None, 0.5)

    def test_agreement_is_with_the_reference_and_accuracy_with_the_truth(self) -> None:
        reference = _answers([[9, 1, 0], [9, 1, 0], [0, 1, 9], [0, 9, 1]])
        answers = _answers([[9, 1, 0], [1, 9, 0], [0, 9, 1], [0, 9, 1]])
        stage = compare("x", answers, reference, np.array([0, 1, 1, 0]))
        assert (stage.images, stage.agreement, stage.top1) == (4, 0.5, 0.75)

    def test_the_best_five_count_for_top_5(self) -> None:
        reference = _answers([[0, 0, 0, 0, 0, 0, 9]])
        fifth, sixth = _answers([[9, 8, 7, 6, 0, 1, 5]]), _answers([[9, 8, 7, 6, 5, 0, 4]])
        found = [compare("x", one, reference, np.array([6])) for one in (fifth, sixth)]
        assert [stage.top5_agreement for stage in found] == [1.0, 0.0]
        assert [stage.top5 for stage in found] == [1.0, 0.0]

    def test_noise_is_counted_in_decibels(self) -> None:
        assert signal_to_noise(np.array([3.0, 4.0]), np.array([3.0, 3.5])) == 20.0
        assert (decibels(1.0, 100.0), decibels(1.0, 0.0)) == (-20.0, None)

    def test_the_divergence_of_two_coins(self) -> None:
        fair, bent = _answers([[0, 0]]), _answers([[0, float(np.log(3))]])
        expected = 0.5 * np.log(0.5 / 0.25) + 0.5 * np.log(0.5 / 0.75)
        assert compare("x", bent, fair, None).kl == pytest.approx(expected, rel=1e-4)
        assert logit_divergence(bent.logits, fair.logits) == pytest.approx(expected, rel=1e-4)

    def test_a_probability_that_8_bits_round_to_0_is_half_a_step(self) -> None:
        even = np.array([[0.5, 0.5]], np.float32)
        sure = np.array([[1.0, 0.0]], np.float32)
        kl = compare("x", Answers(sure, sure), Answers(even, even), None).kl
        assert kl == pytest.approx(0.5 * np.log(0.5) + 0.5 * np.log(0.5 * 512), rel=1e-4)

    def test_accuracy_has_wilsons_interval(self) -> None:
        # Agresti and Coull 1998: 8 of 10 gives 0.49 to 0.94.
        answers = _answers([[1, 0]] * 10)
        stage = compare("x", answers, answers, np.array([0] * 8 + [1] * 2))
        assert stage.top1_interval is not None
        assert [round(end, 2) for end in stage.top1_interval] == [0.49, 0.94]


def _stage(name: str, agreement: float, top1: float | None, images: int = 100) -> Stage:
    figures = StageFidelity(name, images, agreement, 1.0, 0.0, 40.0, top1)
    return Stage(KINDS.get(name, Kind.INT8), figures)


class TestGate:
    @pytest.mark.parametrize(
        ("stages", "passed", "words"),
        [
            ([("pytorch", 1, 0.8), (LITERT, 0.97, 0.795)], True, "keeps 99.38%"),
            ([("pytorch", 1, 0.8), (LITERT, 0.99, 0.79)], False, "79.00% top-1"),
            # What is just enough passes: 0.99 of the accuracy, and 0.99 agreement of a float stage.
            ([("pytorch", 1, 1.0), ("onnx", 0.99, 1.0), (LITERT, 1, 0.99)], True, "keeps 99.00%"),
            ([("pytorch", 1, None), (LITERT, 0.97, None)], False, "97.00%"),
            ([("pytorch", 1, None), (LITERT, 0.98, None)], True, "98.00%"),
            (
                [("pytorch", 1, 0.8), ("onnx", 0.9, 0.8), (LITERT, 1, 0.8)],
                False,
                "stage onnx agrees with pytorch on 90.0%",
            ),
        ],
    )
    def test_it_names_the_stage_that_breaks(
        self, stages: list[tuple[str, float, float | None]], passed: bool, words: str
    ) -> None:
        gate = judge([_stage(*stage) for stage in stages], Thresholds(), held_out=False)
        assert gate.passed is passed
        assert words in gate.reason

    def test_the_kind_decides_what_a_stage_may_lose_whatever_its_name(self) -> None:
        reference, int8 = _stage("pytorch", 1, None), _stage(LITERT, 0.98, None)
        renamed = Stage(Kind.INT8, _stage("quantized", 0.98, None).figures)
        exact = Stage(Kind.FLOAT, int8.figures)
        assert judge([reference, renamed], Thresholds(), held_out=False).passed
        assert not judge([reference, exact, renamed], Thresholds(), held_out=False).passed
        assert decisive([reference, exact, renamed, int8]) is renamed

    def test_thresholds_can_be_chosen(self) -> None:
        stages = [_stage("pytorch", 1, None), _stage(LITERT, 0.9, None)]
        assert judge(stages, Thresholds(agreement=0.9), held_out=False).passed
        assert not judge(stages, Thresholds(), held_out=True).passed

    @pytest.mark.parametrize("count", [10, 42])
    def test_one_of_the_pictures_held_out_of_the_calibration_may_differ_by_chance(
        self, count: int
    ) -> None:
        stages = [
            _stage("pytorch", 1, None, images=count),
            _stage(LITERT, (count - 1) / count, None, images=count),
        ]
        assert judge(stages, Thresholds(), held_out=True).passed
        assert not judge(stages, Thresholds(), held_out=False).passed

    def test_one_picture_of_a_sample_may_differ_by_chance(self) -> None:
        stages = [
            _stage("pytorch", 1, 0.8),
            _stage(LITERT, 1, 0.8),
            _stage(TFLITE, 31 / 32, 0.8, images=32),
        ]
        assert judge(stages, Thresholds(), held_out=False).passed

    def test_a_second_runtime_that_answers_otherwise_fails(self) -> None:
        stages = [
            _stage("pytorch", 1, 0.8),
            _stage(LITERT, 1, 0.8),
            _stage(TFLITE, 0.5, 0.8, images=64),
        ]
        gate = judge(stages, Thresholds(), held_out=False)
        assert not gate.passed
        assert TFLITE in gate.reason
