"""Whether the daemon runs the edgekit that is installed, or one from before pip brought another."""

from edgekit import __version__
from edgekit.origin import SHORT
from edgekit_device.health import installed_commit, shown
from edgekit_device.service import environment
from edgekit_device.service.layout import Layout
from edgekit_device.service.state import ServiceState


def outdated(layout: Layout, state: ServiceState) -> str | None:
    """What the daemon runs where that is not what is installed, in words; None where it is.

    It goes on with the code that it has loaded when pip exchanges the files below it. A checkout
    has no commit: of that the version alone is compared.

    Args:
        layout: where the service's files lie.
        state: how it is.
    """
    health = state.health
    if health is None or not environment.starts_this(layout):
        return None
    runs, there = (health.version, health.commit), (__version__, installed_commit())
    if runs == there:
        return None
    return f"the daemon still runs edgekit {_named(*runs)}, where {_named(*there)} is installed"


def _named(version: str, commit: str) -> str:
    return f"{shown(version)} ({f'commit {shown(commit[:SHORT])}' if commit else 'unknown commit'})"
