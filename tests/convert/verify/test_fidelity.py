"""Figures and the gate, on worked numbers."""

import msgspec
import numpy as np
import pytest
from edgekit_convert.answers import (
    Answers,
    decibels,
    logit_divergence,
    logit_ratio,
    logit_ratio_interval,
    mean_interval,
    signal_to_noise,
)
from edgekit_convert.verify.fidelity import (
    Kind,
    Stage,
    Thresholds,
    compare,
    decisive,
    find_confusion,
    judge,
)

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

    def test_the_divergence_of_many_classes_counts_what_8_bits_cannot_show(self) -> None:
        # One class of 1,000 with 0.5 and the others with 1/1998 each, against 0.4 and 0.6/999:
        # both sum to 1, and no probability is cut off, however small.
        reference = np.log(np.array([[0.5] + [0.5 / 999] * 999]))
        other = np.log(np.array([[0.4] + [0.6 / 999] * 999]))
        expected = 0.5 * np.log(0.5 / 0.4) + 0.5 * np.log(0.5 / 0.6)
        assert expected == pytest.approx(0.0204, abs=1e-4)
        found = compare("x", Answers.of_logits(other), Answers.of_logits(reference), None)
        assert found.kl == pytest.approx(expected, rel=1e-5)
        # A common shift of the logits changes nothing, and neither does their size.
        assert logit_divergence(other + 1000, reference) == pytest.approx(expected, rel=1e-9)
        sure, turned = np.array([[900.0, 0.0]]), np.array([[0.0, 900.0]])
        assert logit_divergence(turned, sure) == pytest.approx(900)

    def test_without_logits_what_8_bits_round_to_0_is_half_a_step_of_a_whole(self) -> None:
        even = Answers.of_logits(np.zeros((1, 2), np.float32))
        sure = Answers.of_probabilities(np.array([[1.0, 0.0]], np.float32))
        stage = compare("edgetpu", sure, even, None, with_logits=False)
        high, low = 512 / 513, 1 / 513  # of 1 and 1/512, which sum to 1 again
        expected = 0.5 * np.log(0.5 / high) + 0.5 * np.log(0.5 / low)
        assert stage.kl == pytest.approx(expected, rel=1e-5)
        assert (stage.snr_db, stage.snr_interval_db) == (None, None)

    def test_what_a_softmax_does_not_see_is_neither_signal_nor_noise(self) -> None:
        reference, answers = np.array([[1.0, -1.0]]), np.array([[1.1, -1.1]])
        assert logit_ratio(reference, answers) == 20.0
        assert logit_ratio(reference + 50, answers - 30) == 20.0
        assert logit_ratio(reference, reference + 7) is None

    def test_the_interval_of_a_ratio_covers_what_pictures_like_these_may_give(self) -> None:
        # Nine pictures with 20 dB and one with 0 dB: noise 0.01 and 1 of a signal of 1; the mean
        # is 0.109, its standard error 0.099, and 1.96 of those reach below 0: to no noise at all.
        reference = np.array([[1.0, -1.0]] * 10)
        answers = reference * np.array([[1.1]] * 9 + [[2.0]])
        assert logit_ratio(reference, answers) == pytest.approx(9.63, abs=0.01)
        worse, better = logit_ratio_interval(reference, answers) or (0, 0)
        assert worse == pytest.approx(-10 * np.log10(0.109 + 1.959964 * 0.099), abs=0.01)
        assert better == 200.0
        assert logit_ratio_interval(reference, reference) is None
        # All alike: no doubt.
        assert logit_ratio_interval(reference, 1.1 * reference) == pytest.approx((20, 20))

    def test_the_change_of_the_score_is_that_of_the_original_answer(self) -> None:
        reference = Answers.of_logits(np.log(np.array([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1]])))
        answers = Answers.of_logits(np.log(np.array([[0.5, 0.1, 0.4], [0.55, 0.4, 0.05]])))
        stage = compare("x", answers, reference, None)
        assert stage.score_change == pytest.approx((0.1 + 0.3) / 2, abs=1e-5)
        # Of two values 0.2 apart the standard error is 0.1.
        assert stage.score_change_interval == pytest.approx((0.2 - 0.195996, 0.395996), abs=1e-5)
        assert mean_interval(np.array([0.25, 0.25])) == (0.25, 0.25)

    def test_chance_is_what_independent_answers_in_the_same_numbers_reach(self) -> None:
        # Answers 3 x 0, 1 x 1; labels 2 x 0, 2 x 1: 3/4 1/2 + 1/4 1/2.
        answers = _answers([[1, 0]] * 3 + [[0, 1]])
        stage = compare("x", answers, answers, np.array([0, 0, 1, 1]))
        assert (stage.top1, stage.top1_by_chance) == (0.75, 0.5)

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


