"""Which devices a push goes to: as named on the command line, and in a file, one on each line."""

import re
from collections.abc import Iterable
from pathlib import Path

import click

from edgekit.errors import ConfigurationError
from edgekit.files import read_text
from edgekit.text import one_line

# As ssh takes it: user@name, or ssh://user@name:port; an IPv6 address is in brackets there.
_HOST = re.compile(
    r"(?P<scheme>ssh://)?(?:(?P<user>[^\s/]+)@)?"
    r"(?P<name>\[[0-9A-Fa-f:.]+(?:%\w+)?\]|[^\s@/:\[\]]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*:[\w:.%]*)"
    r"(?::(?P<port>\d{1,5}))?/?"
)
# What a shell reads otherwise: a ProxyCommand of ~/.ssh/config may hand a name to one, and only a
# newer ssh refuses that by itself.
_SHELL = frozenset("'`\"$;&<>|(){}")


def named_hosts(words: Iterable[str], file: Path | None) -> tuple[str, ...]:
    """The devices, in the order in which they are named.

    Args:
        words: as ssh takes them, from the command line.
        file: with one on each line; blank lines, and what follows a `#`, do not count.

    Raises:
        UsageError: a word is no host, or is there twice, or there is none.
        ConfigurationError: the same of the file; says which line.
    """
    places: dict[tuple[str, str], str] = {}
    hosts = []
    for word in words:
        try:
            _add(places, word, "on the command line")
        except ValueError as error:
            raise click.UsageError(f"{one_line(word)!r} {error}") from error
        hosts.append(word)
    for number, line in enumerate(_lines(file), 1) if file else ():
        host = re.split(r"(?:^|\s)#", line, maxsplit=1)[0].strip()
        if not host:
            continue
        try:
            _add(places, host, f"in line {number}")
        except ValueError as error:
            raise ConfigurationError(
                f"{file}, line {number}: {one_line(host, 100)!r} {error}"
            ) from error
        hosts.append(host)
    if file and not places:
        raise ConfigurationError(f"{file} names no host; write one on each line")
    if not hosts:
        raise click.UsageError("no host is named; name one, pi@porch say, or pass --hosts FILE")
    return tuple(hosts)


def _lines(file: Path) -> list[str]:
    return read_text(file, ConfigurationError, "hosts").splitlines()


def _add(places: dict[tuple[str, str], str], host: str, where: str) -> None:
    """Note a host by the device that it is.

    Raises:
        ValueError: it is none, or is there already; the message is a clause.
    """
    found = _HOST.fullmatch(host)
    # ssh would take the one for an option, and nobody has the other.
    strange = not host.isprintable() or not _SHELL.isdisjoint(host)
    if host.startswith(("-", "[")) or found is None or strange:
        raise ValueError(f"is not a host{_remedy(host)}")
    if f"{found['user']}".startswith("-") or found["name"].startswith("-"):
        raise ValueError("is not a host")
    port = found["port"]
    if port and not found["scheme"]:
        raise ValueError(f"is not a host; a port is written ssh://{host}")
    if port and not 0 < int(port) < 1 << 16:
        raise ValueError("has no such port; there are 1 to 65535")
    # Two users of it are one device.
    place = (found["name"].strip("[]").lower(), str(int(port)) if port else "")
    if place in places:
        raise ValueError(f"is there already, {places[place]}; name each device once")
    places[place] = where


def _remedy(host: str) -> str:
    if host.startswith("["):
        return "; it looks like an Ansible inventory: write one host on each line, without groups"
    if any(letter.isspace() for letter in host):
        return "; write one on each line, with a port as ssh://pi@porch:2222"
    return ""
