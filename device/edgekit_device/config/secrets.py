"""Passwords and tokens: read from files, never from the command line or the environment."""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote

from edgekit.errors import ConfigurationError
from edgekit.files import read_bounded
from edgekit.redaction import has_password, redact_address, redact_path

# Settings whose value may itself hold a secret, and what of it may be shown.
SECRET: Mapping[str, Callable[[str], str]] = {"source": redact_address, "webhook.url": redact_path}
# Of the web server: of letters and digits, 119 bits. Nobody guesses it, however many try.
_TOKEN_LENGTH = 20


_LONGEST_FILE = 1 << 16  # bytes


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
        # Bounded, and no pipe: a daemon reads it again while it works, and must not be kept.
        text = read_bounded(path, _LONGEST_FILE, follow=True).decode("utf-8")
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


def read_http_token(named: Path | None) -> str | None:
    """What the clients of the web server must show.

    Args:
        named: the file from the configuration; the systemd credential http-token if None.

    Raises:
        ConfigurationError: see `read_secret`; or it can be guessed, or has other characters than
            a header may have.
    """
    token = read_secret(named, "http-token")
    if token is None:
        return None
    # Blanks around it do not survive a header, so that nobody could ever show it.
    usable = token.isascii() and token.isprintable() and token == token.strip()
    if not usable or len(token) < _TOKEN_LENGTH:
        raise ConfigurationError(
            f"the http-token in {secret_file(named, 'http-token')} must be {_TOKEN_LENGTH} ASCII "
            "characters or more, without blanks around them; make one with: openssl rand -hex 16"
        )
    return token


def login(address: str) -> tuple[str, str]:
    """User and password that an address names, %-escaped as they stand there; empty without."""
    authority = re.split(r"[/?#]", address.partition("://")[2], maxsplit=1)[0]
    user, _, password = authority.rpartition("@")[0].partition(":")
    return user, password


def remark_on_password(source: str | None) -> str | None:
    """What is to be said where a configuration's source holds a password; None for nothing."""
    if source is None or not has_password(source):
        return None
    who = "whoever may read the configuration has it"
    if not login(source)[1]:
        return f"`source` holds what may be a password: {who}"
    return (
        f"`source` holds a password: {who}; leave the user alone in the address, and put the "
        "password into the credential source-password, or a file that source-password-file names"
    )


def with_password(address: str, named: Path | None) -> str:
    """The address of a network camera, with the password for the user that it names.

    Args:
        address: one with a password, or without a user, stays as it is.
        named: the file from the configuration; the systemd credential source-password if None.

    Raises:
        ConfigurationError: see `read_secret`.
    """
    user, password = login(address)
    if not user or password:
        return address
    secret = read_secret(named, "source-password")
    if secret is None:
        return address
    scheme, _, rest = address.partition("://")
    return f"{scheme}://{user}:{quote(secret, safe='')}@{rest.partition('@')[2]}"
