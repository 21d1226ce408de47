"""From the name of a source to the source."""

import os
import re
import socket
from pathlib import Path

import numpy as np
import pytest
from edgekit_device.config.settings import Settings
from edgekit_device.sources import EndOfSource, is_live, open_source, opening

from edgekit.errors import ConfigurationError, SourceError
from edgekit.inference.frame import Frame
from edgekit.model.geometry import Geometry
from edgekit.redaction import address_name
from edgekit.settings import keys
from edgekit.vision.folders import image_files
from tests.conftest import ROOT
from tests.device.sources.opened import open_live
from tests.recordings import Edgekit


def test_a_source_must_be_set() -> None:
    for settings in (Settings(), Settings(source="")):
        with pytest.raises(ConfigurationError, match="no source: pass --source"):
            is_live(settings)
        with pytest.raises(ConfigurationError, match="no source"):
            open_source(settings)


@pytest.mark.parametrize(
    ("source", "live"),
    [
        ("test:", True),
        ("picamera2:", True),
        ("v4l2:/dev/video0", True),
        ("0", True),
        ("rtsp://camera/live", True),
        ("clip.mp4", False),
        ("photos/", False),
    ],
)
def test_cameras_are_live_and_recordings_are_not(source: str, live: bool) -> None:
    assert is_live(Settings(source=source)) is live


class NoiseSource:
    """A few frames of noise, as if a camera gave them."""

    live = True
    dropped = 0
    damaged = 0
    message = ""

    def __init__(self, name: str) -> None:
        self.name = name
        self._left = int(name.removeprefix("noise:"))

    def read(self, timeout: float) -> Frame | None:
        if not self._left:
            raise EndOfSource
        self._left -= 1
        pixels = np.random.default_rng(self._left).integers(0, 256, (48, 64, 3), dtype=np.uint8)
        return Frame(0, pixels, 0.0, 0.0, position=self._left)

    def expect(self, geometry: Geometry) -> None:
        pass

    def close(self) -> None:
        pass


def test_a_source_is_added_in_one_place(
    edgekit: Edgekit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = opening.SourceKind(
        help="noise:3",
        recognizes=lambda name: name.startswith("noise:"),
        live=True,
        open=lambda name, settings: NoiseSource(name),
    )
    monkeypatch.setattr(opening, "SOURCES", (noise, *opening.SOURCES))
    settings = Settings(source="noise:4")
    assert is_live(settings)
    source = open_source(settings)
    assert isinstance(source, NoiseSource)
    assert source.name == "noise:4"
    done = edgekit("collect", "--source", "noise:4", "--output", tmp_path / "pictures")
    assert "kept 4 of 4 frames" in done.stderr
    assert len(image_files(tmp_path / "pictures")) == 4
    with pytest.raises(SourceError, match=r"no source at nose:4; name .*, or noise:3$"):
        open_source(Settings(source="nose:4"))


def test_the_option_and_the_docs_name_every_kind() -> None:
    (option,) = (key for key in keys(Settings) if key.path == "source")
    page = (ROOT / "docs" / "sources.md").read_text(encoding="utf-8")
    for kind in opening.SOURCES:
        for word in re.findall(r"\w+:\S*|video|folder", kind.help):
            assert word in str(option.meta.description)
            assert word in page


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no source at .*/nowhere\.avi; name a video file"):
        open_source(Settings(source=str(tmp_path / "nowhere.avi")))


@pytest.mark.parametrize("name", ["x" * 300, "v4l2:" + "x" * 300, "/dev/" + "x" * 300, "9" * 300])
def test_a_name_that_no_file_can_have_is_no_source(name: str) -> None:
    is_live(Settings(source=name))
    with pytest.raises(SourceError, match=r"no (source|camera) at "):
        open_source(Settings(source=name))


def test_a_pipe_is_no_recording(tmp_path: Path) -> None:
    """Whoever opens one may wait for ever."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SourceError, match=r"pipe: it is no file and no folder; name "):
        open_source(Settings(source=str(tmp_path / "pipe")))


def test_a_folder_that_may_not_be_entered_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def stat(_path: Path) -> None:  # what root does not see
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "stat", stat)
    with pytest.raises(SourceError, match=r"no source at /root/x: Permission denied; name "):
        open_source(Settings(source="/root/x"))


def test_a_misspelt_address_keeps_its_password() -> None:
    with pytest.raises(SourceError, match=r"no source at rtps://.{3}@camera/live; name") as raised:
        open_source(Settings(source="rtps://admin:secret@camera/live"))
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("rtsp://camera.local:8554/live/main", "rtsp://camera.local:8554/live/main"),
        ("RTSP://10.0.0.7", "rtsp://10.0.0.7"),
        ("rtsp://[fe80::1]:554/live", "rtsp://[fe80::1]:554/live"),
        ("rtsp://admin:secret@10.0.0.7/live", "rtsp://10.0.0.7/live"),
        ("rtsps://admin:sec@ret@10.0.0.7/live", "rtsps://10.0.0.7/live"),
        ("rtsp://admin:sec/ret@10.0.0.7/live", "rtsp://10.0.0.7/live"),
        # Nobody can tell where the password ends.
        ("rtsp://admin:sec?r#et@10.0.0.7/live", "rtsp://***"),
        ("http://10.0.0.7/video?user=admin&pwd=secret", "http://10.0.0.7/video"),
        ("http://10.0.0.7/video#secret", "http://10.0.0.7/video"),
        ("rtsp://10.0.0.7/user=admin&password=secret&channel=1", "rtsp://10.0.0.7/"),
        ("rtsp://10.0.0.7/live/token=secret/1", "rtsp://10.0.0.7/live/"),
    ],
)
def test_a_name_shows_nothing_that_may_be_secret(url: str, name: str) -> None:
    assert address_name(url) == name


def test_an_address_that_nobody_listens_on_is_an_error() -> None:
    with socket.socket() as taken:
        # Bound, so that nobody else has it, and never listened on.
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}/live"
        with pytest.raises(SourceError, match=rf"^rtsp://{address} does not open") as raised:
            open_live(f"rtsp://admin:secret@{address}", timeout=30)
    assert "secret" not in str(raised.value)
