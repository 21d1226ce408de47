"""When a temperature is used, which, and what is said where it is not."""

from typing import Any

import numpy as np
import pytest
from edgekit_convert.answers import Answers, softmax
from edgekit_convert.confidence.calibrate import MINIMUM_PICTURES, Calibrated, calibrate
from edgekit_convert.confidence.last_layer import answer_integers, integers, logit_scale
from edgekit_convert.graph.flatbuffer import FlatbufferEditor
from edgekit_convert.pictures import Pictures
from numpy.typing import NDArray

from edgekit.offline.calibration import measure_calibration
from tests.convert.confidence.test_last_layer import features, int8
from tests.convert.confidence.test_temperature import drawn
from tests.convert.toys import NONE, RELU6, Toy, normal

STEP = 0.15


@pytest.fixture(scope="module")
def model() -> bytes:
    """With five classes, as `drawn` has them, and steps of the logits that hold them."""
    editor = FlatbufferEditor(int8(five))
    quantization = editor.graph.tensors[editor.weighted()[-1].outputs[0]].quantization
    quantization.scale, quantization.zeroPoint = [STEP], [0]
    return editor.pack()


def five(toy: Toy, fused: int = NONE) -> int:
    weight = 10 * normal(5, 8, seed=2)
    return toy.dense(features(toy), weight, normal(5, seed=3), fused)


def pictures(truth: NDArray[np.int64] | None, count: int = 0) -> Pictures:
    """Pictures that all differ; what they show is of no matter."""
    count = count if truth is None else len(truth)
    tensors = np.arange(count, dtype=np.uint32).view(np.uint8).reshape(count, 1, 4, 1)
    return Pictures(tensors, [str(i) for i in range(count)], "", truth)


def network(
    count: int, temperature: float, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """As `drawn`, with logits that int8 has."""
    logits, truth = drawn(count, temperature, seed)
    return np.round(logits / STEP) * np.float32(STEP), truth


def answered(model: bytes, logits: NDArray[np.float32]) -> Answers:
    """What a model answers where it has these logits."""
    return Answers(logits, answer_integers(model, integers(model, logits)))


def found(
    model: bytes, logits: NDArray[np.float32], truth: NDArray[np.int64], **more: Any
) -> Calibrated:
    return calibrate(model, answered(model, logits), pictures(truth), **more)


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_a_network_that_is_too_sure_or_too_doubtful_gets_a_temperature(
    model: bytes, temperature: float
) -> None:
    made = found(model, *network(600, temperature))
    summary = made.summary
    assert summary.reason == ""
    assert summary.images == 600
    assert summary.interval is not None
    assert summary.temperature == pytest.approx(
        summary.interval[1 if temperature < 1 else 0], rel=1e-3
    )
    assert logit_scale(model) / logit_scale(made.flatbuffer) == pytest.approx(
        summary.temperature, rel=1e-5
    )
    assert summary.gain is not None and summary.gain_error is not None
    assert summary.gain > summary.gain_error
    assert summary.nll is not None and summary.nll_before is not None
    assert summary.nll_before - summary.nll == pytest.approx(summary.gain, abs=1e-5)
    assert summary.error is not None and summary.error_before is not None
    assert summary.error < summary.error_before
    assert f"temperature {summary.temperature:.3g}, from 600 labelled pictures" in str(summary)


def test_the_curves_are_those_of_the_figures(model: bytes) -> None:
    logits, truth = network(600, 2.0)
    made = found(model, logits, truth)
    assert made.curves is not None and made.curves.after is not None
    scores = softmax(logits)
    before = measure_calibration(
        scores.max(axis=1), scores.argmax(axis=1) == truth, scores[np.arange(600), truth]
    )
    assert made.curves.before == before
    assert made.summary.error == round(made.curves.after.error, 6)
    assert made.summary.error_by_chance == round(made.curves.after.chance_error, 6)
    assert made.curves.after.accuracy == before.accuracy


def left_alone(model: bytes, made: Calibrated) -> str:
    """Why a model was left alone; asserts that it was."""
    assert made.flatbuffer is model
    assert made.summary.temperature == 1
    assert str(made.summary) == f"left as it is: {made.summary.reason}"
    return made.summary.reason


def test_a_network_whose_confidence_is_right_is_left_alone(model: bytes) -> None:
    reason = left_alone(model, found(model, *network(400, 1.0)))
    assert reason.startswith("1 is within the temperature's 95 % interval, 0.8")


def test_too_few_pictures(model: bytes) -> None:
    made = found(model, *network(MINIMUM_PICTURES - 1, 3.0))
    assert left_alone(model, made) == ("99 labelled pictures are too few: a temperature takes 100")
    # What there is to see is shown.
    assert made.curves is not None and made.curves.after is None
    assert made.summary.error_before is not None and made.summary.error is None
    assert found(model, *network(MINIMUM_PICTURES, 3.0)).summary.temperature > 1.5


def test_copies_of_a_picture_count_once(model: bytes) -> None:
    logits, truth = (values.repeat(4, axis=0) for values in network(60, 3.0))
    copies = pictures(truth)
    copies = Pictures(copies.tensors[::4].repeat(4, axis=0), copies.names, "", truth)
    made = calibrate(model, answered(model, logits), copies)
    assert left_alone(model, made).startswith("60 labelled pictures are too few")


def test_one_class_alone(model: bytes) -> None:
    logits, truth = network(2000, 2.0)
    of_one = truth == 3
    made = found(model, logits[of_one], truth[of_one])
    assert left_alone(model, made) == f"all {of_one.sum()} labelled pictures show one class"


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (0, "none of 200 pictures answered wrong is too few"),
        (1, "1 of 200 pictures answered wrong is too few"),
        (9, "9 of 200 pictures answered wrong are too few"),
        (192, "8 of 200 pictures answered right are too few"),
        (200, "none of 200 pictures answered right is too few"),
    ],
)
def test_nearly_all_right_or_wrong(model: bytes, wrong: int, reason: str) -> None:
    logits, _ = network(200, 1.0)
    truth = logits.argmax(axis=1)
    truth[:wrong] = logits[:wrong].argmin(axis=1)
    assert left_alone(model, found(model, logits, truth)).startswith(reason)


