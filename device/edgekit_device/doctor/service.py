"""The service that `edgekit service install` makes."""

from collections.abc import Iterator

from edgekit_device.doctor.device import Device
from edgekit_device.doctor.diagnosis import Diagnosis
from edgekit_device.doctor.installation import INSTALL_AGAIN
from edgekit_device.health import Status, headline, shown
from edgekit_device.runtime_choice import AGAIN
from edgekit_device.service.layout import UNIT, Layout
from edgekit_device.service.outdated import READ_COMMAND, outdated
from edgekit_device.service.state import ServiceState
from edgekit_device.service.systemctl import SHOW, Unit
from edgekit_device.signers import missing_for_checks

_LOGS = "journalctl -u edgekit -n 50"
_INSTALL = "sudo edgekit service install --model MODEL"


def daemon_of(device: Device) -> Status | None:
    """What the service's daemon says of itself; None where there is none, or it says nothing."""
    unit = _unit(device)
    return ServiceState.join(unit, Layout(device.root).runtime).daemon if unit else None


def _unit(device: Device) -> Unit | None:
    """What systemd says of the service; None where systemd does not answer."""
    answer = device.run("systemctl", *SHOW)
    return Unit.parse(answer.output) if answer and answer.code == 0 else None


def check_service(device: Device) -> Iterator[Diagnosis]:
    """Whether it is installed, runs, and is well."""
    unit = _unit(device)
    if unit is None:
        yield Diagnosis("service", "note", "systemd does not answer: no service can be looked at")
        return
    layout = Layout(device.root)
    state = ServiceState.join(unit, layout.runtime)
    health = state.health
    text = f"{unit.active} ({unit.sub}): {shown(headline(health)) if health else 'no status yet'}"
    old = outdated(layout, state)
    text = f"{text}; {old}" if old else text
    if unit.load == "not-found":
        yield Diagnosis("service", "note", "not installed", _INSTALL)
    elif not unit.installed:
        yield Diagnosis("service", "problem", f"its unit is {unit.load}",
                        f"systemd-analyze verify {UNIT}")  # fmt: skip
    elif unit.active == "failed":
        yield Diagnosis("service", "problem", f"failed: {unit.end}", _LOGS)
    elif unit.sub == "auto-restart":
        yield Diagnosis("service", "problem", f"ended ({unit.end}), starts again", _LOGS)
    elif unit.active == "inactive":
        yield Diagnosis("service", "warning", "installed, does not run",
                        "sudo systemctl enable --now edgekit")  # fmt: skip
    elif health and health.state in ("degraded", "stalled"):
        yield Diagnosis("service", "warning", text, _LOGS)
    elif old:
        yield Diagnosis("service", "warning", text, INSTALL_AGAIN if old.code else READ_COMMAND)
    elif health and health.drift:
        yield Diagnosis("service", "warning", f"{text}; {shown(health.drift.advice)}")
    elif health and health.state == "paused":
        yield Diagnosis("service", "note", text)
    elif unit.restarts:
        text = f"{text}; started again {unit.restarts} times"
        yield Diagnosis("service", "note", text, _LOGS)
    else:
        yield Diagnosis("service", "ok", text)


def check_runtime(device: Device) -> Iterator[Diagnosis]:
    """Which runtime the service runs, and why."""
    daemon = daemon_of(device)
    if daemon and daemon.health.runtime_from:
        health = daemon.health
        text = f"the service runs {shown(f'{health.runtime}: {health.runtime_from}')}"
        yield Diagnosis("runtime", "note" if AGAIN in text else "ok", text)


def check_signatures(device: Device) -> Iterator[Diagnosis]:
    """Whether the service can check who signed a model, where that was asked for."""
    allowed = Layout(device.root).allowed_signers
    if not allowed.is_file():
        return
    if missing := missing_for_checks(device.root):
        text = f"{missing[0]}: no model runs, because nobody can check who signed it"
        yield Diagnosis("signatures", "problem", text, missing[1])
    else:
        yield Diagnosis(
            "signatures", "ok", f"models of those in /{allowed.relative_to(device.root)}"
        )
