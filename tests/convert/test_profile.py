"""The profile that a conversion puts into the model file: of which pictures, and how much of it."""

import msgspec
import numpy as np
import pytest
from edgekit_convert import profile as module
from edgekit_convert.pictures import Pictures
from edgekit_convert.profile import make_profile
from edgekit_convert.progress import Reporter

from edgekit.model.profile import QUANTILES, Profile
from tests.tiny import SIZE, tiny_flatbuffer

MODEL = tiny_flatbuffer()


def pictures(*values: int) -> Pictures:
    """Grey ones."""
    tensors = np.stack([np.full((SIZE, SIZE, 3), value, np.uint8) for value in values])
    return Pictures(tensors, [str(value) for value in values], "0" * 64)


def made(calibration: Pictures | None, evaluation: Pictures | None) -> Profile:
    found = make_profile(MODEL, calibration, evaluation, Reporter())
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
    calibration: Pictures | None, evaluation: Pictures | None
) -> None:
    reporter = Reporter()
    assert make_profile(MODEL, calibration, evaluation, reporter) is None
    assert len(reporter.notes) == 1
    assert "drift will not be noticed" in reporter.notes[0]
    assert not reporter.seconds


@pytest.mark.parametrize(("dtype", "zero_point"), [("UINT8", 0), ("INT8", -128), ("FLOAT32", 0)])
def test_answers_are_those_of_the_model_that_is_written(dtype: str, zero_point: int) -> None:
    model = tiny_flatbuffer(dtype=dtype, zero_point=zero_point)
    found = make_profile(model, pictures(*range(100, 130)), None, Reporter())
    assert found is not None
    assert found.answers is not None
    # Grey pictures: three equal probabilities, in steps of 1/256.
    assert found.answers.figures["score"] == [pytest.approx(85 / 256, abs=1 / 256)] * QUANTILES


def test_of_many_pictures_some_are_answered_from_the_first_to_the_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAXIMUM_ANSWERED", 3)
    many = pictures(*range(60, 90))
    many.tensors[-1, ..., 0] = 255
    found = made(many, None)
    assert counts(found) == [(30, "calibration"), (3, "calibration")]
    assert found.answers is not None
    assert found.answers.figures["score"][0] == pytest.approx(85 / 256, abs=1 / 256)
    assert found.answers.figures["score"][-1] > 0.7


def test_a_manifest_has_room_for_it() -> None:
    found = made(pictures(*range(20, 80)), pictures(*range(100, 160)))
    assert len(msgspec.json.encode(found)) < 2048
