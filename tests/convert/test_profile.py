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
    """Grey ones, but for a red that stands out by ten times their number."""
    tensors = np.stack([np.full((SIZE, SIZE, 3), value, np.uint8) for value in values])
    for number, one in enumerate(tensors):
        one[..., 0] += 10 * number
    return Pictures(tensors, [str(value) for value in values], "0" * 64)


def made(calibration: Pictures | None, evaluation: Pictures | None) -> Profile:
    found = make_profile(MODEL, calibration, evaluation, Reporter())
    assert found is not None
    return found


def test_pictures_are_all_real_ones_and_answers_those_to_the_evaluation() -> None:
    found = made(pictures(20, 40, 60), pictures(100, 200))
    assert found.pictures is not None
    assert found.answers is not None
    assert (found.pictures.images, found.pictures.source) == (5, "calibration and evaluation")
    assert (found.answers.images, found.answers.source) == (2, "evaluation")
    brightness = found.pictures.figures["brightness"]
    assert len(brightness) == QUANTILES
    assert (brightness[0], brightness[QUANTILES // 2], brightness[-1]) == (20, 66, 203)


def test_without_an_evaluation_answers_are_to_the_calibration_pictures() -> None:
    found = made(pictures(20, 40, 60), None)
    assert found.pictures is not None
    assert found.answers is not None
    assert (found.pictures.source, found.pictures.images) == ("calibration", 3)
    assert (found.answers.source, found.answers.images) == ("calibration", 3)


def test_distilled_pictures_are_none() -> None:
    assert make_profile(MODEL, None, None, Reporter()) is None
    found = made(None, pictures(100, 200))
    assert found.pictures is not None
    assert (found.pictures.source, found.pictures.images) == ("evaluation", 2)


def test_answers_are_those_of_the_model_that_is_written() -> None:
    found = made(pictures(100), None)
    assert found.answers is not None
    # A grey picture: three equal probabilities, in steps of 1/256.
    assert found.answers.figures["score"] == [pytest.approx(85 / 256, abs=1 / 256)] * QUANTILES
    assert found.answers.figures["margin"] == [0.0] * QUANTILES


def test_of_many_pictures_some_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAXIMUM_ANSWERED", 3)
    found = made(pictures(*range(20, 27)), None)
    assert found.pictures is not None
    assert found.answers is not None
    assert (found.pictures.images, found.answers.images) == (7, 3)
    # From the first, with no strongest colour, to the last.
    assert found.answers.figures["margin"][0] == 0
    assert found.answers.figures["score"][-1] > 0.7


def test_a_manifest_has_room_for_it() -> None:
    found = made(pictures(*range(20, 80)), pictures(*range(100, 160)))
    assert len(msgspec.json.encode(found)) < 2048
