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
_LABEL = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL}){{0,8}}")
_VERSION = re.compile("[0-9][0-9A-Za-z.+-]{0,39}")
_HASH = re.compile("[0-9a-f]{64}")


def inventory(devices: Sequence[Device]) -> str:
    """Hosts by the devices' names, with where they are, and groups by state and by model.

    Args:
        devices: at least one; their names are letters, digits, - and _.
    """
    groups: defaultdict[str, list[str]] = defaultdict(list)
    lines = ["all:", "  children:", f"    {GROUP}:", "      hosts:"]
    for device in sorted(devices, key=lambda device: device.name):
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


def is_found(device: Device) -> bool:
    """Whether the inventory says where a device is; else Ansible looks for its name."""
    return "ansible_host" in _facts(device)


def _facts(device: Device) -> dict[str, str]:
    facts = {}
    if _is_address(device.address):
        facts["ansible_host"] = device.address
    elif _HOST.fullmatch(device.host):
        facts["ansible_host"] = device.host
    if _HOST.fullmatch(device.host):
        facts["fleet_host"] = device.host
    if _HASH.fullmatch(device.model_sha256):
        facts["fleet_model_sha256"] = device.model_sha256
    if _VERSION.fullmatch(device.version):
        facts["fleet_version"] = device.version
    return facts


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    # That of an interface, which may be any text, comes behind a %.
    return "%" not in text
