"""What is measured of pictures and answers, and what it does not depend on."""

import math

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgekit.inference.figures import answer_figures, picture_figures
from edgekit.model.profile import ANSWER_FIGURES, PICTURE_FIGURES


def measured(picture: NDArray[np.uint8]) -> dict[str, float]:
    return dict(zip(PICTURE_FIGURES, picture_figures(picture[None]), strict=True))


def squares(side: int = 96) -> NDArray[np.uint8]:
    """Coloured squares of 8 x 8 pixels, of 20 to 120 each, (side, side, 3)."""
    coarse = np.random.default_rng(1).integers(20, 121, (side // 8, side // 8, 3), np.uint8)
    return coarse.repeat(8, axis=0).repeat(8, axis=1)


def uniform(red: int, green: int, blue: int) -> NDArray[np.uint8]:
    return np.full((16, 16, 3), (red, green, blue), np.uint8)


def test_brightness_and_contrast_are_those_of_luma() -> None:
    halves = uniform(100, 100, 100)
    halves[:, 8:] = 200
    assert measured(halves)["brightness"] == 150
    assert measured(halves)["contrast"] == pytest.approx(math.log10(51))
    assert measured(uniform(255, 255, 255))["brightness"] == 255


@pytest.mark.parametrize(
    ("colour", "warmth", "greenness"),
    [
        ((120, 120, 120), 0, 0),
        ((150, 120, 90), +1, 0),
        ((90, 120, 150), -1, 0),
        ((120, 150, 120), 0, +1),
        ((150, 90, 150), 0, -1),
    ],
)
def test_a_cast_has_a_direction(colour: tuple[int, int, int], warmth: int, greenness: int) -> None:
    found = measured(uniform(*colour))
    assert np.sign(round(found["warmth"], 3)) == warmth
    assert np.sign(round(found["greenness"], 3)) == greenness


def test_the_light_changes_neither_cast_nor_sharpness_much() -> None:
    bright = measured((squares() * 2).astype(np.uint8))
    dim = measured(squares())
    for name in ("warmth", "greenness"):
        assert bright[name] == pytest.approx(dim[name], abs=0.005)
    assert bright["sharpness"] == pytest.approx(dim["sharpness"], abs=0.02)


def test_each_blur_takes_sharpness_away_and_noise_adds_it() -> None:
    picture = squares()
    course = [
        measured(np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.uint8))["sharpness"]
        for sigma in (0.3, 1, 2, 4)
    ]
    assert course == sorted(course, reverse=True)
    assert course[0] - course[-1] > 0.5
    noise = np.random.default_rng(0).integers(0, 256, picture.shape, np.uint8)
    assert measured(noise)["sharpness"] > course[0]


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (3, 2), (5, 64)])
def test_pictures_of_any_size_and_of_one_value_have_finite_figures(size: tuple[int, int]) -> None:
    for value in (0, 255):
        assert all(map(math.isfinite, picture_figures(np.full((1, *size, 3), value, np.uint8))))


@pytest.mark.parametrize("scores", [[0.125, 0.625, 0.25], [0.625, 0.625, 0.5], [0.625]])
def test_of_an_answer_the_best_score_counts(scores: list[float]) -> None:
    found = answer_figures(np.array(scores, np.float32))
    assert dict(zip(ANSWER_FIGURES, found, strict=True)) == {"score": 0.625}
