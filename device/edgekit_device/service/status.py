"""Say how the service is, in lines for people."""

import socket
from collections.abc import Iterator

from edgekit.errors import EdgekitError
from edgekit.text import one_line
from edgekit_device.config.file import load
from edgekit_device.config.settings import Settings
from edgekit_device.service.kept import kept_bytes
from edgekit_device.service.layout import Layout
from edgekit_device.service.outdated import Outdated, outdated
from edgekit_device.service.state import ServiceState
from edgekit_device.service.store import Store

SILENT = (
    "the service does not say how it is, because its unit is of an earlier edgekit; write it anew "
    "with `edgekit service install --model FILE`"
)

PAUSED = "the service is paused, and tries no model; resume it first, on its page or over MQTT"


class Report(ServiceState, frozen=True, omit_defaults=True):
    """What `edgekit service status --json` prints.

    Attributes:
        outdated: what the daemon runs that is not what lies there; absent where there is nothing.
    """

    outdated: Outdated | None = None


def report(layout: Layout, state: ServiceState) -> Report:
    """How a service is, for programs.

    Args:
        layout: where its files lie.
        state: how it is.
    """
    return Report(state.unit, state.daemon, outdated(layout, state) or None)


def describe(layout: Layout, state: ServiceState) -> Iterator[str]:
    """Lines about a service: how it is, its model, its page, where to read more.

    Args:
        layout: where its files lie.
        state: how it is.
    """
    unit, health = state.unit, state.health
    if not unit.installed:
        yield "service  not installed; edgekit service install --model FILE"
        return
    yield f"service  {_state(state)}{'' if unit.enabled else ', does not start with the machine'}"
    store = Store(layout.state)
    # The daemon's account could write anything: nothing of it steers a terminal.
    model = one_line(health.model_sha256 if health else "") or store.current or "none"
    unconfirmed = store.pending is not None
    yield f"model    {model[:12]}{', not yet confirmed after an upgrade' if unconfirmed else ''}"
    if health and health.model_signer:
        yield f"signer   {one_line(health.model_signer)}"
    if health and health.runtime_from:
        yield f"runtime  {one_line(f'{health.runtime} ({health.runtime_from})')}"
    if health:
        yield f"rate     {health.fps:g} fps"
        for problem in health.problems:
            yield f"problem  {one_line(problem)}"
        if drift := health.drift:
            yield f"drift    {one_line(f'{drift}, since {drift.since}: {drift.advice}')}"
    if state.is_silent:
        yield f"problem  {SILENT}"
    for old, remedy in outdated(layout, state).remedies:
        yield f"problem  {old}; {remedy}"
    if unit.restarts:
        yield f"restarts {unit.restarts}"
    settings = _settings(layout)
    if settings and (page := _page(settings)):
        yield f"page     {page}"
    if settings and (folder := settings.history.folder):
        size = kept_bytes(layout.root / folder.relative_to(folder.anchor))
        told = "" if size is None else f", {size / 1e6:.0f} of {settings.history.megabytes} MB"
        yield f"history  {folder}{told}"
    if settings and (ways := _ways(settings)):
        yield f"control  over {' and '.join(ways)}"
    elif settings:
        yield "control  off"
    yield "logs     edgekit service logs --follow"


def _state(state: ServiceState) -> str:
    unit = state.unit
    if unit.active == "active":
        said = state.health.state if state.health else "active"
        if state.is_paused:
            # Since when, systemd does not know.
            return said
        return f"{said}{f', since {unit.since}' if unit.since else ''}"
    if unit.sub in ("auto-restart", "start-pre"):
        return f"waiting to be started again; last end: {unit.end}"
    if unit.active == "activating":
        return "starting"
    if unit.active == "failed":
        return f"failed: {unit.end}"
    return unit.active


def _settings(layout: Layout) -> Settings | None:
    """What it is configured to do; None where that cannot be read, as without sudo."""
    try:
        return load(layout.config, {})
    except EdgekitError:
        return None


def _ways(settings: Settings) -> list[str]:
    """How clients may control it."""
    control = settings.control
    return [way for way, on in (("HTTP", control.http), ("MQTT", control.mqtt)) if on]


def _page(settings: Settings) -> str | None:
    """Where the live page can be looked at."""
    http = settings.http
    if http.listen is None:
        return None
    host, port = http.address()
    if host in ("0.0.0.0", "::"):
        host = socket.gethostname()
    host = f"[{host}]" if ":" in host else host
    return f"http://{host}:{port}/{', on this machine alone' if http.is_loopback() else ''}"
