"""What a new model has to do before it counts as good."""

import time
from dataclasses import dataclass

from edgekit_device.config.settings import Settings
from edgekit_device.service import systemctl
from edgekit_device.service.systemctl import State

POLL = 0.5
# Seconds for a device to load a model and to answer with it, an emulated or a busy one as well.
PATIENCE = 120.0


@dataclass(frozen=True)
class Proof:
    """What a new model has to do.

    Attributes:
        noticed: seconds after which the daemon has noticed that frames are not answered. It must
            answer them without a break for half as long again, and feed its watchdog after that
            time: a daemon that hangs goes on saying what it said last, but does not do that.
        patience: seconds in which all of this must have happened.
    """

    noticed: float
    patience: float = PATIENCE

    @classmethod
    def of(cls, settings: Settings) -> "Proof":
        """The proof that suits a configuration."""
        noticed = max(settings.health.stall_after, settings.recovery.inference_timeout)
        return cls(noticed, PATIENCE + 1.5 * noticed)

    def given(self, seconds: float, fed: float | None) -> bool:
        """Whether it is given.

        Args:
            seconds: for which frames have been answered.
            fed: how many of them had gone when the watchdog was fed last; None for no watchdog.
        """
        fresh = fed is None or self.noticed == 0 or fed >= self.noticed
        return seconds >= 1.5 * self.noticed and fresh


def watch(sha256: str, before: State, proof: Proof) -> str | None:
    """Watch the service until a model has proved itself, or has not.

    Args:
        sha256: of the model.
        before: the service when the model was offered to it.
        proof: what it has to do.

    Returns:
        None when it proved itself, else the reason why not.
    """
    deadline = time.monotonic() + proof.patience
    since: float | None = None
    while True:
        state = systemctl.show()
        report, now = state.report, time.monotonic()
        ending = state.active in ("deactivating", "failed", "inactive")
        if ending or not state.pid or state.pid != before.pid:
            return f"the service ended with it ({state.end})"
        refusal = report.refused_model
        if refusal and refusal != before.report.refused_model:
            return f"the service refuses it: {refusal}"
        runs = report.runs(sha256)
        if runs and report.state == "stalled":
            return "the service stalled with it"
        if not (runs and report.answers):
            since = None
        elif since is None:
            since = now
        if since is not None:
            fed = state.fed - since if state.fed else None
            if proof.given(now - since, fed):
                return None
        if now > deadline:
            said = " · ".join(filter(None, (report.state, *report.problems))) or "nothing"
            return f"no answers from it within {proof.patience:g} s; the service says: {said}"
        time.sleep(POLL)
