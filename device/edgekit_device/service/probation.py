"""What a new model has to do before it counts as good."""

import time
from dataclasses import dataclass

from edgekit_device.config.settings import Settings
from edgekit_device.service.layout import Layout
from edgekit_device.service.state import ServiceState, observe

POLL = 0.5
# Seconds for a device to load a model and to answer with it, an emulated or a busy one as well.
TIMEOUT = 120.0


@dataclass(frozen=True)
class Probation:
    """What a new model has to do.

    Attributes:
        noticed: seconds after which the daemon has noticed that frames are not answered. It must
            answer them without a break for half as long again, and feed its watchdog after that
            time: a daemon that hangs leaves what it said last, but does not do that.
        timeout: seconds in which all of this must have happened.
    """

    noticed: float
    timeout: float = TIMEOUT

    @classmethod
    def of(cls, settings: Settings) -> "Probation":
        """The probation that suits a configuration."""
        noticed = max(settings.health.stall_after, settings.recovery.inference_timeout)
        return cls(noticed, TIMEOUT + 1.5 * noticed)

    def passed(self, seconds: float, fed: float | None) -> bool:
        """Whether it is passed.

        Args:
            seconds: for which frames have been answered.
            fed: how many of them had gone when the watchdog was fed last; None for no watchdog.
        """
        fresh = fed is None or self.noticed == 0 or fed >= self.noticed
        return seconds >= 1.5 * self.noticed and fresh


def watch(layout: Layout, sha256: str, before: ServiceState, probation: Probation) -> str | None:
    """Watch the service until a model has passed its probation, or has not.

    Args:
        layout: where the service's files lie.
        sha256: of the model.
        before: the service when the model was offered to it.
        probation: what it has to do.

    Returns:
        None when it passed, else the reason why not.
    """
    deadline = time.monotonic() + probation.timeout
    since: float | None = None
    while True:
        state = observe(layout)
        unit, health, now = state.unit, state.health, time.monotonic()
        ending = unit.active in ("deactivating", "failed", "inactive")
        if ending or not unit.pid or unit.pid != before.unit.pid:
            return f"the service ended with it ({unit.end})"
        if state.refused_model and state.refused_model != before.refused_model:
            return f"the service refuses it: {state.refused_model}"
        runs = state.runs(sha256)
        if runs and health and health.state == "stalled":
            return "the service stalled with it"
        if state.is_paused:
            return "the service was paused while it was tried"
        if not (runs and state.answers):
            since = None
        elif since is None:
            since = now
        if since is not None:
            fed = unit.fed - since if unit.fed else None
            if probation.passed(now - since, fed):
                return None
        if now > deadline:
            said = " · ".join([health.state, *health.problems]) if health else "nothing"
            return f"no answers from it within {probation.timeout:g} s; the service says: {said}"
        time.sleep(POLL)
