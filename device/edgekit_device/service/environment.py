"""Which command the unit starts, and what its sandbox must let through for that."""

import os
import stat
import sys
from pathlib import Path

import edgekit
import edgekit_device
from edgekit.errors import ServiceError
from edgekit_device.config.secrets import read_http_token
from edgekit_device.config.settings import Settings
from edgekit_device.folders import DATA_FOLDER
from edgekit_device.service.layout import COMMAND, MODEL, UNIT, Layout, packaged

# ProtectHome= and PrivateTmp= hide these.
_HIDDEN = tuple(map(Path, ("/home", "/root", "/run/user", "/tmp", "/var/tmp")))
# What LoadCredential=http-token: in the unit stands for.
TOKEN_CREDENTIAL = Path("/etc/credstore/edgekit.http-token")


def command(layout: Layout) -> Path:
    """The `edgekit` that the service runs: that of this environment.

    Raises:
        ServiceError: it is where a service cannot see it, or others than root can change it: the
            unit runs it as root before each start.
    """
    if layout.offline:
        return COMMAND
    here = _here()
    if not here.is_file():
        raise ServiceError(f"there is no {here}; install edgekit in a virtual environment")
    for folder in _needed():
        if _is_below(folder, _HIDDEN) or _is_below(folder.resolve(), _HIDDEN):
            raise ServiceError(
                f"edgekit is installed in {folder}, which no service should run from; install it "
                "in /opt/edgekit"
            )
    if strange := _not_of_root(_needed()):
        raise ServiceError(
            f"{strange} can be changed by others than root, and the service would run it as root; "
            "install edgekit in /opt/edgekit with sudo"
        )
    return here


def starts_this(layout: Layout) -> bool:
    """Whether the unit that is there starts the edgekit of this environment, not another's."""
    here = _quoted(_here())
    for path in (layout.drop_in(UNIT), layout.unit):
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        # A drop-in takes back what the unit has.
        return any(line.startswith(f"ExecStart={here} ") for line in text.splitlines())
    return False


def drop_in(layout: Layout, name: str) -> bytes | None:
    """What this machine needs otherwise than a unit has it; None for nothing.

    Raises:
        ServiceError: see `command`.
    """
    executable = command(layout)
    if executable == COMMAND:
        return None
    lines = ["# Written by `edgekit service install` for the environment it was run from."]
    lines += ["[Service]"]
    unit = packaged(name).decode().splitlines()
    for key in dict.fromkeys(line.partition("=")[0] for line in unit if str(COMMAND) in line):
        # An empty assignment takes back all that the unit has.
        lines.append(f"{key}=")
        lines += [
            line.replace(str(COMMAND), _quoted(executable))
            for line in unit
            if line.startswith(f"{key}=")
        ]
    return "".join(f"{line}\n" for line in lines).encode()


def check_visible(settings: Settings) -> None:
    """Check that the service will see the files that a configuration names.

    Raises:
        ServiceError: its sandbox hides one.
    """
    named = (
        settings.source, settings.source_password_file, settings.labels, settings.cpu_model,
        settings.delegate, settings.allowed_signers,
        settings.mqtt.ca_file, settings.mqtt.cert_file, settings.mqtt.key_file,
        settings.mqtt.password_file, settings.http.token_file, settings.webhook.token_file,
    )  # fmt: skip
    for path in named:
        if path is not None and _is_below(Path(path), _HIDDEN):
            raise ServiceError(
                f"the service will not see {path}: its sandbox hides homes and /tmp; put it below "
                f"{MODEL.parent} and name it there"
            )


def check_history(settings: Settings) -> None:
    """Check that the service can keep a history where the configuration wants it.

    Raises:
        ServiceError: its sandbox lets it write elsewhere alone.
    """
    folder = settings.history.folder
    if folder is None:
        return
    parents = Path(os.path.normpath(folder)).parents
    if not {DATA_FOLDER, DATA_FOLDER.parent / "private" / DATA_FOLDER.name} & set(parents):
        raise ServiceError(
            f"the service cannot keep its history in {folder}: its sandbox lets it write below "
            f'{DATA_FOLDER} alone; set folder = "{DATA_FOLDER}/history" in [history]'
        )


def check_token(layout: Layout, settings: Settings) -> None:
    """Refuse a token for the web server with which the service would not start: its file is there.

    Raises:
        ConfigurationError: it is too short, say, as those of earlier versions could be.
    """
    named = settings.http.token_file or TOKEN_CREDENTIAL
    path = layout.root / named.relative_to("/") if named.is_absolute() else named
    if settings.http.listen is not None and path.is_file():
        read_http_token(path)


def _here() -> Path:
    return Path(sys.prefix) / "bin" / "edgekit"


def _needed() -> list[Path]:
    """The folders that hold Python, its packages, and a source tree it may be installed from."""
    return [
        Path(sys.prefix),
        Path(sys.base_prefix),
        *(Path(package.__file__ or "").parent.parent for package in (edgekit, edgekit_device)),
    ]


def _not_of_root(folders: list[Path]) -> Path | None:
    """What somebody else than root could change of these folders, or above them; None for nothing.

    Links are followed. Python's own folder is looked at as far as its program and library.
    """
    base = Path(sys.base_prefix)
    paths = {Path(sys.executable).resolve(), Path(os.__file__).parent, *folders}
    for folder in folders:
        if folder != base:
            paths.update(folder.rglob("*"))
    paths.update(path.resolve() for path in set(paths) if path.is_symlink())
    paths.update(parent for path in set(paths) for parent in path.parents)
    return next(filter(_is_open, sorted(paths)), None)


def _is_open(path: Path) -> bool:
    """Whether somebody else than root may write to a file or folder."""
    try:
        status = path.lstat()
    except OSError:
        return False
    if stat.S_ISLNK(status.st_mode):
        # Its permissions mean nothing.
        return status.st_uid != 0
    by_group = status.st_mode & stat.S_IWGRP and status.st_gid != 0
    return status.st_uid != 0 or bool(by_group or status.st_mode & stat.S_IWOTH)


def _is_below(path: Path, folders: tuple[Path, ...]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def _quoted(path: Path) -> str:
    """A path as a word of a unit: percent signs begin specifiers, blanks end words."""
    text = str(path).replace("%", "%%")
    return f'"{text}"' if " " in text else text
