"""The generated picture."""

import numpy as np
import pytest
from edgekit_device.config.settings import CameraSettings, Settings
from edgekit_device.sources import open_source
from edgekit_device.sources.pattern import draw


def test_each_frame_is_the_same_each_time_and_unlike_the_next() -> None:
    assert np.array_equal(draw(7, 320, 240), draw(7, 320, 240))
    assert not np.array_equal(draw(7, 320, 240), draw(8, 320, 240))


def test_it_is_colourful() -> None:
    red, yellow, green = (230, 60, 40), (250, 200, 40), (40, 200, 90)
    picture = draw(0, 640, 480)
    for colour in (red, yellow, green):
        assert (picture == colour).all(axis=2).any()


@pytest.mark.parametrize(("width", "height"), [(640, 480), (16, 16), (33, 8000), (1921, 17)])
def test_it_has_the_size_asked_for(width: int, height: int) -> None:
    picture = draw(3, width, height)
    assert picture.shape == (height, width, 3)
    assert picture.dtype == np.uint8


def test_it_is_a_live_source() -> None:
    source = open_source(
        Settings(source="test:", camera=CameraSettings(width=64, height=48, fps=200))
    )
    assert (source.name, source.live) == ("test:", True)
    numbers = []
    for _ in range(5):
        frame = source.read(timeout=30)
        assert frame is not None
        assert np.array_equal(frame.pixels, draw(frame.number, 64, 48))
        numbers.append(frame.number)
    assert numbers == sorted(set(numbers))
    source.close()
