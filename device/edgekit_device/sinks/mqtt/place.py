"""Where the device is, what it is, and how often it is to be heard of."""

import ipaddress
import secrets
import socket

import msgspec

from edgekit_device import board

INSTANCE = secrets.token_hex(8)
"""Of this process, until its end. No number of the machine: copies of a card have the same one."""


class Place(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the retained topic `device` says.

    Attributes:
        host: the host's name.
        health_interval_s: seconds between health messages; later ones are late.
        address: by which the broker's network reaches the device; empty where that is unknown.
        board: what it calls itself; empty where it does not.
        page: address of the device's own page; empty where there is none for others.
        instance: the process that says so, by a number of its own; empty for an earlier edgekit.
    """

    host: str
    health_interval_s: float
    address: str = ""
    board: str = ""
    page: str = ""
    instance: str = ""


def place(local_address: str, page: str | None, health_interval: float) -> Place:
    """What there is to say now.

    Args:
        local_address: of this device in the network that it shares with the broker.
        page: see `edgekit_device.sinks.mqtt.homeassistant.page_address`.
        health_interval: in seconds.
    """
    return Place(
        socket.gethostname(),
        health_interval,
        _reachable(local_address),
        board.model() or "",
        page or "",
        INSTANCE,
    )


def _reachable(address: str) -> str:
    """An address as others may use it; empty for one that means something on this machine alone."""
    plain = address.removeprefix("::ffff:")
    try:
        found = ipaddress.ip_address(plain)
    except ValueError:
        return ""
    # A link-local one needs the name of an interface, which differs from machine to machine.
    return "" if found.is_loopback or found.is_link_local else plain
