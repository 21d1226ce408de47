"""The score by which a search chooses, on a toy classifier."""

import numpy as np
import pytest
from edgekit_convert.answers import Answers
from edgekit_convert.graph.execution import tflite_answer
from edgekit_convert.verify.scoring import scoring

from tests.convert.toys import Toy, noise, normal

PICTURES = noise(2, 2, 2, 3)


def _classifier() -> bytes:
    toy = Toy(2, 2)
    return toy.build(toy.softmax(toy.dense(toy.mean(toy.image), normal(4, 3) / 99, normal(4))))


def test_a_model_is_exact_beside_itself() -> None:
    exact = tflite_answer(_classifier(), 1)(PICTURES)
    score = scoring(PICTURES, exact, 1)(_classifier())
    assert (score.images, score.agreement, score.snr_db) == (2, 1.0, 200.0)
    assert score.kl == pytest.approx(0, abs=1e-9)


def test_the_ratio_is_the_mean_of_each_pictures_own() -> None:
    found = tflite_answer(_classifier(), 1)(PICTURES)
    # The logits are a tenth and a hundredth too small: 20 and 40 dB, whatever is added to all.
    reference = Answers.of_logits(found.logits / np.array([[0.9], [0.99]], np.float32) + 3)
    assert scoring(PICTURES, reference, 1)(_classifier()).snr_db == pytest.approx(30, abs=0.02)


def test_agreement_and_divergence() -> None:
    found = tflite_answer(_classifier(), 1)(PICTURES)
    other = found.logits.copy()
    other[1] = np.roll(other[1], 1)
    score = scoring(PICTURES, Answers.of_logits(other), 1)(_classifier())
    assert score.agreement == 0.5
    exact, rounded = (
        np.exp(values[1]) / np.exp(values[1]).sum() for values in (other, found.logits)
    )
    assert score.kl == pytest.approx(float((exact * np.log(exact / rounded)).sum()) / 2, rel=1e-4)
