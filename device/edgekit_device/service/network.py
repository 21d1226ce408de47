"""Which addresses the service may talk to: those that its configuration names, and no others.

The unit lets it reach this machine alone. What it needs beyond is allowed before each start and
before each reload, so that an edited configuration counts; systemd forgets it at shutdown. A name
can stand for any address from one day to the next, so a name opens the network as a whole.
"""

import ipaddress
import os
from collections.abc import Callable, Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

from edgekit.errors import ServiceError
from edgekit.text import last_line
from edgekit_device.config.file import load
from edgekit_device.config.settings import Settings
from edgekit_device.service import systemctl
from edgekit_device.service.layout import UNIT, Layout

_THIS_MACHINE = "localhost"
_ALL = "any"


class Network(NamedTuple):
    """What the service may reach, and be reached by.

    Attributes:
        allowed: words of systemd's IPAddressAllow=: `localhost`, addresses, or `any`.
        reason: why it is `any`; empty where it is not.
    """

    allowed: tuple[str, ...]
    reason: str = ""

    def __str__(self) -> str:
        if self.reason:
            return f"any address, because {self.reason}"
        return ", ".join(["this machine", *self.allowed[1:]])


def network_of(settings: Settings) -> Network:
    """What a configuration needs, in this environment."""
    if any(name.lower().endswith("_proxy") for name in os.environ):
        return Network((_ALL,), "a proxy is set")
    addresses: list[str] = []
    for key, host in _hosts(settings):
        address = _address(host)
        if address is None:
            return Network((_ALL,), f"{key} is a name, not an address")
        if not (address.is_loopback or address.is_unspecified):
            addresses.append(str(address))
    if settings.http.listen is not None and not settings.http.is_loopback():
        return Network((_ALL,), f"http.listen is {settings.http.listen}")
    return Network((_THIS_MACHINE, *dict.fromkeys(addresses)))


def open_network(layout: Layout, notify: Callable[[str], None]) -> None:
    """Allow the service what its configuration needs, until the machine is shut down.

    Raises:
        SettingsError: the configuration is wrong.
        ServiceError: systemd does not do it.
    """
    network = network_of(load(layout.config, {}))
    # The empty one takes back what was allowed before.
    words = ["IPAddressAllow=", *(f"IPAddressAllow={word}" for word in network.allowed)]
    done = systemctl.call("set-property", "--runtime", UNIT, *words)
    if done.returncode:
        raise ServiceError(f"systemd does not open the network: {last_line(done.stderr)}")
    notify(f"network: {network}")


def _hosts(settings: Settings) -> Iterator[tuple[str, str]]:
    """Keys of the configuration that name a host, and what they name."""
    if settings.mqtt.host is not None:
        yield "mqtt.host", settings.mqtt.host
    for key, address in (("webhook.url", settings.webhook.url), ("source", settings.source)):
        if address is not None and "://" in address:
            yield key, _host_of(address)


def _host_of(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a host is written as; None for a name."""
    if host == "localhost":
        return ipaddress.IPv4Address("127.0.0.1")
    try:
        # A link-local address may name its interface, which systemd does not take.
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