# Measured (docs/conversion.md): agreement, top-1 before and after, dB, change of the score.
RIGHT = {
    "ResNet-18, CIFAR-10": (0.998, 0.8685, 0.868, 38.1, 0.003),
    "ResNet-20, CIFAR-10": (0.991, 0.818, 0.822, 29.9, 0.013),
    "EfficientNet-Lite0": (0.9886, 0.8814, 0.88, 24.0, 0.017),
    "trunk of 73 %": (0.978, 0.729, 0.728, 27.2, 0.013),
    "two classes": (1.0, 0.97, 0.97, 28.8, 0.002),
}
BROKEN = {
    "ResNet-20, AVERAGE_POOL": (0.963, 0.8135, 0.812, 3.7, 0.165),
    "trunk of 73 %, AVERAGE_POOL": (0.872, 0.729, 0.734, 11.2, 0.094),
    "two classes, AVERAGE_POOL": (0.987, 0.97, 0.97, 5.6, 0.06),
}


def _measured(
    agreement: float, before: float, after: float, snr: float, change: float, *, labels: bool
) -> list[Stage]:
    reference = StageFidelity("onnx", 2000, 1.0, 1.0, 0.0, None, before if labels else None)
    int8 = StageFidelity(
        LITERT, 2000, agreement, 1.0, 0.0, snr, after if labels else None, score_change=change
    )
    return [Stage(Kind.REFERENCE, reference), Stage(Kind.INT8, int8)]


class TestDefaults:
    @pytest.mark.parametrize("name", RIGHT)
    def test_files_that_were_right_pass(self, name: str) -> None:
        gate = judge(_measured(*RIGHT[name], labels=True), Thresholds(), held_out=False)
        assert gate.passed, gate.reason

    @pytest.mark.parametrize("labels", [True, False])
    @pytest.mark.parametrize("name", BROKEN)
    def test_files_that_were_broken_do_not_whatever_their_accuracy(
        self, name: str, labels: bool
    ) -> None:
        assert not judge(
            _measured(*BROKEN[name], labels=labels), Thresholds(), held_out=False
        ).passed

    @pytest.mark.parametrize("labels", [True, False])
    @pytest.mark.parametrize(
        ("figures", "passed", "words"),
        [
            ((1.0, 0.8, 0.8, 15.0, 0.03), True, "agrees"),
            ((1.0, 0.8, 0.8, 14.9, 0.03), False, "14.9 dB of signal to noise, less than 15 dB"),
            ((1.0, 0.8, 0.8, 15.0, 0.031), False, "by 0.031 on average, more than 0.03"),
        ],
    )
    def test_each_figure_decides(
        self, figures: tuple[float, ...], passed: bool, words: str, labels: bool
    ) -> None:
        stages = _measured(*figures, labels=labels)  # type: ignore[call-arg, misc]
        gate = judge(stages, Thresholds(), held_out=False)
        assert gate.passed is passed
        assert words in gate.reason

    def test_agreement_is_asked_for_with_labels_too_beyond_chance(self) -> None:
        def passes(agreement: float, thresholds: Thresholds) -> bool:
            stages = _measured(agreement, 0.8, 0.8, 30, 0.01, labels=True)
            return judge(stages, thresholds, held_out=False).passed

        # Of 2,000 pictures, 94 % are 95 % at the upper end of the interval.
        assert passes(0.941, Thresholds())
        assert not passes(0.938, Thresholds())
        assert not passes(0.941, Thresholds(agreement=0.98))

    def test_thresholds_that_are_given_count(self) -> None:
        stages = _measured(*BROKEN["two classes, AVERAGE_POOL"], labels=False)
        lenient = Thresholds(snr_db=5, score_change=0.1)
        gate = judge(stages, lenient, held_out=False)
        assert gate.passed
        assert gate.thresholds == Thresholds(0.99, 0.98, 5, 0.1)

    def test_of_few_pictures_the_better_end_of_the_interval_counts(self) -> None:
        reference, int8 = _measured(1.0, 0, 0, 12, 0.04, labels=False)
        replace = msgspec.structs.replace
        doubtful = replace(
            int8.figures, snr_interval_db=(9.0, 15.5), score_change_interval=(0.02, 0.06)
        )
        stages = [reference, Stage(Kind.INT8, doubtful)]
        assert judge(stages, Thresholds(), held_out=True).passed
        assert not judge(stages, Thresholds(), held_out=False).passed
        for worse in ({"snr_interval_db": (9.0, 14.5)}, {"score_change_interval": (0.035, 0.06)}):
            stages = [reference, Stage(Kind.INT8, replace(doubtful, **worse))]
            gate = judge(stages, Thresholds(), held_out=True)
            assert not gate.passed
            assert "beyond chance" in gate.reason

    @pytest.mark.parametrize(("snr", "passed"), [(40.0, True), (39.9, False), (None, True)])
    def test_a_float_stage_has_no_noise(self, snr: float | None, passed: bool) -> None:
        reference, int8 = _measured(1.0, 0, 0, 30, 0.01, labels=False)
        figures = StageFidelity("folded", 32, 1.0, 1.0, 0.0, snr)
        gate = judge([reference, Stage(Kind.FLOAT, figures), int8], Thresholds(), held_out=False)
        assert gate.passed is passed
        assert passed or "stage folded differs by 39.9 dB" in gate.reason

    def test_a_compiled_stage_has_no_logits_but_scores(self) -> None:
        reference, int8 = _measured(1.0, 0, 0, 30, 0.01, labels=False)
        compiled = msgspec.structs.replace(int8.figures, stage="edgetpu", images=32, snr_db=None)
        wrong = msgspec.structs.replace(compiled, score_change=0.2)
        for figures, passed in ((compiled, True), (wrong, False)):
            stages = [reference, int8, Stage(Kind.COMPILED, figures)]
            assert judge(stages, Thresholds(), held_out=False).passed is passed


