"""From the name of a source to the source."""

from pathlib import Path

import pytest
from edgekit_device.config.settings import CameraSettings, Settings
from edgekit_device.sources import is_live, open_source
from edgekit_device.sources.opencv import redacted

from edgekit.errors import ConfigurationError, SourceError


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


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no source at .*/nowhere\.avi; name a video file"):
        open_source(Settings(source=str(tmp_path / "nowhere.avi")))


def test_a_misspelt_address_keeps_its_password() -> None:
    with pytest.raises(SourceError, match="no source at rtps://camera/live; name") as raised:
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
        ("rtsp://admin:sec?r#et@10.0.0.7/live", "rtsp://10.0.0.7/live"),
        ("http://10.0.0.7/video?user=admin&pwd=secret", "http://10.0.0.7/video"),
        ("http://10.0.0.7/video#secret", "http://10.0.0.7/video"),
        ("rtsp://10.0.0.7/user=admin&password=secret&channel=1", "rtsp://10.0.0.7/"),
        ("rtsp://10.0.0.7/live/token=secret/1", "rtsp://10.0.0.7/live/"),
    ],
)
def test_a_name_shows_nothing_that_may_be_secret(url: str, name: str) -> None:
    assert redacted(url) == name


def test_an_address_that_nobody_listens_on_is_an_error() -> None:
    source = "rtsp://admin:secret@127.0.0.1:9/live"
    with pytest.raises(SourceError, match=r"^rtsp://127\.0\.0\.1:9/live does not open") as raised:
        live = open_source(Settings(source=source, camera=CameraSettings(timeout=30)))
        live.read(timeout=30)
    assert "secret" not in str(raised.value)
