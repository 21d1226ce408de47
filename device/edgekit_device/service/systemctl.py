"""What systemd knows about the service."""

import signal
import subprocess
from dataclasses import dataclass

from edgekit.errors import ServiceError
from edgekit_device.service.layout import UNIT

# A start may take as long as the unit's TimeoutStartSec and an earlier stop.
START_TIMEOUT = 200.0
_TIMEOUT = 30.0
_PROPERTIES = (
    "LoadState", "ActiveState", "SubState", "UnitFileState", "StatusText", "MainPID", "NRestarts",
    "Result", "ExecMainStatus", "ActiveEnterTimestamp", "WatchdogTimestampMonotonic",
)  # fmt: skip
_MEANINGS = {
    10: "the camera did not come back",
    11: "the accelerator or an inference failed for good",
    12: "the MQTT broker stayed away",
}


@dataclass(frozen=True)
class Report:
    """What the daemon says of itself.

    Attributes:
        state: starting, running, degraded, stalled or stopping; empty when it says nothing.
        model: the first digits of the hash of the model it runs.
        rate: frames per second, in words.
        problems: `part: what is wrong`, each.
    """

    state: str = ""
    model: str = ""
    rate: str = ""
    problems: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Report":
        """Take StatusText apart: `running · model 0123456789ab · 5 fps · camera: …`."""
        state, *rest = text.split(" · ")
        model = rest.pop(0).removeprefix("model").strip() if rest else ""
        rate = rest.pop(0) if rest else ""
        return cls(state, model, rate, tuple(rest))

    @property
    def answers(self) -> bool:
        """Whether frames are being answered."""
        return self.state in ("running", "degraded")

    def runs(self, sha256: str) -> bool:
        """Whether it runs this model."""
        return bool(self.model) and sha256.startswith(self.model)

    @property
    def refused_model(self) -> str | None:
        """Why it refuses the model it should run, if it does."""
        problems = (problem for problem in self.problems if problem.startswith("model: "))
        return next((problem.removeprefix("model: ") for problem in problems), None)


@dataclass(frozen=True)
class State:
    """What systemd says.

    Attributes:
        active, sub: such as `active`, `running`, or `activating`, `auto-restart`.
        enabled: whether it starts with the machine.
        installed: whether there is such a unit.
        pid: of the daemon, 0 for none.
        restarts: how often systemd has started it again by itself.
        result: how it ended last: `success`, `exit-code`, `signal`, `watchdog` and so on.
        exit: its last exit code or signal.
        since: since when it is active, in words.
        fed: when it fed its watchdog last, on the monotonic clock in seconds; 0 for never.
        report: what the daemon says.
    """

    active: str
    sub: str
    enabled: bool
    installed: bool
    pid: int
    restarts: int
    result: str
    exit: int
    since: str
    fed: float
    report: Report

    @property
    def end(self) -> str:
        """How it ended last, in words."""
        if self.result == "exit-code":
            meaning = _MEANINGS.get(self.exit)
            return f"exit code {self.exit}{f', {meaning}' if meaning else ''}"
        if self.result in ("signal", "core-dump"):
            try:
                return f"killed by {signal.Signals(self.exit).name}"
            except ValueError:
                return f"killed by signal {self.exit}"
        told = {"watchdog": "the watchdog: no answers for too long", "oom-kill": "out of memory"}
        return told.get(self.result, self.result)


def call(*arguments: str, timeout: float = _TIMEOUT) -> subprocess.CompletedProcess[str]:
    """Run systemctl.

    Raises:
        ServiceError: there is none, or it does not answer in time.
    """
    try:
        return subprocess.run(
            ["systemctl", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError as error:
        raise ServiceError("there is no systemctl here; the service needs systemd") from error
    except subprocess.TimeoutExpired as error:
        raise ServiceError(
            f"`systemctl {' '.join(arguments)}` did not end within {timeout:g} s"
        ) from error


def show() -> State:
    """The state of the service.

    Raises:
        ServiceError: systemd cannot be asked.
    """
    done = call("show", UNIT, *(f"--property={name}" for name in _PROPERTIES))
    if done.returncode:
        raise ServiceError(f"systemd does not answer: {last_line(done.stderr)}")
    fields = dict(line.partition("=")[::2] for line in done.stdout.splitlines())
    active = fields.get("ActiveState", "")
    return State(
        active=active,
        sub=fields.get("SubState", ""),
        enabled=fields.get("UnitFileState", "") == "enabled",
        installed=fields.get("LoadState", "") == "loaded",
        pid=_number(fields.get("MainPID", "")),
        restarts=_number(fields.get("NRestarts", "")),
        result=fields.get("Result", ""),
        exit=_number(fields.get("ExecMainStatus", "")),
        since=fields.get("ActiveEnterTimestamp", ""),
        fed=_number(fields.get("WatchdogTimestampMonotonic", "")) / 1e6,
        # systemd keeps the last words of a daemon that has ended.
        report=Report.parse(fields.get("StatusText", "") if active != "failed" else ""),
    )


def restart() -> bool:
    """Start the service afresh, and wait until it answers frames; whether it does.

    Raises:
        ServiceError: systemd does not answer.
    """
    # Sets the count of restarts to zero, too, so that before-start does not wait.
    call("reset-failed", UNIT)
    return call("restart", UNIT, timeout=START_TIMEOUT).returncode == 0


def last_line(text: str) -> str:
    """The last line that says something."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0
