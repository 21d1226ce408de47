"""The profile in a manifest: what is kept, and what is refused of files from anywhere."""

import math
from typing import Any

import msgspec
import pytest

from edgekit.model.profile import ANSWER_FIGURES, PICTURE_FIGURES, QUANTILES, Profile

LINE = [float(value) for value in range(QUANTILES)]


def reference(names: tuple[str, ...], **changed: Any) -> dict[str, Any]:
    figures = dict.fromkeys(names, LINE)
    return {"images": 9, "source": "calibration", "figures": figures} | changed


def decode(profile: dict[str, Any]) -> Profile:
    return msgspec.json.decode(msgspec.json.encode(profile), type=Profile)


def test_a_profile_comes_back_as_it_was_written() -> None:
    written = {"pictures": reference(PICTURE_FIGURES), "answers": reference(ANSWER_FIGURES)}
    assert msgspec.to_builtins(decode(written)) == written


def test_it_is_one_line_as_text() -> None:
    both = decode(
        {
            "pictures": reference(PICTURE_FIGURES, images=12, source="calibration and evaluation"),
            "answers": reference(ANSWER_FIGURES, images=7, source="evaluation"),
        }
    )
    assert str(both) == (
        "looks of 12 calibration and evaluation pictures, answers to 7 evaluation pictures"
    )
    assert str(Profile()) == "empty"


@pytest.mark.parametrize(
    "changed",
    [
        {"images": 0},
        {"images": 2**40},
        {"source": "somewhere"},
        {"figures": {}},
        {"figures": dict.fromkeys((*ANSWER_FIGURES, "surprise"), LINE)},
        {"figures": dict.fromkeys(ANSWER_FIGURES, LINE[1:])},
        {"figures": {name: [*LINE, 99] for name in ANSWER_FIGURES}},
        {"figures": dict.fromkeys(ANSWER_FIGURES, LINE[::-1])},
        {"figures": {name: [1e300] * QUANTILES for name in ANSWER_FIGURES}},
        {"figures": {name: [None] * QUANTILES for name in ANSWER_FIGURES}},
        {"figures": {name: ["0"] * QUANTILES for name in ANSWER_FIGURES}},
        {"more": 1},
    ],
)
def test_what_cannot_be_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        decode({"answers": reference(ANSWER_FIGURES, **changed)})


def test_numbers_that_json_does_not_have_are_refused() -> None:
    text = msgspec.json.encode({"answers": reference(ANSWER_FIGURES)}).replace(b"20.0", b"1e999")
    with pytest.raises((msgspec.DecodeError, msgspec.ValidationError)):
        msgspec.json.decode(text, type=Profile)


def test_equal_quantiles_ascend() -> None:
    constant = {name: [0.5] * QUANTILES for name in ANSWER_FIGURES}
    profile = decode({"answers": reference(ANSWER_FIGURES, figures=constant)})
    assert profile.answers is not None
    assert not math.isnan(profile.answers.figures["score"][0])
