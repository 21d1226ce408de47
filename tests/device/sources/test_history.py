"""The pictures of a history as a source."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from edgekit_device.collect.command import command as collect
from edgekit_device.config.settings import HistorySettings, Settings
from edgekit_device.history.entries import Item
from edgekit_device.history.store import Store
from edgekit_device.sinks import SINKS
from edgekit_device.sinks.base import Host
from edgekit_device.sources import EndOfSource, is_live, open_source
from edgekit_device.sources.history import HistoryPictures

from edgekit.errors import ConfigurationError, SourceError
from edgekit.offline.recording import Recording
from edgekit.vision.encode import encode_jpeg
from edgekit.vision.turning import GREY
from edgekit.vision.view import ViewSettings
from tests.device.history.samples import NOON, make_item


def shade(number: int) -> Item:
    """The event of frame `number`, whose picture is of one grey, and darker to the right."""
    pixels = np.full((24, 32, 3), 20 * number, np.uint8)
    pixels[:, 16:] //= 2
    label = ("cup", "mug")[number % 2]
    return make_item(number, label)._replace(jpeg=encode_jpeg(pixels, 95))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "history"
    folder.mkdir()
    store = Store(folder, 30, 10)
    items = [shade(number) for number in range(1, 7)]
    items[3] = items[3]._replace(at=NOON)  # the clock went back
    store.write([*items, make_item(7, size=0), make_item(8)], NOON)
    store.close()
    return folder


def test_gives_the_pictures_in_their_order_and_with_their_times(folder: Path) -> None:
    settings = Settings(source=f"history:{folder}")
    assert not is_live(settings)
    source = open_source(settings)
    frames = []
    with pytest.raises(EndOfSource):
        while True:
            frame = source.read(30)
            assert frame is not None
            frames.append(frame)
    source.close()
    assert [round(float(frame.pixels[0, 0, 0]) / 20) for frame in frames] == [1, 2, 3, 4, 5, 6]
    assert [frame.time for frame in frames] == [0, 60, 120, 120, 240, 300]
    assert [frame.number for frame in frames] == [*range(6)]
    assert source.name == "history"
    # One is no picture at all.
    assert "JPEG" in source.message
    assert "1 pictures are damaged" in source.message


@pytest.mark.parametrize(
    ("query", "shades"),
    [
        ("label=cup", [2, 4, 6]),
        ("from=2025-06-01T12:05:00Z", [5, 6]),
        ("label=mug&to=2025-06-01T12:02:00Z", [1]),
    ],
)
def test_may_be_narrowed(folder: Path, query: str, shades: list[int]) -> None:
    pictures = HistoryPictures(f"history:{folder}?{query}")
    assert [round(float(frame.pixels[0, 0, 0]) / 20) for frame in pictures] == shades


def test_pictures_are_turned_already_and_masked_once_more(folder: Path) -> None:
    view = ViewSettings(rotate=90, mirror=True, masks=((0, 0, 1, 0.5),), region=(0, 0.5, 1, 0.5))
    frame = next(iter(HistoryPictures(f"history:{folder}", view)))
    assert frame.pixels.shape == (24, 32, 3)
    assert (frame.pixels[:12] == GREY).all()
    assert frame.pixels[20, 5, 0] > frame.pixels[20, 25, 0]
    assert frame.region == (0, 0.5, 1, 0.5)


@pytest.mark.parametrize(
    ("ending", "message"),
    [
        ("-gone", "no history at"), ("?limit=3", "is narrowed by from, to, label"),
        ("?label=dog", "has no pictures like that"), ("?from=now", "not a time like"),
        ("?label=cup&label=mug", "each once"), ("?label=", "narrowed by"),
    ],
)  # fmt: skip
def test_what_is_none_is_said_at_once(folder: Path, ending: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        open_source(Settings(source=f"history:{folder}{ending}"))


def test_is_not_read_and_written_at_once(folder: Path) -> None:
    (entry,) = (entry for entry in SINKS if entry.name == "history")
    history = HistorySettings(folder=folder)

    def health() -> None:
        raise NotImplementedError

    with pytest.raises(ConfigurationError, match="read and written at once"):
        entry.open(Settings(source=f"history:{folder}", history=history), Host(health))  # type: ignore[arg-type]


def test_a_history_that_is_taken_for_a_recording_names_what_makes_one(folder: Path) -> None:
    with pytest.raises(SourceError, match="edgekit record --source history:"):
        Recording(folder)


def test_collect_takes_from_it(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "pictures"
    done = CliRunner().invoke(
        collect, ["--source", f"history:{folder}?label=cup", "--output", str(output)]
    )
    assert done.exit_code == 0, done.output
    assert len([*output.glob("*.png")]) >= 2
