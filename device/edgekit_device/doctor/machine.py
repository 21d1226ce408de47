"""The board itself: disk, memory, heat, power, clock."""

import datetime
from collections.abc import Iterator

from edgekit_device import board
from edgekit_device.doctor.device import Device
from edgekit_device.doctor.diagnosis import Diagnosis

_MIB = 1024 * 1024
# Room for another model, an update of the package, and logs.
_ENOUGH_DISK = 500 * _MIB
_LITTLE_DISK = 100 * _MIB
# What the daemon needs with ResNet-18, MQTT and metrics.
_ENOUGH_MEMORY = 150 * _MIB
_SMALL_BOARD = 600 * _MIB
# Degrees Celsius: from 80 on the firmware slows the processor down, at 85 it stops the cores.
_WARM, _HOT = 75.0, 80.0
# This was written in that year: an earlier clock is wrong.
_THIS_YEAR = 2025


def check_board(device: Device) -> Iterator[Diagnosis]:
    """Board and operating system."""
    release = dict(device.fields("etc/os-release", "="))
    kernel = device.read("proc/sys/kernel/osrelease")
    parts = [board.model(device.root), release.get("PRETTY_NAME"), kernel and f"Linux {kernel}"]
    yield Diagnosis("board", "ok", ", ".join(part for part in parts if part) or "unknown")


def check_disk(device: Device) -> Iterator[Diagnosis]:
    """Room, and whether anything can be written."""
    kinds: dict[str, tuple[str, list[str]]] = {}
    for line in device.read("proc/mounts").splitlines():
        _, place, kind, flags, *_ = line.split()
        kinds[place] = kind, flags.split(",")
    kind, options = kinds.get("/", ("", []))
    if kind == "overlay":
        yield Diagnosis(
            "disk",
            "note",
            "/ is an overlay (raspi-config): what is installed now is gone after a restart",
            "sudo raspi-config nonint disable_overlayfs && sudo reboot",
        )
    elif "ro" in options:
        yield Diagnosis(
            "disk",
            "warning",
            "/ is mounted read-only: a model cannot be upgraded; if it was not meant to be, the "
            "card may be failing (see: dmesg)",
            "sudo mount -o remount,rw /",
        )
    space = device.space(device.root)
    text = f"{space.free // _MIB} MiB of {space.total // _MIB} MiB free"
    if space.free < _LITTLE_DISK:
        yield Diagnosis(
            "disk", "problem", text, "sudo journalctl --vacuum-size=20M; sudo apt clean"
        )
    elif space.free < _ENOUGH_DISK:
        yield Diagnosis(
            "disk", "warning", text, "sudo journalctl --vacuum-size=20M; sudo apt clean"
        )
    else:
        yield Diagnosis("disk", "ok", text)


def check_memory(device: Device) -> Iterator[Diagnosis]:
    """Memory, and what stands in when it runs out."""
    amounts = {
        name: int(value.split()[0]) * 1024
        for name, value in device.fields("proc/meminfo", ":")
        if value.split()[0].isdecimal()
    }
    if not amounts:
        return
    total, free = amounts["MemTotal"], amounts.get("MemAvailable", amounts["MemFree"])
    swap = amounts.get("SwapTotal", 0)
    text = f"{free // _MIB} MiB of {total // _MIB} MiB available"
    if swap:
        compressed = "/dev/zram" in device.read("proc/swaps")
        text += f", {swap // _MIB} MiB of {'compressed swap (zram)' if compressed else 'swap'}"
    if free < _ENOUGH_MEMORY:
        remedy = "ps -eo rss,comm --sort=-rss | head"
        text += "; the daemon needs 150: end what takes most"
        yield Diagnosis("memory", "warning", text, remedy)
    elif total < _SMALL_BOARD and not swap:
        text += "; without swap a moment's need ends a program"
        yield Diagnosis("memory", "warning", text, "sudo apt install systemd-zram-generator")
    else:
        yield Diagnosis("memory", "ok", text)
    controllers = device.read("sys/fs/cgroup/cgroup.controllers").split()
    if controllers and "memory" not in controllers:
        yield Diagnosis(
            "memory",
            "note",
            "the kernel's memory control is off, as Raspberry Pi OS has it: the service's own "
            "limit (MemoryMax=) has no effect",
            "sudo sed -i '1s/$/ cgroup_enable=memory/' /boot/firmware/cmdline.txt && sudo reboot",
        )


def check_power(device: Device) -> Iterator[Diagnosis]:
    """Heat, under-voltage and throttling."""
    heat = board.temperature(device.root)
    if heat is not None and heat >= _HOT:
        yield Diagnosis("temperature", "problem", f"{heat:.0f} °C: the processor is slowed down; "
                      "give it air, a heat sink or a fan")  # fmt: skip
    elif heat is not None:
        yield Diagnosis("temperature", "warning" if heat >= _WARM else "ok", f"{heat:.0f} °C")
    now, before = board.throttled(device.root), board.throttled_since_boot(device.root)
    advice = "; use the board's own power supply and a short cable"
    if now:
        hint = advice if "under-voltage" in now else ""
        yield Diagnosis(
            "power", "problem", f"now: {', '.join(now)}{hint}", "vcgencmd get_throttled"
        )
    elif before:
        hint = advice if "under-voltage" in before else ""
        text = f"since it was switched on: {', '.join(before)}{hint}"
        yield Diagnosis("power", "warning", text, "vcgencmd get_throttled")
    elif heat is not None:
        yield Diagnosis("power", "ok", "not throttled since it was switched on")


def check_clock(device: Device) -> Iterator[Diagnosis]:
    """A wrong clock makes certificates invalid, and messages hard to use."""
    answer = device.run("timedatectl", "show")
    said = dict(line.partition("=")[::2] for line in answer.output.splitlines()) if answer else {}
    synchronised = (
        device.exists("run/systemd/timesync/synchronized") or said.get("NTPSynchronized") == "yes"
    )
    now = datetime.datetime.now(datetime.UTC)
    text = f"{now:%Y-%m-%d %H:%M} UTC"
    remedy = "sudo timedatectl set-ntp true"
    if now.year < _THIS_YEAR:
        text += " is wrong: encrypted connections will fail (there is no battery in most boards)"
        yield Diagnosis("clock", "problem", text, remedy)
    elif synchronised:
        yield Diagnosis("clock", "ok", f"{text}, synchronised")
    else:
        text += ", not synchronised: encrypted connections fail when it is far off"
        yield Diagnosis("clock", "warning", text, remedy)
