"""Whether the daemon runs what lies there: the edgekit that is installed, and its configuration."""

import msgspec

from edgekit import __version__
from edgekit.files import FileStamp
from edgekit.origin import SHORT
from edgekit_device.health import Status, installed_code, installed_commit, shown
from edgekit_device.service import environment
from edgekit_device.service.layout import MODEL, Layout
from edgekit_device.service.state import ServiceState

RESTARTED = f"restart it with: sudo edgekit service install --model {MODEL}"
READ_COMMAND = "sudo systemctl reload edgekit"
_READ = f"let it read that with: {READ_COMMAND}"


class Outdated(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the daemon runs that is not what lies there, in words.

    Attributes:
        code: of edgekit; empty where it is what is installed, or where nobody knows.
        configuration: that it follows; the same.
    """

    code: str = ""
    configuration: str = ""

    def __bool__(self) -> bool:
        return bool(self.code or self.configuration)

    def __str__(self) -> str:
        return "; ".join(filter(None, (self.code, self.configuration)))

    @property
    def remedies(self) -> list[tuple[str, str]]:
        """Each of both that is there, and how to mend it."""
        both = ((self.code, RESTARTED), (self.configuration, _READ))
        return [(text, remedy) for text, remedy in both if text]


def outdated(layout: Layout, state: ServiceState) -> Outdated:
    """What the daemon runs where that is not what lies there.

    It goes on with the code that it has loaded when pip exchanges the files below it, and with the
    configuration that it has read until it is told to read it again: whoever was to tell it may
    have been cut short before.

    Args:
        layout: where the service's files lie.
        state: how it is.
    """
    if state.daemon is None:
        return Outdated()
    return Outdated(_code(layout, state.daemon), _configuration(layout, state.daemon))


def _code(layout: Layout, daemon: Status) -> str:
    # A checkout has no commit, and its files may change at any time: its version alone is compared.
    if not environment.starts_this(layout):
        return ""
    health = daemon.health
    runs, there = (health.version, health.commit), (__version__, installed_commit())
    if runs != there:
        return f"the daemon still runs edgekit {_named(*runs)}, where {_named(*there)} is installed"
    if daemon.code and daemon.code != installed_code():
        return (
            f"the daemon still runs another build of edgekit {_named(*runs)} than the one that is "
            "installed"
        )
    return ""


def _configuration(layout: Layout, daemon: Status) -> str:
    read = daemon.configuration
    # A unit that somebody has edited may name another file.
    if read is None or read.path != str(layout.config) or read == FileStamp.of(layout.config):
        return ""
    return f"the daemon follows an earlier configuration than the one in {layout.config}"


def _named(version: str, commit: str) -> str:
    parts = [part.partition("-") for part in commit.split("+") if part]
    short = "+".join(f"{sha[:SHORT]}{dash}{changed}" for sha, dash, changed in parts)
    return f"{shown(version)} ({f'commit {shown(short)}' if short else 'unknown commit'})"
