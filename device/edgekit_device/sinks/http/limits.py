"""How much of the daemon its web clients may have."""

import ipaddress
from collections import Counter
from dataclasses import dataclass

from edgekit_device.retry import WRONG_TOKEN, RetryPolicy

REFUSALS = (
    "bad-request",
    "request-timeout",
    "send-timeout",
    "connection-limit",
    "stream-limit",
    "wrong-token",
    "token-pause",
    "error",
)
"""Why a client did not get what it wanted; explained in docs/monitoring.md."""


@dataclass(frozen=True)
class Limits:
    """What is too much.

    Attributes:
        connections: that wait for a request or for the end of an answer, in all.
        client_connections: those of them that a client may have, see `client_of`.
        events: readers of `/events` beside those who see live pictures; neither count as
            `connections`.
        header_bytes: of a request.
        request_timeout: seconds from connecting until a request is there and answered.
        send_timeout: seconds for the network to take a piece of an answer.
        wrong_token: for how long nothing a client shows is looked at, after wrong tokens in a row.
    """

    connections: int = 128
    client_connections: int = 64
    events: int = 32
    header_bytes: int = 8192
    request_timeout: float = 10.0
    send_timeout: float = 20.0
    wrong_token: RetryPolicy = WRONG_TOKEN


def no_refusals() -> Counter[str]:
    """Counts of refusals. All are there from the start: other threads read them meanwhile."""
    return Counter(dict.fromkeys(REFUSALS, 0))


def client_of(address: object) -> str:
    """Who is behind an address, as far as limits go: of IPv6 the first 64 bits, a network's."""
    host = str(address[0]) if isinstance(address, (tuple, list)) and address else ""
    try:
        ip = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ipaddress.ip_network((ip, 64), strict=False))
