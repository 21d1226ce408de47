"""Where things lie on a device."""

from importlib.resources import files
from pathlib import Path

from edgekit_device.folders import ANSWERS_FOLDER, DATA_FOLDER, MODELS_FOLDER
from edgekit_device.health import SERVICE_FOLDER
from edgekit_device.installed import CONFIGURATION_ROLLED_BACK, CURRENT

UNIT = "edgekit.service"
# The daemon asks root for another model: the one waits for that, the other does it.
CONTROL_PATH = "edgekit-control.path"
CONTROL_SERVICE = "edgekit-control.service"
SERVICES = (UNIT, CONTROL_SERVICE)
UNITS = (*SERVICES, CONTROL_PATH)
# As the unit names them.
COMMAND = Path("/opt/edgekit/bin/edgekit")
MODEL = MODELS_FOLDER / CURRENT
ALLOWED_SIGNERS = Path("/etc/edgekit/allowed_signers")
# May read the configuration; the service's own account exists only while it runs, and is in it.
GROUP = "edgekit-config"


class Layout:
    """Paths below a root.

    Args:
        root: `/`, or the folder that holds an image's files.
        offline: whether it is an image that does not run, so that nothing can be started there.

    Attributes:
        unit: the unit of the daemon.
        rules: the udev rule.
        sysusers: the groups.
        config: the configuration, which belongs to the user.
        allowed_signers: whose models may run, where that was asked for.
        state: models, and what an upgrade must not forget when the power goes.
        written_config: the configuration as it was last installed, to tell whether the user edited
            it.
        previous_config: the configuration before the one that was last brought.
        pending_config: only while a configuration is on probation.
        rolled_back_configs: how many were taken back.
        data: what the daemon keeps on the disk; a link into `private_data`, which systemd makes.
        runtime: what the daemon says of itself, and asks for, as long as it lives.
        answers: what became of that.
        lock: held by an upgrade for as long as it lives.
        starts: when systemd started the service again, since the boot.
    """

    def __init__(self, root: Path = Path("/"), *, offline: bool = False) -> None:
        self.root = root
        self.offline = offline
        self.unit = self.unit_file(UNIT)
        self.rules = root / "etc/udev/rules.d/70-edgekit.rules"
        self.sysusers = root / "etc/sysusers.d/edgekit.conf"
        self.config = root / "etc/edgekit/edgekit.toml"
        self.allowed_signers = root / ALLOWED_SIGNERS.relative_to("/")
        self.state = root / MODELS_FOLDER.relative_to("/")
        self.data = root / DATA_FOLDER.relative_to("/")
        self.private_data = self.data.parent / "private" / self.data.name
        self.written_config = self.state / "edgekit.toml"
        self.previous_config = self.config.with_name("edgekit.toml.previous")
        self.pending_config = self.state / "edgekit.toml.pending"
        self.rolled_back_configs = self.state / CONFIGURATION_ROLLED_BACK
        self.runtime = root / SERVICE_FOLDER.relative_to("/")
        self.answers = root / ANSWERS_FOLDER.relative_to("/")
        # Not in `runtime`, which systemd removes whenever the daemon ends.
        self.lock = root / "run/edgekit.lock"
        self.starts = root / "run/edgekit.starts"

    @property
    def files(self) -> tuple[Path, ...]:
        """What may be written beside the models, one or more in every folder of ours."""
        return (
            *map(self.unit_file, UNITS), *map(self.drop_in, SERVICES),
            self.rules, self.sysusers, self.config, self.allowed_signers, self.written_config,
            self.lock,
        )  # fmt: skip

    def unit_file(self, name: str) -> Path:
        """Where a unit lies."""
        return self.root / "etc/systemd/system" / name

    def drop_in(self, name: str) -> Path:
        """Where it lies what this machine needs otherwise than a unit has it."""
        return self.root / f"etc/systemd/system/{name}.d/10-edgekit.conf"


def packaged(name: str) -> bytes:
    """A file of `systemd/`."""
    return (files("edgekit_device.service") / "units" / name).read_bytes()
