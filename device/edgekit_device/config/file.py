"""The daemon's configuration file: read, with the command line over it, and written out again."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgekit import settings as schema
from edgekit.files import FileStamp
from edgekit_device.config.secrets import SECRET
from edgekit_device.config.settings import Settings

_HEADER = """\
# edgekit's configuration, read by `edgekit run --config FILE`.
#
# Every key is an option of `edgekit run` too: `threads` is --threads, `host` in [mqtt] is
# --mqtt-host; an option wins over this file. Keys behind a # show their default.
# Check a change with `edgekit run --config FILE --check`; SIGHUP makes a running daemon read it.
"""


def load(path: Path | None, options: Mapping[str, Any]) -> Settings:
    """Settings from a TOML file, with options by key path (`mqtt.host`) put over them.

    Raises:
        ConfigurationError: the file cannot be read or is wrong; names key and line.
    """
    return schema.load(Settings, path, options)


class ConfigurationFile:
    """A configuration that is read again and again.

    Args:
        path: of a TOML file, or None.
        options: by key path (`mqtt.host`), put over it.

    Attributes:
        stamp: what the file looked like when it was read last, well or not; None without one.
    """

    def __init__(self, path: Path | None, options: Mapping[str, Any]) -> None:
        self.stamp: FileStamp | None = None
        self._path = path
        self._options = options

    def load(self) -> Settings:
        """See `load`."""
        # Before it is read: what is written meanwhile shows as news.
        self.stamp = FileStamp.of(self._path) if self._path else None
        return load(self._path, self._options)


def parse(name: Path, content: bytes) -> Settings:
    """Settings from what was read of a TOML file; see `load`.

    Args:
        name: of the file, for messages.
        content: its bytes.
    """
    return schema.load(Settings, name, {}, content)


def render(settings: Settings) -> str:
    """A commented configuration file; what is at its default is commented out."""
    return schema.render(settings, _HEADER)


def shown(settings: Settings) -> str:
    """The same for people to read, with `***` for secrets; such a file is refused when loaded."""
    return schema.render(settings, _HEADER, SECRET)
