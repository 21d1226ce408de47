"""Every stage answers the pictures beside the first."""

import numpy as np
import pytest
from edgekit_convert.answers import Answer, Answers
from edgekit_convert.pictures import Pictures
from edgekit_convert.progress import Reporter
from edgekit_convert.verify.fidelity import Kind
from edgekit_convert.verify.ladder import Ladder
from numpy.typing import NDArray

from edgekit.errors import ConversionError

COUNT = 5


@pytest.fixture
def ladder() -> Ladder:
    """For five pictures of one pixel, 0 to 4 in red, whose class is 1 from 2 on."""
    tensors = np.zeros((COUNT, 1, 1, 3), np.uint8)
    tensors[:, 0, 0, 0] = range(COUNT)
    truth = np.array([0, 0, 1, 1, 1])
    return Ladder(Pictures(tensors, [str(i) for i in range(COUNT)], "", truth), Reporter())


def _at_least(limit: int) -> Answer:
    """A network that says 1 for pictures that are as red as that."""

    def answer(pictures: NDArray[np.uint8]) -> Answers:
        red = pictures[:, 0, 0, 0].astype(np.float32)
        return Answers.of_logits(np.stack([np.full_like(red, limit - 0.5), red], axis=1))

    return answer


def test_the_first_stage_is_what_others_are_compared_with(ladder: Ladder) -> None:
    ladder.measure(Kind.REFERENCE, "pytorch", _at_least(2))
    ladder.measure(Kind.INT8, "int8", _at_least(4))
    reference, int8 = (stage.figures for stage in ladder.stages)
    assert (reference.agreement, reference.top1) == (1.0, 1.0)
    assert (int8.agreement, int8.top1) == (0.6, 0.6)
    assert [stage.kind for stage in ladder.stages] == [Kind.REFERENCE, Kind.INT8]


def test_a_sample_is_compared_with_the_answers_to_the_same_pictures(ladder: Ladder) -> None:
    ladder.measure(Kind.REFERENCE, "pytorch", _at_least(3))
    # Pictures 0, 2 and 4, of which the reference has 2 wrong.
    answers = ladder.measure(Kind.FLOAT, "onnx", _at_least(3), maximum=3)
    figures = ladder.stages[1].figures
    assert answers.logits[:, 1].tolist() == [0, 2, 4]
    assert (figures.images, figures.agreement) == (3, 1.0)
    assert figures.top1 == pytest.approx(2 / 3, abs=1e-6)


def test_a_compiled_stage_is_measured_by_its_scores(ladder: Ladder) -> None:
    ladder.measure(Kind.REFERENCE, "pytorch", _at_least(2))
    ladder.measure(Kind.COMPILED, "edgetpu", _at_least(4))
    figures = ladder.stages[1].figures
    assert (figures.agreement, figures.snr_db) == (0.6, None)
    assert figures.score_change is not None and figures.score_change > 0.1


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_answers_that_are_not_finite_numbers_end_a_conversion(ladder: Ladder, value: float) -> None:
    logits = np.array([[0.0, value]] * COUNT, np.float32)
    broken = Answers(logits, np.zeros_like(logits))
    with pytest.raises(ConversionError, match="stage pytorch gives answers that are not finite"):
        ladder.measure(Kind.REFERENCE, "pytorch", lambda pictures: broken)
