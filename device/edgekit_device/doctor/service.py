"""The service that `edgekit service install` makes."""

from collections.abc import Iterator

from edgekit_device.doctor.findings import Finding
from edgekit_device.doctor.system import System

_UNIT = "edgekit.service"
_PROPERTIES = "LoadState,ActiveState,SubState,Result,NRestarts,ExecMainStatus,StatusText"
_LOGS = "journalctl -u edgekit -n 50"
_INSTALL = "sudo edgekit service install --model MODEL"


def check_service(system: System) -> Iterator[Finding]:
    """Whether it is installed, runs, and is well."""
    answer = system.run("systemctl", "show", _UNIT, f"--property={_PROPERTIES}")
    if answer is None or answer.code != 0:
        yield Finding("service", "note", "systemd does not answer: no service can be looked at")
        return
    has = dict(line.partition("=")[::2] for line in answer.output.splitlines())
    status = has.get("StatusText", "")
    restarts = int(has.get("NRestarts") or 0)
    state = f"{has.get('ActiveState')} ({has.get('SubState')})"
    if has.get("LoadState") == "not-found":
        yield Finding("service", "note", "not installed", _INSTALL)
    elif has.get("LoadState") != "loaded":
        yield Finding("service", "problem", f"its unit is {has.get('LoadState')}",
                      f"systemd-analyze verify {_UNIT}")  # fmt: skip
    elif has.get("ActiveState") == "failed":
        text = f"failed: {has.get('Result')}, exit code {has.get('ExecMainStatus')}"
        yield Finding("service", "problem", text, _LOGS)
    elif has.get("SubState") == "auto-restart":
        text = f"ended ({has.get('Result')}, exit code {has.get('ExecMainStatus')}), starts again"
        yield Finding("service", "problem", text, _LOGS)
    elif has.get("ActiveState") == "inactive":
        yield Finding("service", "warning", "installed, does not run",
                      "sudo systemctl enable --now edgekit")  # fmt: skip
    elif status.startswith(("degraded", "stalled")):
        yield Finding("service", "warning", f"{state}: {status}", _LOGS)
    elif restarts:
        text = f"{state}: {status or 'no status yet'}; started again {restarts} times"
        yield Finding("service", "note", text, _LOGS)
    else:
        yield Finding("service", "ok", f"{state}: {status or 'no status yet'}")
