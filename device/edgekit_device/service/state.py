"""How the service is: what systemd knows of it, and what the daemon says of itself."""

from pathlib import Path

import msgspec

from edgekit_device.health import Health, Status, read_status
from edgekit_device.service import systemctl
from edgekit_device.service.layout import Layout
from edgekit_device.service.systemctl import Unit


class ServiceState(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the service is.

    Attributes:
        unit: what systemd knows.
        daemon: what the daemon says; None when it does not run, or has said nothing yet.
    """

    unit: Unit
    daemon: Status | None = None

    @classmethod
    def join(cls, unit: Unit, runtime: Path) -> "ServiceState":
        """Both together: what lies in the runtime directory counts when it is of this process."""
        status = read_status(runtime) if unit.pid else None
        return cls(unit, status if status and status.pid == unit.pid else None)

    @property
    def health(self) -> Health | None:
        """How the daemon is; None when it says nothing."""
        return self.daemon.health if self.daemon else None

    @property
    def is_silent(self) -> bool:
        """Whether the daemon works and says nothing: it, or its unit, is of an earlier edgekit."""
        return self.unit.active == "active" and self.daemon is None

    @property
    def answers(self) -> bool:
        """Whether the daemon answers frames."""
        return self.health is not None and self.health.state in ("running", "degraded")

    @property
    def is_well(self) -> bool:
        """Whether the daemon answers frames, or was told not to."""
        return self.answers or self.is_paused

    @property
    def is_paused(self) -> bool:
        """Whether somebody has paused the daemon: it answers no frames, and is well."""
        return self.health is not None and self.health.state == "paused"

    def runs(self, sha256: str) -> bool:
        """Whether the daemon runs this model."""
        return self.health is not None and self.health.model_sha256 == sha256

    @property
    def refused_model(self) -> str | None:
        """Why the daemon does not use the model file that is there; None when it does."""
        return self.daemon.refused_model if self.daemon else None


def observe(layout: Layout) -> ServiceState:
    """How the service is now.

    Raises:
        ServiceError: systemd cannot be asked.
    """
    # In this order: a daemon that ended in between has left a file of another process.
    unit = systemctl.show()
    return ServiceState.join(unit, layout.runtime)
