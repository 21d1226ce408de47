"""Say how the service is, in lines for people."""

import socket
from collections.abc import Iterator

from edgekit.errors import EdgekitError
from edgekit_device.config.file import load
from edgekit_device.service.layout import Layout
from edgekit_device.service.store import Store
from edgekit_device.service.systemctl import State


def describe(layout: Layout, state: State) -> Iterator[str]:
    """Lines about a service: how it is, its model, its page, where to read more.

    Args:
        layout: where its files lie.
        state: what systemd says.
    """
    if not state.installed:
        yield "service  not installed; edgekit service install --model FILE"
        return
    yield f"service  {_state(state)}{'' if state.enabled else ', does not start with the machine'}"
    store, report = Store(layout.state), state.report
    model = report.model or (store.current or "none")[:12]
    unproven = store.pending is not None
    yield f"model    {model}{', not yet confirmed after an upgrade' if unproven else ''}"
    if report.rate:
        yield f"rate     {report.rate}"
    for problem in report.problems:
        yield f"problem  {problem}"
    if state.restarts:
        yield f"restarts {state.restarts}"
    if page := _page(layout):
        yield f"page     {page}"
    yield "logs     edgekit service logs --follow"


def _state(state: State) -> str:
    if state.active == "active":
        said = state.report.state or "active"
        return f"{said}{f', since {state.since}' if state.since else ''}"
    if state.sub in ("auto-restart", "start-pre"):
        return f"waiting to be started again; last end: {state.end}"
    if state.active == "activating":
        return "starting"
    if state.active == "failed":
        return f"failed: {state.end}"
    return state.active


def _page(layout: Layout) -> str | None:
    """Where the live page can be looked at."""
    try:
        http = load(layout.config, {}).http
    except EdgekitError:
        return None
    if http.listen is None:
        return None
    host, port = http.address()
    if host in ("0.0.0.0", "::"):
        host = socket.gethostname()
    host = f"[{host}]" if ":" in host else host
    return f"http://{host}:{port}/{', on this machine alone' if http.is_loopback() else ''}"
