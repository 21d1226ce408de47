"""Which command the unit starts, and what its sandbox must let through for that."""

import sys
from pathlib import Path

import edgekit
import edgekit_device
from edgekit.errors import ServiceError
from edgekit_device.config.settings import Settings
from edgekit_device.service.layout import COMMAND, MODEL, Layout, packaged

# ProtectHome= and PrivateTmp= hide these.
_HOMES = tuple(map(Path, ("/home", "/root", "/run/user")))
_HIDDEN = (*_HOMES, Path("/tmp"), Path("/var/tmp"))


def command(layout: Layout) -> Path:
    """The `edgekit` that the service runs: that of this environment.

    Raises:
        ServiceError: it is where a service cannot see it.
    """
    if layout.offline:
        return COMMAND
    here = Path(sys.prefix) / "bin" / "edgekit"
    if not here.is_file():
        raise ServiceError(f"there is no {here}; install edgekit in a virtual environment")
    for folder in _needed():
        if _is_below(folder, _HIDDEN) and not _is_below(folder, _HOMES):
            raise ServiceError(
                f"edgekit is installed in {folder}, which no service should run from; install it "
                "in /opt/edgekit"
            )
    return here


def drop_in(layout: Layout) -> bytes | None:
    """What this machine needs otherwise than the unit has it; None for nothing.

    Raises:
        ServiceError: see `command`.
    """
    executable = command(layout)
    if executable == COMMAND:
        return None
    lines = ["# Written by `edgekit service install` for the environment it was run from."]
    lines += ["[Service]"]
    for line in packaged("edgekit.service").decode().splitlines():
        if str(COMMAND) in line:
            # An empty assignment takes back what the unit has.
            lines += [f"{line.partition('=')[0]}=", line.replace(str(COMMAND), _quoted(executable))]
    homes = sorted({folder for folder in _needed() if _is_below(folder, _HOMES)})
    if homes:
        lines += ["# Homes are hidden but for edgekit's own folders, which are read-only."]
        lines += ["ProtectHome=tmpfs"]
        lines += [f"BindReadOnlyPaths={_quoted(folder)}" for folder in homes]
    return "".join(f"{line}\n" for line in lines).encode()


def check_visible(settings: Settings) -> None:
    """Check that the service will see the files that a configuration names.

    Raises:
        ServiceError: its sandbox hides one.
    """
    named = (
        settings.source, settings.source_password_file, settings.labels, settings.cpu_model,
        settings.delegate,
        settings.mqtt.ca_file, settings.mqtt.cert_file, settings.mqtt.key_file,
        settings.mqtt.password_file, settings.http.token_file, settings.webhook.token_file,
    )  # fmt: skip
    for path in named:
        if path is not None and _is_below(Path(path), _HIDDEN):
            raise ServiceError(
                f"the service will not see {path}: its sandbox hides homes and /tmp; put it below "
                f"{MODEL.parent} and name it there"
            )


def _needed() -> list[Path]:
    """The folders that hold Python, its packages, and a source tree it may be installed from."""
    return [
        Path(sys.prefix),
        Path(sys.base_prefix),
        *(Path(package.__file__ or "").parent.parent for package in (edgekit, edgekit_device)),
    ]


def _is_below(path: Path, folders: tuple[Path, ...]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def _quoted(path: Path) -> str:
    """A path as a word of a unit: percent signs begin specifiers, blanks end words."""
    text = str(path).replace("%", "%%")
    return f'"{text}"' if " " in text else text
