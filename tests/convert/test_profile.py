"""The profile that a conversion puts into the model file: of which pictures, and how much of it."""

import msgspec
import numpy as np
import pytest
from edgekit_convert.profile import Seen, make_profile
from edgekit_convert.progress import Reporter

from edgekit.model.profile import QUANTILES, Profile
from tests.tiny import SIZE


def pictures(*values: int) -> Seen:
    """Grey ones, the brighter the surer."""
    tensors = np.stack([np.full((SIZE, SIZE, 3), value, np.uint8) for value in values])
    score = np.array(values, np.float32) / 255
    return Seen(tensors, np.stack([score, 1 - score], axis=1))


def made(calibration: Seen | None, evaluation: Seen | None) -> Profile:
    found = make_profile(calibration, evaluation, Reporter())
    assert found is not None
    return found


def counts(profile: Profile) -> list[tuple[int, str]]:
    assert profile.pictures is not None
    assert profile.answers is not None
    return [(part.images, part.source) for part in (profile.pictures, profile.answers)]


def test_pictures_are_all_real_ones_and_answers_those_to_the_evaluation() -> None:
    found = made(pictures(*range(20, 45)), pictures(*range(101, 121)))
    assert counts(found) == [(45, "calibration and evaluation"), (20, "evaluation")]
    assert found.pictures is not None
    brightness = found.pictures.figures["brightness"]
    assert len(brightness) == QUANTILES
    assert (brightness[0], brightness[QUANTILES // 2], brightness[-1]) == (20, 42, 120)


def test_without_an_evaluation_answers_are_to_the_calibration_pictures() -> None:
    found = made(pictures(*range(20, 45)), None)
    assert counts(found) == [(25, "calibration"), (25, "calibration")]


def test_a_small_evaluation_is_too_small_for_answers() -> None:
    found = made(pictures(*range(20, 45)), pictures(*range(101, 120)))
    assert counts(found) == [(44, "calibration and evaluation"), (25, "calibration")]


def test_distilled_pictures_are_none() -> None:
    found = made(None, pictures(*range(101, 121)))
    assert counts(found) == [(20, "evaluation"), (20, "evaluation")]


@pytest.mark.parametrize(
    ("calibration", "evaluation"),
    [(None, None), (pictures(*range(19)), None), (None, pictures(1)), (pictures(1), pictures(2))],
)
def test_too_few_pictures_make_no_profile_and_it_is_told(
    calibration: Seen | None, evaluation: Seen | None
) -> None:
    reporter = Reporter()
    assert make_profile(calibration, evaluation, reporter) is None
    assert len(reporter.notes) == 1
    assert "drift will not be noticed" in reporter.notes[0]
    assert not reporter.seconds


def test_the_figure_of_an_answer_is_its_best_score() -> None:
    found = made(pictures(*range(20, 45)), pictures(*range(155, 196)))
    assert found.answers is not None
    scores = found.answers.figures["score"]
    middle = QUANTILES // 2
    assert (scores[0], scores[middle], scores[-1]) == pytest.approx(
        (155 / 255, 175 / 255, 195 / 255), abs=1e-5
    )


def test_a_manifest_has_room_for_it() -> None:
    found = made(pictures(*range(20, 80)), pictures(*range(100, 160)))
    assert len(msgspec.json.encode(found)) < 2048
