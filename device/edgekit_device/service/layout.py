"""Where things lie on a device."""

from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path

UNIT = "edgekit.service"
# As the unit names them.
COMMAND = Path("/opt/edgekit/bin/edgekit")
MODEL = Path("/var/lib/edgekit/model.tflite")


@dataclass(frozen=True)
class Layout:
    """Paths below a root.

    Attributes:
        root: `/`, or the folder that holds an image's files.
        offline: whether it is an image that does not run, so that nothing can be started there.
    """

    root: Path = Path("/")
    offline: bool = False

    @cached_property
    def unit(self) -> Path:
        """The unit."""
        return self.root / "etc/systemd/system" / UNIT

    @cached_property
    def drop_in(self) -> Path:
        """What this machine needs otherwise than the unit has it."""
        return self.root / f"etc/systemd/system/{UNIT}.d/10-edgekit.conf"

    @cached_property
    def rules(self) -> Path:
        """The udev rule."""
        return self.root / "etc/udev/rules.d/70-edgekit.rules"

    @cached_property
    def sysusers(self) -> Path:
        """The groups."""
        return self.root / "etc/sysusers.d/edgekit.conf"

    @cached_property
    def config(self) -> Path:
        """The configuration, which belongs to the user."""
        return self.root / "etc/edgekit/edgekit.toml"

    @cached_property
    def state(self) -> Path:
        """Models, and what an upgrade must not forget when the power goes."""
        return self.root / "var/lib/edgekit"

    @cached_property
    def written_config(self) -> Path:
        """The configuration as it was last installed, to tell whether the user edited it."""
        return self.state / "edgekit.toml"

    @cached_property
    def lock(self) -> Path:
        """Held by an upgrade for as long as it lives."""
        return self.root / "run/edgekit.lock"

    @cached_property
    def starts(self) -> Path:
        """When systemd started the service again, since the boot."""
        return self.root / "run/edgekit.starts"


def packaged(name: str) -> bytes:
    """A file of `systemd/`."""
    return (files("edgekit_device.service") / "units" / name).read_bytes()
