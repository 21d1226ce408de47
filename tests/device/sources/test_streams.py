"""Network cameras that deliver, stall, end, vanish, or want a password; over real connections."""

import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from edgekit_device.config.settings import CameraSettings, Settings
from edgekit_device.sources import LiveSource, Source, open_source

from edgekit.errors import SourceError
from edgekit.inference.frame import Frame
from tests.device.sources.clips import SIZE
from tests.device.sources.conftest import DriverThreads
from tests.device.sources.servers import HttpCamera, RtspCamera, Server, serving


def _open(source: str, timeout: float = 30) -> Source:
    return open_source(Settings(source=source, camera=CameraSettings(timeout=timeout)))


def _read(source: Source) -> Frame:
    frame = source.read(timeout=60)
    assert frame is not None
    assert frame.pixels.shape == (SIZE[1], SIZE[0], 3)
    return frame


def _error(source: Source) -> str:
    """What it raises once its frames are read."""
    with pytest.raises(SourceError) as raised:
        while source.read(timeout=60) is not None:
            pass
    source.close()
    return str(raised.value)


@pytest.fixture(params=["rtsp", "http"])
def camera(request: pytest.FixtureRequest, tmp_path: Path) -> Server:
    camera = RtspCamera(tmp_path) if request.param == "rtsp" else HttpCamera()
    request.addfinalizer(camera.close)
    return camera


def _address(camera: Server, user: str = "") -> str:
    scheme = "rtsp" if isinstance(camera, RtspCamera) else "http"
    return f"{scheme}://{user}127.0.0.1:{camera.port}/live"


def test_a_stream_is_a_live_source(camera: Server) -> None:
    source = _open(_address(camera))
    assert (source.name, source.live) == (_address(camera), True)
    numbers = [_read(source).number for _ in range(10)]
    assert numbers == sorted(set(numbers))
    source.close()


def test_a_stream_that_ends_is_an_error(camera: Server) -> None:
    source = _open(_address(camera))
    _read(source)
    camera.stop_sending.set()
    assert _error(source) == (
        f"{source.name} stopped delivering frames; check its address, user and password, and the "
        "network"
    )


def test_a_stream_that_stalls_is_an_error(camera: Server, driver_threads: DriverThreads) -> None:
    camera.hang_up = False
    source = _open(_address(camera), timeout=2)
    _read(source)
    camera.stop_sending.set()
    assert f"{source.name} stalled: no frame for " in _error(source)
    # FFmpeg gives up by itself, long before the half minute that it takes unless it is told.
    for thread in driver_threads():
        thread.join(timeout=10)
    assert not driver_threads()


def test_a_camera_that_was_away_is_opened_again(tmp_path: Path) -> None:
    with serving(RtspCamera(tmp_path)) as camera:
        source = _open(_address(camera))
        _read(source)
    _error(source)
    with serving(RtspCamera(tmp_path)) as camera:
        source = _open(_address(camera))
        _read(source)
        source.close()


def test_a_password_opens_a_camera_and_is_shown_nowhere(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with serving(RtspCamera(tmp_path, password="secret")) as camera:
        source = _open(_address(camera, "admin:secret@"))
        _read(source)
        assert source.name == _address(camera)
        source.close()
    with (
        serving(RtspCamera(tmp_path, password="other")) as camera,
        pytest.raises(
            SourceError, match="does not open; check its address, user and password"
        ) as raised,
    ):
        _read(_open(_address(camera, "admin:secret@")))
    printed = capfd.readouterr()
    assert "secret" not in str(raised.value) + printed.out + printed.err


def test_a_password_from_a_file_opens_a_camera(tmp_path: Path) -> None:
    """Whatever characters it has: FFmpeg undoes the escaping."""
    secret = "p@s:s/w?r#d%41 ß"
    file = tmp_path / "password"
    file.write_text(f"{secret}\n")
    with serving(RtspCamera(tmp_path, password=secret)) as camera:
        settings = Settings(
            source=_address(camera, "admin@"),
            source_password_file=file,
            camera=CameraSettings(timeout=30),
        )
        source = open_source(settings)
        _read(source)
        assert source.name == _address(camera)
        source.close()


def test_a_camera_that_accepts_and_says_nothing_does_not_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        name = f"rtsp://127.0.0.1:{silent.getsockname()[1]}/live"
        # `open_source` comes back all the same, and `read` tells.
        source = _open(name, timeout=1.5)
        with pytest.raises(SourceError, match=f"^{name} d(id|oes) not open"):
            source.read(timeout=60)
        source.close()


def _emptied(jpeg: bytes) -> bytes:
    return jpeg[:2] + bytes(len(jpeg) - 4) + jpeg[-2:]


def _cut(jpeg: bytes) -> bytes:
    return jpeg[:-60]


def _without_its_middle(jpeg: bytes) -> bytes:
    return jpeg[:-60] + jpeg[-2:]


@pytest.mark.parametrize("damage", [_emptied, _cut, _without_its_middle])
def test_damaged_pictures_are_dropped_and_counted_and_do_not_end_a_stream(
    damage: Callable[[bytes], bytes],
) -> None:
    with serving(HttpCamera()) as camera:
        camera.damage = damage
        source = _open(_address(camera))
        assert isinstance(source, LiveSource)
        _read(source)
        camera.to_damage = 2
        assert camera.mended.wait(timeout=30)
        # How many are under way depends on how busy this machine is.
        deadline = time.monotonic() + 60
        after = 0
        while after < 5 and time.monotonic() < deadline:
            after += source.damaged >= 2
            pixels = _read(source).pixels
            assert pixels.max() - pixels.min() <= 2
        assert source.damaged == 2
        assert source.dropped >= 2
        source.close()
