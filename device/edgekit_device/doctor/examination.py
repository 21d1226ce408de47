"""All checks, in the order of the report."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import msgspec

from edgekit_device.doctor import (
    accelerator,
    cameras,
    coral,
    installation,
    machine,
    packages,
    service,
)
from edgekit_device.doctor.device import Device
from edgekit_device.doctor.diagnosis import Diagnosis
from edgekit_device.health import Status


class Report(msgspec.Struct, frozen=True, omit_defaults=True):
    """What `edgekit doctor --json` prints.

    Attributes:
        diagnoses: in the order of the report.
        daemon: what the service's daemon says of itself, as `edgekit service status --json` has
            it: `daemon.health` is the health that sinks get. None where it says nothing.
    """

    diagnoses: list[Diagnosis]
    daemon: Status | None = None


Check = Callable[[Device], Iterable[Diagnosis]]

CHECKS: dict[str, Check] = {
    "board": machine.check_board,
    "packages": packages.check_packages,
    "camera": cameras.check_cameras,
    "picamera2": cameras.check_picamera2,
    "coral": coral.check_coral,
    "delegate": accelerator.check_delegate,
    "groups": cameras.check_groups,
    "disk": machine.check_disk,
    "memory": machine.check_memory,
    "power": machine.check_power,
    "clock": machine.check_clock,
    "service": service.check_service,
    "runtime": service.check_runtime,
    "units": installation.check_units,
    "control": installation.check_control,
    "kept": installation.check_kept,
    "signatures": service.check_signatures,
}


def _examine(name: str, check: Check, device: Device) -> list[Diagnosis]:
    try:
        return list(check(device))
    except Exception as error:
        # A device that nobody has seen yet must not hide what the other checks see.
        reason = " ".join(str(error).split()) or type(error).__name__
        return [Diagnosis(name, "note", f"could not be looked at: {reason}")]


def examine(device: Device) -> list[Diagnosis]:
    """Every check's diagnoses; the checks run side by side, because some wait for programs."""
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        futures = [pool.submit(_examine, name, check, device) for name, check in CHECKS.items()]
        return [diagnosis for future in futures for diagnosis in future.result()]
