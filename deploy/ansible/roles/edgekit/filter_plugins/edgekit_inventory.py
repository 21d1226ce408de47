"""Whether the inventory means what it says: which devices are there twice, and who goes first."""

from collections.abc import Sequence
from typing import Any

Json = dict[str, Any]


def twins(hostvars: Any, hosts: Sequence[str]) -> dict[str, list[str]]:
    """Devices that have several names in the inventory, and for each why it is refused.

    Args:
        hostvars: of Ansible; `edgekit_looked` is the result of the task that looked.
        hosts: those of the run.
    """
    names: dict[str, list[str]] = {}
    for host in hosts:
        if same_as := _same_as(hostvars[host].get("edgekit_looked") or {}):
            names.setdefault(same_as, []).append(host)
    return {
        host: [
            f"it is the same device as {', '.join(name for name in group if name != host)}: leave "
            "it in the inventory once"
        ]
        for group in names.values()
        for host in group
        if len(group) > 1
    }


def without_canaries(canaries: Sequence[str], hosts: Sequence[str], stages: Sequence[Any]) -> str:
    """What to say of a run in which no canaries go first; empty where some do.

    Args:
        canaries: the devices of the group edgekit_canary.
        hosts: those of the run.
        stages: how many devices each has.
    """
    if set(canaries) & set(hosts):
        return ""
    begin = f"the stages begin at once, with {stages[0]} of {len(hosts)}"
    if canaries:
        return (
            f"--limit leaves out the canaries, {', '.join(canaries)}, and none goes first: {begin}"
        )
    return f"no device of this run is in the group edgekit_canary: {begin}"


def not_this_machine(names: Sequence[str], localhost: Json) -> list[str]:
    """Why work of the controller would be done on another machine; nothing where it would not.

    Args:
        names: those of the whole inventory.
        localhost: the variables of the host `localhost`.
    """
    # Ansible takes a device of any of these names for the controller.
    taken = [name for name in ("localhost", "127.0.0.1", "::1") if name in names]
    if not taken or localhost.get("ansible_connection") == "local":
        return []
    return [
        f"the inventory calls a device {taken[0]}, which Ansible takes for this machine: give it "
        "another name, with this one as its ansible_host; or say ansible_connection=local of it"
    ]


def _same_as(looked: Json) -> str:
    device = (looked.get("ansible_facts") or {}).get("edgekit_device") or {}
    return str(device.get("same_as", ""))


class FilterModule:
    """The filters of the role."""

    def filters(self) -> dict[str, Any]:
        """Them, by name."""
        return {
            "edgekit_not_this_machine": not_this_machine,
            "edgekit_twins": twins,
            "edgekit_without_canaries": without_canaries,
        }
