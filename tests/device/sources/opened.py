"""Live sources that are open, and closed, for certain: however slow the machine is."""

from typing import Any

from edgekit_device.config.settings import CameraSettings, Settings
from edgekit_device.sources import LiveSource, open_source

TIMEOUT = 30


def open_live(source: str, **camera: Any) -> LiveSource:
    """Open a camera, and wait until it is open; what it raises while it opens is raised here."""
    live = open_source(Settings(source=source, camera=CameraSettings(**camera)))
    assert isinstance(live, LiveSource)
    assert live.wait_open(TIMEOUT)
    return live


def close(source: LiveSource) -> None:
    """Close it, and wait until its camera is released."""
    source.close()
    source._thread.join(TIMEOUT)
    assert not source._thread.is_alive()