def test_a_broken_network_of_two_classes_shows_although_its_answers_stay() -> None:
    # Sure of 75 pictures, and not of one: float is off by noise whose size is half the signal.
    logits = np.array([[4.0, -4.0], [-4.0, 4.0]] * 37 + [[0.1, -0.1]], np.float32)
    noise = np.array([[2.0, -2.0], [2.0, -2.0]] * 37 + [[-0.2, 0.2]], np.float32)
    reference, broken = Answers.of_logits(logits), Answers.of_logits(logits + noise)
    stages = [
        Stage(Kind.REFERENCE, compare("onnx", reference, reference, None)),
        Stage(Kind.INT8, compare(LITERT, broken, reference, None)),
    ]
    assert stages[1].figures.agreement == pytest.approx(74 / 75, abs=1e-6)
    gate = judge(stages, Thresholds(), held_out=False)
    assert "6.0 dB of signal to noise" in gate.reason


def _labelled(hits: int, images: int, chance: float) -> StageFidelity:
    return StageFidelity(
        "pytorch", images, 1.0, 1.0, 0.0, None, hits / images, top1_by_chance=chance
    )


class TestConfusion:
    @pytest.mark.parametrize(
        ("hits", "images", "chance", "words"),
        [
            (40, 280, 0.143, "14.29% top-1 on 280 pictures, no better than chance (14.3%)"),
            (0, 280, 0.143, "disagree wholly (top-1 is right for 0 of 280 pictures)"),
            (0, 1, 0.5, "disagree wholly"),
            # Always the same answer, in a folder where it is right most of the time.
            (270, 300, 0.9, "no better than chance"),
            (52, 100, 0.5, "no better than chance"),
        ],
    )
    def test_a_network_that_does_not_know_the_labels_is_told(
        self, hits: int, images: int, chance: float, words: str
    ) -> None:
        reason = find_confusion(_labelled(hits, images, chance))
        assert reason is not None and words in reason
        assert "--size" in reason and "not trained" in reason
        assert "calibration" not in reason

    @pytest.mark.parametrize(
        ("hits", "images", "chance"),
        [
            (264, 280, 0.143),
            (54, 280, 0.143),  # 19.3 %: poor, but more than chance
            (7, 10, 0.5),  # too few to tell
            (1, 3, 0.33),
            (1, 1, 1.0),  # all of one class
            (30, 30, 1.0),
            (2, 200, 0.001),
        ],
    )
    def test_no_alarm_where_it_knows_some_or_nobody_can_tell(
        self, hits: int, images: int, chance: float
    ) -> None:
        assert find_confusion(_labelled(hits, images, chance)) is None

    def test_without_labels_nothing_is_contradicted(self) -> None:
        assert find_confusion(StageFidelity("pytorch", 9, 1.0, 1.0, 0.0)) is None

    def test_the_gate_never_passes_0_of_0(self) -> None:
        reference = _labelled(0, 280, 0.143)
        for chance in (0.143, None):  # a file of before does not say
            first = msgspec.structs.replace(reference, top1_by_chance=chance)
            int8 = msgspec.structs.replace(first, stage=LITERT)
            stages = [Stage(Kind.REFERENCE, first), Stage(Kind.INT8, int8)]
            gate = judge(stages, Thresholds(), held_out=False)
            assert not gate.passed
            assert gate.reason.startswith("pytorch and the labels disagree wholly")
