"""Recordings of plain colours, and a model that names them."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result
from edgekit_device.collect import command as collect
from edgekit_device.daemon import record
from numpy.typing import NDArray

from edgekit.commands import compare, evaluate, replay, tune
from edgekit.errors import EdgekitError
from tests.tiny import tiny_model

SHADES = {
    "red": (250, 20, 10), "green": (20, 250, 10), "blue": (20, 10, 250), "black": (0, 0, 0),
    "grey": (120, 120, 120),
}  # fmt: skip
FPS = 10
MODULES = {
    "collect": collect, "compare": compare, "evaluate": evaluate, "record": record,
    "replay": replay, "tune": tune,
}  # fmt: skip
Edgekit = Callable[..., Result]


def picture(colour: str, height: int = 24, width: int = 32) -> NDArray[np.uint8]:
    """A frame of one colour with a little structure, RGB."""
    pixels = np.full((height, width, 3), SHADES[colour], np.uint8)
    if colour != "black":
        pixels[::4] //= 2
    return pixels


def write_video(path: Path, colours: Sequence[str], fps: float = FPS) -> Path:
    """A video of such frames."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), fps, (32, 24))
    assert writer.isOpened()
    for colour in colours:
        writer.write(cv2.cvtColor(picture(colour), cv2.COLOR_RGB2BGR))
    writer.release()
    return path


def write_pictures(folder: Path, colours: Sequence[str]) -> Path:
    """The same as an image folder."""
    folder.mkdir()
    for number, colour in enumerate(colours):
        bgr = cv2.cvtColor(picture(colour), cv2.COLOR_RGB2BGR)
        assert cv2.imwrite(str(folder / f"{number:04}.png"), bgr)
    return folder


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Names the strongest of red, green and blue."""
    return tiny_model(tmp_path_factory.mktemp("tiny") / "colours.tflite")


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Four seconds: red, green, blue, and red again."""
    colours = [name for name in ("red", "green", "blue", "red") for _ in range(10)]
    return write_video(tmp_path / "colours.avi", colours)


@pytest.fixture
def edgekit(monkeypatch: pytest.MonkeyPatch) -> Edgekit:
    """Run a command in this process; expected failures come back as the result's exception."""
    # A thread that another test has left in a driver must not end all tests.
    monkeypatch.setattr("os._exit", sys.exit)

    def run(name: str, *arguments: object) -> Result:
        result = CliRunner().invoke(MODULES[name].command, [str(one) for one in arguments])
        unexpected = result.exception
        if unexpected is not None and not isinstance(unexpected, (EdgekitError, SystemExit)):
            raise unexpected
        return result

    return run


def failure(result: Result) -> str:
    """The one line that a failed command's user sees."""
    assert isinstance(result.exception, EdgekitError), result.output
    message = str(result.exception)
    assert "\n" not in message
    return message
