"""Passwords and tokens: read from files, never from the command line or the environment."""

import os
from pathlib import Path

from edgekit.errors import ConfigurationError


def secret_file(named: Path | None, credential: str) -> Path | None:
    """The file that a secret is read from.

    Args:
        named: the file from the configuration.
        credential: name of the systemd credential that is used without one (LoadCredential=).

    Returns:
        None where there is neither.
    """
    if named is not None:
        return named
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if folder and (Path(folder) / credential).is_file():
        return Path(folder) / credential
    return None


def read_secret(named: Path | None, credential: str) -> str | None:
    """The one line of a secret's file, without its line break.

    Args:
        named, credential: see `secret_file`.

    Returns:
        None where there is no such file in the configuration nor in systemd's credentials.

    Raises:
        ConfigurationError: it cannot be read, is empty or has several lines.
    """
    path = secret_file(named, credential)
    if path is None:
        return None
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"cannot read the {credential} in {path}: {error.strerror}"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"the {credential} in {path} is not UTF-8 text") from error
    secret = text.removesuffix("\n").removesuffix("\r")
    if not secret:
        raise ConfigurationError(f"{path} is empty; it should hold the {credential}")
    if "\n" in secret or "\r" in secret:
        raise ConfigurationError(f"{path} has several lines; it should hold the {credential} alone")
    return secret
