"""What is said of how much a model sees."""

from typing import Any

import numpy as np
import pytest

from edgekit.inference.frame import Frame
from edgekit.inference.looking import Look, Looking
from edgekit.model.geometry import Geometry
from edgekit.vision.view import Region, ViewSettings

SQUARE = Geometry(224, 224)


def frame(width: int = 640, height: int = 480, **view: Any) -> Frame:
    settings = ViewSettings(**view)
    pixels = np.zeros((height, width, 3), np.uint8)
    return Frame(0, pixels, 0.0, 0.0, region=settings.looks_at, view=settings)


@pytest.mark.parametrize(
    ("seen", "text"),
    [
        (frame(), "looks at the middle 480 x 480 of 640 x 480 pixels"),
        (frame(480), "looks at all of 480 x 480 pixels"),
        (
            frame(region=(0.5, 0, 0.5, 1)),
            "looks at 320 x 320 of 640 x 480 pixels, from (320, 80) on",
        ),
        (
            frame(region=(0, 0, 0.1, 0.1)),
            "looks at 48 x 48 of 640 x 480 pixels, from (8, 0) on; the model takes 224 x 224, so "
            "that they are enlarged: choose a larger region, or larger frames",
        ),
        (
            frame(masks=((0, 0, 1, 0.25),)),
            "looks at the middle 480 x 480 of 640 x 480 pixels; masks hide 25.0% of that",
        ),
        # A mask beside what the model sees is for the others.
        (frame(masks=((0, 0, 0.1, 1),)), "looks at the middle 480 x 480 of 640 x 480 pixels"),
    ],
    ids=["middle", "all", "region", "small", "masked", "beside"],
)
def test_a_line_says_how_much(seen: Frame, text: str) -> None:
    look = Look.at(seen, SQUARE)
    assert str(look) == text
    assert look.is_worth_telling == ("looks at all" not in text)


def test_the_part_is_in_fractions_of_the_frame() -> None:
    assert Look.at(frame(), SQUARE).sees == Region(0.125, 0, 0.75, 1)


def test_masks_that_hide_all_that_this_model_sees_are_noticed() -> None:
    # Something is left beside the middle, and the model does not look there.
    assert Look.at(frame(masks=((0.125, 0, 0.75, 1),)), SQUARE).is_blind
    assert not Look.at(frame(masks=((0.2, 0, 0.675, 1),)), SQUARE).is_blind


def test_it_is_news_once_and_when_it_changes() -> None:
    looking, first = Looking(), frame()
    assert looking.news(first, SQUARE) is not None
    assert looking.news(first, SQUARE) is None
    assert looking.news(frame(), SQUARE) is None
    for other in (frame(320, 240), frame(mirror=True), frame(region=(0, 0, 1, 0.5))):
        assert looking.news(other, SQUARE) is not None
    assert looking.news(other, Geometry(32, 32)) is not None
