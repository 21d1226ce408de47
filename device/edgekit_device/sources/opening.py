"""The table of sources, and from the name of a source to the source."""

import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from edgekit.errors import ConfigurationError, SourceError
from edgekit.redaction import redact_address
from edgekit_device.config.secrets import with_password
from edgekit_device.config.settings import Settings
from edgekit_device.sources.base import Source
from edgekit_device.sources.live import LiveSource
from edgekit_device.sources.opencv import is_stream, open_stream, open_v4l2, video_device
from edgekit_device.sources.pattern import PATTERN, open_pattern
from edgekit_device.sources.picamera import PICAMERA_PREFIX, open_picamera

if TYPE_CHECKING:
    from edgekit_device.sources.recorded import AnyRecording, RecordedSource

# How long `open_source` waits for a camera: most open, or fail to, in that time. Less than the
# two seconds in which the daemon ends when it is asked to.
_OPEN_TIMEOUT = 1.0
HISTORY = "history:"
"""What the name of a history begins with."""

_SOURCE_SETTINGS = ("source", "source_password_file", "camera", "realtime")


class SourceKind(NamedTuple):
    """A kind of source.

    Attributes:
        help: how such sources are named, in words.
        recognizes: whether a name is that of such a source.
        live: whether its frames come by themselves, as a camera's do.
        open: opens the source of a name, with the settings that it needs.
    """

    help: str
    recognizes: Callable[[str], bool]
    live: bool
    open: Callable[[str, Settings], Source]


def _why_no_recording(name: str) -> str | None:
    """Why what a name leads to is no recording, in words; empty where nothing is there.

    None for a recording. A pipe is none: whoever opens it may wait for ever.
    """
    try:
        mode = Path(name).stat().st_mode
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f": {error.strerror}"
    return None if stat.S_ISREG(mode) or stat.S_ISDIR(mode) else ": it is no file and no folder"


# What reads recordings, and SQLite, are for those who use it: a camera needs neither.


def _open_recorded(name: str, settings: Settings) -> "RecordedSource":
    from edgekit.offline.recording import Recording
    from edgekit_device.sources.recorded import RecordedSource

    path = Path(name)
    return RecordedSource(path.name, partial(Recording, path), settings.realtime, settings.view)


def _open_history(name: str, settings: Settings) -> "RecordedSource":
    from edgekit_device.sources.history import HistoryPictures
    from edgekit_device.sources.recorded import RecordedSource

    # What is wrong with it shows at once.
    title = HistoryPictures(name).name
    pictures = partial(HistoryPictures, name)
    return RecordedSource(title, pictures, settings.realtime, settings.view)


# The first kind that recognizes a name opens it; whatever exists as a file is a recording.
SOURCES: tuple[SourceKind, ...] = (
    SourceKind(
        "test:",
        lambda name: name == PATTERN,
        True,
        lambda _name, settings: open_pattern(settings.camera),
    ),
    SourceKind(
        "an rtsp:// or http:// address",
        is_stream,
        True,
        lambda name, settings: open_stream(
            with_password(name, settings.source_password_file), settings.camera
        ),
    ),
    SourceKind(
        "picamera2:",
        lambda name: name.startswith(PICAMERA_PREFIX),
        True,
        lambda name, settings: open_picamera(name, settings.camera),
    ),
    SourceKind(
        "a camera like v4l2:/dev/video0",
        lambda name: video_device(name) is not None,
        True,
        lambda name, settings: open_v4l2(name, settings.camera),
    ),
    SourceKind(
        f"the pictures of a history like {HISTORY}FOLDER",
        lambda name: name.startswith(HISTORY),
        False,
        lambda name, settings: _open_history(name, settings),
    ),
    SourceKind(
        "a video file, an image folder, a picture",
        lambda name: _why_no_recording(name) is None,
        False,
        lambda name, settings: _open_recorded(name, settings),
    ),
)


def _named(settings: Settings) -> tuple[str, SourceKind | None]:
    """The name of the source, and its kind; None for a recording that is not there."""
    if not settings.source:
        raise ConfigurationError("no source: pass --source, or set `source` in --config FILE")
    name = settings.source
    return name, next((kind for kind in SOURCES if kind.recognizes(name)), None)


def source_settings(settings: Settings) -> tuple[object, ...]:
    """Of the settings, what decides which frames come."""
    return tuple(getattr(settings, name) for name in _SOURCE_SETTINGS)


def with_source_of(source: Settings, settings: Settings) -> Settings:
    """Settings with those of another's that decide which frames come."""
    kept = {name: getattr(source, name) for name in _SOURCE_SETTINGS}
    return msgspec.structs.replace(settings, **kept)


def is_live(settings: Settings) -> bool:
    """Whether frames of the source come by themselves, as a camera's do.

    Raises:
        ConfigurationError: no source is set.
    """
    _, kind = _named(settings)
    return kind is not None and kind.live


def open_source(settings: Settings) -> Source:
    """Open what `settings.source` names.

    A camera that takes longer than a second goes on opening; `read` then says what becomes of it.

    Raises:
        ConfigurationError: no source is set.
        SettingsError: its password cannot be read.
        SourceError: nothing is there, or the camera does not open.
    """
    name, kind = _named(settings)
    if kind is None:
        # An address with a misspelt scheme may hold a password, too.
        shown = redact_address(name)
        *others, last = (kind.help for kind in reversed(SOURCES))
        reason = _why_no_recording(name)
        raise SourceError(f"no source at {shown}{reason}; name {', '.join(others)}, or {last}")
    source = kind.open(name, settings)
    if isinstance(source, LiveSource):
        source.look(settings.view)
        try:
            source.wait_open(_OPEN_TIMEOUT)
        except SourceError:
            source.close()
            raise
    return source


def open_recording(settings: Settings) -> "AnyRecording":
    """The recording that `settings.source` names, which is none of a live source.

    Raises:
        SourceError, ImageError: there is none.
    """
    name = settings.source or ""
    if name.startswith(HISTORY):
        from edgekit_device.sources.history import HistoryPictures

        return HistoryPictures(name, settings.view)
    from edgekit.offline.recording import Recording

    return Recording(Path(name), settings.view)


def reads_history(settings: Settings, folder: Path) -> bool:
    """Whether the source is the history in a folder."""
    name, _, _ = (settings.source or "").partition("?")
    if not name.startswith(HISTORY):
        return False
    return Path(name.removeprefix(HISTORY)).resolve() == folder.resolve()
