"""Which devices a push goes to: as named on the command line, and in a file, one on each line."""

import ipaddress
import re
from collections.abc import Iterable
from pathlib import Path

import click

from edgekit.errors import ConfigurationError
from edgekit.files import read_text
from edgekit.text import one_line

# As ssh takes it: user@name, or ssh://user@name:port. An IPv6 address has no brackets in the one,
# and is refused in the other.
_HOST = re.compile(
    r"(?P<scheme>ssh://)?(?:(?P<user>[^\s/]+)@)?"
    r"(?P<name>[0-9A-Fa-f]*:[0-9A-Fa-f.]*:[^\s@/\[\]]*|[^\s@/:\[\],*?#]+)"
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
    if host.startswith("-") or found is None or strange:
        raise ValueError(f"is not a host{_remedy(host)}")
    if ":" in found["name"] and (found["scheme"] or _address(found["name"]) is None):
        raise ValueError(f"is not a host{_remedy(host)}")
    if f"{found['user']}".startswith("-") or found["name"].startswith("-"):
        raise ValueError("is not a host")
    port = found["port"]
    if port and not found["scheme"]:
        raise ValueError(f"is not a host; a port is written ssh://{host}")
    if port and not 0 < int(port) < 1 << 16:
        raise ValueError("has no such port; there are 1 to 65535")
    # Two users of it are one device.
    place = (_address(found["name"]) or _name(found["name"]), str(int(port)) if port else "")
    if place in places:
        raise ValueError(f"is there already, {places[place]}; name each device once")
    places[place] = where


def _name(text: str) -> str:
    """The one spelling of a host's name; a dot at its end says that it is a whole one."""
    return text.lower().removesuffix(".")


def _address(text: str) -> str | None:
    """The one spelling of an address; None for what is none."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    # `::ffff:10.0.0.7` is 10.0.0.7.
    return str(getattr(found, "ipv4_mapped", None) or found)


def _remedy(host: str) -> str:
    place = host.removeprefix("ssh://").rpartition("@")[2]
    if place.count(":") > 1:
        return (
            "; an IPv6 address is written pi@fe80::1%eth0, without brackets, and its port with "
            "--port or in ~/.ssh/config: ssh:// takes none"
        )
    if host.startswith("[") or host.endswith(":"):
        return "; it looks like an Ansible inventory: write one host on each line, without groups"
    if not set("[]{}*?").isdisjoint(place):
        return "; ranges and patterns are not expanded: write one host on each line"
    if "," in place or any(letter.isspace() for letter in host):
        return "; write one on each line, with a port as ssh://pi@porch:2222"
    if "#" in place:
        return "; a remark begins with a blank and a #"
    return ""
