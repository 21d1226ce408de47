"""Which models may run: those that somebody signed who may, where `allowed-signers` is set."""

import os
import stat
from pathlib import Path

from edgekit.errors import ConfigurationError
from edgekit.model.container import ModelFile
from edgekit.model.signers import AllowedSigners, Signer, unchecked
from edgekit_device.config.settings import Settings


def check_signer(model: ModelFile, settings: Settings) -> Signer | None:
    """Who signed a model; None for an unsigned one, where that may run.

    Args:
        model: as it was read: what is checked is what runs.
        settings: name the allowed signers, or none.

    Raises:
        SignatureError: it is not signed by somebody who may.
        ConfigurationError, SettingsError: nothing can be checked; see `allowed_signers`.
    """
    allowed = allowed_signers(settings)
    return unchecked(model) if allowed is None else allowed.check(model)


def allowed_signers(settings: Settings, root: Path = Path("/")) -> AllowedSigners | None:
    """The keys that may sign; None where every model may run.

    Args:
        settings: name the file.
        root: where the files of the machine lie that the settings are for.

    Raises:
        ConfigurationError: the file cannot be read, or others may write to it.
    """
    if settings.allowed_signers is None:
        return None
    path = root / settings.allowed_signers.absolute().relative_to("/")
    allowed = AllowedSigners.read(path)
    if place := _open_to_others(path, root):
        raise ConfigurationError(
            f"the allowed signers {path} could be changed by others, who may write to {place}; "
            f"let that be root's or your own: sudo chmod go-w {place}"
        )
    return allowed


def missing_for_checks(root: Path = Path("/")) -> tuple[str, str] | None:
    """What a service lacks to check signatures, and the command that brings it; None for nothing.

    Args:
        root: where the files of the machine lie.
    """
    if not (root / "usr/bin/ssh-keygen").exists():
        return "there is no ssh-keygen", "sudo apt install openssh-client"
    try:
        switch = (root / "etc/nsswitch.conf").read_text(encoding="utf-8", errors="replace")
    except OSError:
        switch = ""
    names = [line.split() for line in switch.splitlines() if line.startswith("passwd:")]
    # The account exists only while the service runs, and is in no file.
    if not any("systemd" in words for words in names):
        return "the service's account has no name", "sudo apt install libnss-systemd"
    return None


def _open_to_others(path: Path, root: Path) -> Path | None:
    """The file, or what is above it, that others than root and this account may change."""
    real = path.resolve()
    places = (path, *path.parents, real, *real.parents)
    # What is above an image is no part of the machine that it is for.
    places = tuple(place for place in places if place.is_relative_to(root))
    return next((place for place in places if _is_open(place.lstat())), None)


def _is_open(status: os.stat_result) -> bool:
    if status.st_uid not in (0, os.geteuid()):
        return True
    # The permissions of a link mean nothing; in /tmp nobody moves what is another's.
    if stat.S_ISLNK(status.st_mode) or status.st_mode & stat.S_ISVTX:
        return False
    by_group = status.st_mode & stat.S_IWGRP and status.st_gid != 0
    return bool(by_group or status.st_mode & stat.S_IWOTH)