def test_labels_that_are_noise_give_no_temperature(model: bytes) -> None:
    logits, _ = network(400, 1.0)
    truth = np.random.default_rng(1).integers(0, 5, 400)
    assert left_alone(model, found(model, 3 * logits, truth)) == (
        "the pictures set no bound to the temperature"
    )


def test_asked_to_keep_it(model: bytes) -> None:
    made = found(model, *network(600, 2.0), keep="--keep-confidence asked for it")
    assert left_alone(model, made) == "--keep-confidence asked for it"
    assert made.curves is not None and made.curves.after is None


@pytest.mark.parametrize("keep", ["", "--keep-confidence asked for it"])
def test_without_labels_or_pictures(model: bytes, keep: str) -> None:
    answers = answered(model, network(200, 1.0)[0])
    made = calibrate(model, answers, pictures(None, 200), keep=keep)
    assert left_alone(model, made) == (
        keep or "evaluation pictures, which a temperature is fitted to, have no labels"
    )
    assert made.curves is None
    made = calibrate(model, answers, None, keep=keep)
    assert left_alone(model, made) == (
        keep or "evaluation pictures, which a temperature is fitted to, were not given"
    )


def test_no_layer_to_fold_it_into() -> None:
    model = int8(lambda toy: five(toy, RELU6))
    made = found(model, *network(600, 2.0))
    assert left_alone(model, made) == (
        "logits that come from FULLY_CONNECTED cannot be scaled in a layer"
    )
    # What it would have brought is still told.
    assert made.summary.gain is not None and made.summary.gain > 0


def test_a_gain_that_is_none(model: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    _other_folds_give(0.9, monkeypatch)
    reason = left_alone(model, found(model, *network(600, 2.0)))
    assert reason.startswith("the log-likelihood would gain -0.")
    assert ", no more than its standard error of 0.0" in reason


def test_a_gain_that_may_be_chance(model: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    _other_folds_give(2.4, monkeypatch)
    made = found(model, *network(600, 1.6))
    gain, error = made.summary.gain, made.summary.gain_error
    assert gain is not None and error is not None
    assert 0 < gain < error
    assert "no more than its standard error" in left_alone(model, made)


def test_a_calibration_error_that_would_grow(model: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Far beyond the likeliest temperature, where the likelihood is still better than at 1."""
    _other_folds_give(2.65, monkeypatch)
    made = found(model, *network(6000, 1.6))
    assert made.curves is not None and made.curves.after is not None
    before, after = made.curves.before.error, made.curves.after.error
    assert after > before
    assert left_alone(model, made) == (
        f"the log-likelihood would gain {made.summary.gain:.2g} nats a picture, but the "
        f"calibration error would grow from {before:.3f} to {after:.3f}"
    )


def _other_folds_give(temperature: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "edgekit_convert.confidence.calibrate.cross_validate",
        lambda logits, truth, start, seed: np.full(len(truth), temperature),
    )


class TestTies:
    """Two classes a step apart may get the same 8-bit probability, and the first one answers."""

    @staticmethod
    def too_sure(close: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Some pictures show one of two classes, of which the later is a step ahead."""
        logits, truth = network(600, 2.0)
        logits[:close] = 0
        logits[:close, 3] = STEP
        return logits, truth

    def test_they_are_counted(self, model: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
        logits, truth = self.too_sure(3)

        def tied(flatbuffer: bytes, values: NDArray[np.int8]) -> NDArray[np.float32]:
            assert flatbuffer is not model
            answers = answer_integers(flatbuffer, values)
            answers[:3] = answers[:3].max(axis=1, keepdims=True)
            return answers

        answers = answered(model, logits)
        monkeypatch.setattr("edgekit_convert.confidence.calibrate.answer_integers", tied)
        summary = calibrate(model, answers, pictures(truth)).summary
        assert (summary.reason, summary.tied) == ("", 3)

    def test_many_are_a_reason_to_leave_it(
        self, model: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        logits, truth = self.too_sure(0)
        answers = answered(model, logits)
        monkeypatch.setattr(
            "edgekit_convert.confidence.calibrate.answer_integers",
            lambda flatbuffer, values: np.roll(answers.probabilities, 1, axis=1),
        )
        made = calibrate(model, answers, pictures(truth))
        assert "of 600 pictures otherwise with a temperature of" in left_alone(model, made)
        assert made.summary.tied == 0
