"""What systemd knows about the service."""

import re
import subprocess

import msgspec

from edgekit import child
from edgekit.errors import EXIT_CODES, ServiceError
from edgekit.text import last_line
from edgekit_device.service.layout import UNIT

# A start may take as long as the unit's TimeoutStartSec and an earlier stop.
START_TIMEOUT = 200.0
_TIMEOUT = 30.0
_PROPERTIES = (
    "LoadState", "ActiveState", "SubState", "UnitFileState", "MainPID", "NRestarts", "Result",
    "ExecMainStatus", "ActiveEnterTimestamp", "WatchdogTimestampMonotonic",
)  # fmt: skip
# Arguments of the systemctl whose output `Unit.parse` understands.
SHOW = ("show", UNIT, f"--property={','.join(_PROPERTIES)}")
_MEANINGS = {code.number: code.meaning for code in EXIT_CODES if "run" in code.commands}
_ENDS = {"watchdog": "the watchdog: no answers for too long", "oom-kill": "out of memory"}


class Unit(msgspec.Struct, frozen=True):
    """What systemd says of the service.

    Attributes:
        load: `loaded`, `not-found`, `masked` and so on.
        active, sub: such as `active`, `running`, or `activating`, `auto-restart`.
        enabled: whether it starts with the machine.
        pid: of the daemon, 0 for none.
        restarts: how often systemd has started it again by itself.
        result: how it ended last: `success`, `exit-code`, `signal`, `watchdog` and so on.
        exit: its last exit code or signal.
        since: since when it is active, in words.
        fed: when it fed its watchdog last, on the monotonic clock in seconds; 0 for never.
    """

    load: str
    active: str
    sub: str
    enabled: bool
    pid: int
    restarts: int
    result: str
    exit: int
    since: str
    fed: float

    @classmethod
    def parse(cls, output: str) -> "Unit":
        """Read what `systemctl` with the arguments `SHOW` prints; what it leaves out is empty."""
        fields = dict(line.partition("=")[::2] for line in output.splitlines())
        return cls(
            load=fields.get("LoadState", ""),
            active=fields.get("ActiveState", ""),
            sub=fields.get("SubState", ""),
            enabled=fields.get("UnitFileState", "") == "enabled",
            pid=_number(fields.get("MainPID", "")),
            restarts=_number(fields.get("NRestarts", "")),
            result=fields.get("Result", ""),
            exit=_number(fields.get("ExecMainStatus", "")),
            since=fields.get("ActiveEnterTimestamp", ""),
            fed=_number(fields.get("WatchdogTimestampMonotonic", "")) / 1e6,
        )

    @property
    def installed(self) -> bool:
        """Whether there is such a unit."""
        return self.load == "loaded"

    @property
    def end(self) -> str:
        """How it ended last, in words."""
        if self.result == "exit-code":
            meaning = _MEANINGS.get(self.exit)
            return f"exit code {self.exit}{f', {meaning}' if meaning else ''}"
        if self.result in ("signal", "core-dump"):
            return f"killed by {child.signal_name(-self.exit)}"
        return _ENDS.get(self.result, self.result)


def call(*arguments: str, timeout: float = _TIMEOUT) -> subprocess.CompletedProcess[bytes]:
    """Run systemctl.

    Raises:
        ServiceError: there is none, or it does not answer in time.
    """
    try:
        return child.run(["systemctl", *arguments], timeout=timeout)
    except FileNotFoundError as error:
        raise ServiceError("there is no systemctl here; the service needs systemd") from error
    except subprocess.TimeoutExpired as error:
        raise ServiceError(
            f"`systemctl {' '.join(arguments)}` did not end within {timeout:g} s"
        ) from error


def show() -> Unit:
    """What systemd says of the service now.

    Raises:
        ServiceError: systemd cannot be asked.
    """
    done = call(*SHOW)
    if done.returncode:
        raise ServiceError(f"systemd does not answer: {last_line(done.stderr)}")
    return Unit.parse(done.stdout.decode("utf-8", "replace"))


def restart() -> bool:
    """Start the service afresh, and wait until it answers frames; whether it does.

    Raises:
        ServiceError: systemd does not answer.
    """
    # Sets the count of restarts to zero, too, so that before-start does not wait.
    call("reset-failed", UNIT)
    return call("restart", UNIT, timeout=START_TIMEOUT).returncode == 0


def _number(text: str) -> int:
    return int(text) if re.fullmatch("[0-9]{1,19}", text) else 0
