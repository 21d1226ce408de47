"""What inputs were normalized with, by the pixels that come out of them."""

import numpy as np
import pytest
from edgekit_convert.feeding.pixels import KNOWN, is_flat, is_whole, recognize, undo
from edgekit_convert.weights.trained import normalize
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgekit.model.manifest import Normalization
from tests.convert.toys import noise

IMAGENET, HALF, TO_1 = KNOWN[0], KNOWN[1], KNOWN[2]
PICTURES = noise(4, 16, 16, 3)
# Each channel has black and white.
PICTURES[0, 0, 0], PICTURES[0, 0, 1] = 0, 255


def _values(normalization: Normalization, *, resized: bool = False) -> NDArray[np.float32]:
    """Of the pictures, channel by channel; resized in floating point, but for the extremes."""
    values = normalize(PICTURES, normalization)
    if resized:
        soft = 0.63 * values + 0.37 * np.roll(values, 1, axis=3)
        soft[0, :, 0, :2] = values[0, :, 0, :2]
        values = soft
    return values.transpose(1, 0, 2, 3).reshape(3, -1)


@pytest.mark.parametrize("true", KNOWN)
@pytest.mark.parametrize("asked", [IMAGENET, HALF, TO_1])
@pytest.mark.parametrize("resized", [False, True])
def test_every_known_normalization_is_found_whatever_was_asked_for(
    true: Normalization, asked: Normalization, resized: bool
) -> None:
    found = recognize(_values(true, resized=resized), asked)
    assert found.normalization == true
    # Resized, the one asked for is not contradicted, which shows nothing.
    assert found.shown == (not resized or true != asked)


@settings(deadline=None)
@given(
    st.tuples(*[st.floats(0.2, 0.6)] * 3), st.tuples(*[st.floats(0.15, 0.5)] * 3)
)  # fmt: skip
def test_any_that_was_asked_for_gives_back_the_pixels_to_the_byte(
    mean: tuple[float, float, float], std: tuple[float, float, float]
) -> None:
    asked = Normalization(mean, std)
    values = _values(asked)
    assert recognize(values, asked) == (asked, True)
    pixels = PICTURES.transpose(3, 0, 1, 2).reshape(3, -1)
    assert np.array_equal(undo(values, asked).round(), pixels)


def test_what_gives_no_pixels_is_nothing() -> None:
    assert recognize(_values(IMAGENET) * 9, IMAGENET) == (None, False)
    assert not is_whole(undo(_values(IMAGENET) + np.float32(0.004), IMAGENET))


def test_without_black_and_white_nothing_contradicts_what_was_asked_for() -> None:
    # From -1 to 1, resized and dim: undone with ImageNet's mean they are pixels as well.
    assert recognize(0.6 * _values(HALF, resized=True), IMAGENET) == (IMAGENET, False)


def test_a_picture_of_one_colour_is_flat() -> None:
    colour = np.tile(np.array([[0.1], [0.5], [0.9]], np.float32), 100)
    assert is_flat(colour)
    assert not is_flat(colour + np.linspace(0, 0.1, 100, dtype=np.float32))


def test_one_that_is_nearly_a_usual_one_is_not_taken_for_it() -> None:
    asked = Normalization(IMAGENET.mean, (0.2285, 0.224, 0.225))
    assert recognize(_values(asked, resized=True), asked) == (asked, False)
