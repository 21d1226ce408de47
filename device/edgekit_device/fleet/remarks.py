"""What is to be said beside the table: what is missing, and what does not belong there."""

from collections.abc import Sequence

from edgekit.text import listed
from edgekit_device.fleet.devices import DEVICES_LIMIT, OFFLINE, SILENT, Device
from edgekit_device.fleet.reading import Reading
from edgekit_device.fleet.selection import Selection

LEFTOVER = 30 * 86400.0
"""Seconds after which a device that is not heard of may no longer exist."""
_NAMED = 3


def is_partial(reading: Reading) -> bool:
    """Whether there may be devices that are not known."""
    return bool(not reading.was_complete or reading.lost or reading.fleet.left_out)


def remarks(
    reading: Reading, prefix: str, devices: Sequence[Device], selection: Selection
) -> list[str]:
    """Lines for people.

    Args:
        reading: what was read.
        prefix: of the devices' topics.
        devices: all that are known.
        selection: which of them are meant.
    """
    fleet, said = reading.fleet, selection.remarks(devices) if devices else []
    if not devices:
        said.append(
            f"{reading.where} knows no device below {prefix}/: is --mqtt-prefix right, and may "
            "this user read there?"
        )
    if not reading.was_complete:
        said.append(
            f"{reading.where} has not sent all that it retains in time: devices may be missing; "
            "--timeout waits longer"
        )
    if reading.lost:
        said.append(
            f"{reading.where} dropped messages that it had for us: devices may be missing; let it "
            "keep more for a client (mosquitto: max_queued_messages, twice the number of devices)"
        )
    if fleet.left_out:
        said.append(f"{fleet.left_out:,} device(s) beyond {DEVICES_LIMIT:,} are left out")
    if fleet.foreign_count:
        said.append(
            f"{fleet.foreign_count:,} status topic(s) below {prefix}/ are no device's: "
            f"{listed([f'{prefix}/{name}/status' for name in fleet.foreign], _NAMED)}"
        )
    shared = [
        f"{device.name} ({device.host or 'one'}, and {device.namesake})"
        for device in devices
        if device.namesake
    ]
    if shared:
        said.append(
            f"{len(shared):,} name(s) belong to two devices each: {listed(shared, _NAMED)}; what "
            "is shown is of the one or the other, and each ends the other's connection: set "
            "another `name` on one of them"
        )
    gone = [
        device.name
        for device in devices
        if device.state in (OFFLINE, SILENT)
        and device.last_seen_s is not None
        and device.last_seen_s > LEFTOVER
    ]
    if gone:
        said.append(
            f"{len(gone):,} device(s) were last heard of more than {LEFTOVER / 86400:.0f} days "
            f"ago: {listed(gone, _NAMED)}; remove what is left of one that is no more with: "
            f"mosquitto_sub -t '{prefix}/NAME/#' -t 'homeassistant/+/edgekit_NAME/+/config' "
            "--retained-only --remove-retained -W 2"
        )
    return said
