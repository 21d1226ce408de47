"""The score by which a search chooses, on a toy classifier."""

from collections.abc import Callable

import numpy as np
import pytest
from edgekit_convert.answers import Answer, Answers
from edgekit_convert.graph.execution import tflite_answer
from edgekit_convert.quantize.recipes import Score
from edgekit_convert.verify import scoring as scoring_module
from edgekit_convert.verify.scoring import scoring
from numpy.typing import NDArray

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


class TestRace:
    """One that is clearly worse than the best so far answers no more pictures."""

    # Each shows its own number.
    PICTURES = np.arange(40, dtype=np.uint8).reshape(40, 1, 1, 1)
    EXACT = normal(40, 4)

    @pytest.fixture
    def race(self, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Score]]:
        """Scores, one after the other, of models that miss the logits of each picture by so much.

        Args:
            errors: of each model, (40,) or one for all.
        """

        def run(*errors: NDArray[np.float64] | float, count: int = 40) -> list[Score]:
            noise = normal(40, 4, seed=5)

            def answering(model: bytes, threads: int) -> Answer:
                error = np.broadcast_to(errors[int(model)], 40)[:, None]
                logits = (self.EXACT + error * noise).astype(np.float32)
                return lambda pictures: Answers.of_logits(logits[pictures.reshape(-1)])

            monkeypatch.setattr(scoring_module, "tflite_answer", answering)
            score = scoring(self.PICTURES[:count], Answers.of_logits(self.EXACT[:count]), 1)
            return [score(str(number).encode()) for number in range(len(errors))]

        return run

    def test_the_clearly_worse_is_dropped_at_the_first_look(
        self, race: Callable[..., list[Score]]
    ) -> None:
        best, worse = race(0.01, 0.02)
        assert (best.images, best.dropped) == (40, False)
        assert (worse.images, worse.dropped) == (16, True)

    def test_its_figures_are_those_of_the_pictures_that_it_answered(
        self, race: Callable[..., list[Score]]
    ) -> None:
        best, dropped = race(0.01, 0.1)
        # A tenth of the noise, whichever pictures these are.
        assert dropped.snr_db == pytest.approx(best.snr_db - 20, abs=3)
        assert dropped.agreement > 0.8
        assert dropped.kl < 0.01

    def test_the_better_is_what_the_next_are_compared_with(
        self, race: Callable[..., list[Score]]
    ) -> None:
        _, better, between = race(0.1, 0.001, 0.01)
        assert (better.images, better.dropped) == (40, False)
        assert between.dropped

    def test_one_that_is_worse_by_chance_is_not_dropped(
        self, race: Callable[..., list[Score]]
    ) -> None:
        # Half of the pictures better, half of them worse, and a little more so.
        mixed = np.where(np.arange(40) % 2, 0.005, 0.022)
        best, other = race(0.01, mixed)
        assert other.snr_db < best.snr_db
        assert (other.images, other.dropped) == (40, False)

    @pytest.mark.parametrize("part", [slice(16), slice(-16, None)])
    def test_pictures_side_by_side_decide_nothing(
        self, race: Callable[..., list[Score]], part: slice
    ) -> None:
        # They may be of one class, at which a model that is better at all others is bad.
        errors = np.full(40, 0.001)
        errors[part] = 0.03
        best, other = race(0.01, errors)
        assert other.snr_db > best.snr_db
        assert (other.images, other.dropped) == (40, False)

    def test_the_last_look_drops_nothing_as_all_was_answered(
        self, race: Callable[..., list[Score]]
    ) -> None:
        _, worse = race(0.01, 0.1, count=16)
        assert (worse.images, worse.dropped) == (16, False)

    def test_of_a_single_picture_nothing_is_clear(self, race: Callable[..., list[Score]]) -> None:
        assert not any(one.dropped for one in race(0.01, 0.1, count=1))
