"""From the name of a source to the source."""

from pathlib import Path

from edgekit.errors import ConfigurationError, SourceError
from edgekit_device.config.settings import Settings
from edgekit_device.sources.base import Source
from edgekit_device.sources.opencv import is_stream, open_stream, open_v4l2, redacted, video_device
from edgekit_device.sources.pattern import open_pattern
from edgekit_device.sources.picamera import PICAMERA_PREFIX, open_picamera
from edgekit_device.sources.recorded import RecordedSource

# How long `open_source` waits for a camera: most open, or fail to, in that time. Less than the
# two seconds in which the daemon ends when it is told to.
_OPEN_TIMEOUT = 1.0


def require_source(settings: Settings) -> str:
    """The name of the source.

    Raises:
        ConfigurationError: none is set.
    """
    if not settings.source:
        raise ConfigurationError("no source: pass --source, or set `source` in --config FILE")
    return settings.source


def is_live(settings: Settings) -> bool:
    """Whether frames of the source come by themselves, as a camera's do.

    Raises:
        ConfigurationError: no source is set.
    """
    spec = require_source(settings)
    return (
        spec == "test:"
        or spec.startswith(PICAMERA_PREFIX)
        or is_stream(spec)
        or video_device(spec) is not None
    )


def open_source(settings: Settings) -> Source:
    """Open what `settings.source` names.

    A camera that takes longer than a second goes on opening; `read` then tells what becomes of it.

    Raises:
        ConfigurationError: no source is set.
        SourceError: nothing is there, or the camera does not open.
    """
    spec, camera = require_source(settings), settings.camera
    if spec == "test:":
        live = open_pattern(camera)
    elif spec.startswith(PICAMERA_PREFIX):
        live = open_picamera(spec, camera)
    elif is_stream(spec):
        live = open_stream(spec, camera)
    elif (device := video_device(spec)) is not None:
        live = open_v4l2(device, camera)
    elif Path(spec).exists():
        return RecordedSource(Path(spec), settings.realtime)
    else:
        # An address with a misspelt scheme may hold a password, too.
        named = redacted(spec) if "://" in spec else spec
        raise SourceError(
            f"no source at {named}; name a video file, an image folder, a picture, a camera like "
            "v4l2:/dev/video0 or picamera2:, an rtsp:// or http:// address, or test:"
        )
    try:
        live.wait_open(_OPEN_TIMEOUT)
    except SourceError:
        live.close()
        raise
    return live
