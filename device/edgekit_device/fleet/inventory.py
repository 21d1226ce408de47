"""The fleet as an inventory for Ansible, in YAML.

Ansible evaluates what stands in double braces of any value, and may run programs for it: nothing
that a device says of itself goes in unless it has a form in which that cannot be written.
"""

import ipaddress
import json
import re
from collections import defaultdict
from collections.abc import Sequence

from edgekit_device.fleet.devices import STATES, Device

GROUP = "edgekit"
"""The group of all; those by state and by model begin with it."""
# What Ansible has by these names: a device called so would stand in for this machine, say, to which
# playbooks delegate. One that begins with - would be an option of ssh.
_TAKEN = ("all", "ungrouped", "localhost", GROUP)
_LABEL = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL}){{0,8}}")
# 127.1, 0 and 0x7f000001 are addresses as well, to ssh, and ways to write this machine's.
_NUMBER = re.compile("[0-9]+|0[xX][0-9A-Fa-f]*")
_HERE = frozenset(("localhost", "ip6-localhost", "ip6-loopback"))
_VERSION = re.compile("[0-9][0-9A-Za-z.+-]{0,39}")
_HASH = re.compile("[0-9a-f]{64}")


def inventory(devices: Sequence[Device]) -> str:
    """Hosts by the devices' names, with where they are, and groups by state and by model.

    Args:
        devices: at least one that `can_be_host`; the others are left out.
    """
    groups: defaultdict[str, list[str]] = defaultdict(list)
    lines = ["all:", "  children:", f"    {GROUP}:", "      hosts:"]
    for device in sorted(filter(can_be_host, devices), key=lambda device: device.name):
        facts = _facts(device)
        # Quoted: `no` and 007 are names, too.
        lines.append(f"        {json.dumps(device.name)}:{'' if facts else ' {}'}")
        lines += [f"          {key}: {json.dumps(value)}" for key, value in facts.items()]
        if device.state in STATES:
            groups[f"{GROUP}_{device.state}"].append(device.name)
        if _HASH.fullmatch(device.model_sha256):
            groups[f"{GROUP}_model_{device.model_sha256[:12]}"].append(device.name)
    for group, names in sorted(groups.items()):
        lines += [f"    {group}:", "      hosts:"]
        lines += [f"        {json.dumps(name)}: {{}}" for name in names]
    return "\n".join(lines) + "\n"


def can_be_host(device: Device) -> bool:
    """Whether Ansible takes a device's name for that of a host, and for nothing else."""
    name = device.name
    return name not in _TAKEN and not name.startswith(("-", f"{GROUP}_"))


def shared_places(devices: Sequence[Device]) -> dict[str, list[str]]:
    """Names of the devices by where they are, where several are in one place.

    Ansible would do everything twice on one machine, and nothing on another.
    """
    found: defaultdict[str, list[str]] = defaultdict(list)
    for device in devices:
        if place := _facts(device).get("ansible_host"):
            found[place.lower()].append(device.name)
    return {place: sorted(names) for place, names in found.items() if len(names) > 1}


def is_found(device: Device) -> bool:
    """Whether the inventory says where a device is; else Ansible looks for its name."""
    return "ansible_host" in _facts(device)


def _facts(device: Device) -> dict[str, str]:
    facts = {}
    if _is_address(device.address):
        facts["ansible_host"] = device.address
    elif _is_host(device.host):
        facts["ansible_host"] = device.host
    if _is_host(device.host):
        facts["fleet_host"] = device.host
    if _HASH.fullmatch(device.model_sha256):
        facts["fleet_model_sha256"] = device.model_sha256
    if _VERSION.fullmatch(device.version):
        facts["fleet_version"] = device.version
    return facts


def _is_host(text: str) -> bool:
    """Whether a text is the name of a host, and of another one than the machine that reads it."""
    labels = text.lower().split(".")
    return bool(
        _HOST.fullmatch(text) and not _NUMBER.fullmatch(labels[-1]) and _HERE.isdisjoint(labels)
    )


def _is_address(text: str) -> bool:
    """Whether a text is an address, and leads from any machine to the same device."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return False
    found = getattr(found, "ipv4_mapped", None) or found
    # That of an interface, which may be any text, comes behind a %.
    return "%" not in text and not (
        found.is_loopback or found.is_unspecified or found.is_multicast or found.is_link_local
    )
