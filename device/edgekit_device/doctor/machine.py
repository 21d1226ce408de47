"""The board itself: disk, memory, heat, power, clock."""

import datetime
from collections.abc import Iterator

from edgekit_device import board
from edgekit_device.doctor.findings import Finding
from edgekit_device.doctor.system import System

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


def check_board(system: System) -> Iterator[Finding]:
    """Board and operating system."""
    release = dict(system.fields("etc/os-release", "="))
    kernel = system.read("proc/sys/kernel/osrelease")
    parts = [board.model(system.root), release.get("PRETTY_NAME"), kernel and f"Linux {kernel}"]
    yield Finding("board", "ok", ", ".join(part for part in parts if part) or "unknown")


def check_disk(system: System) -> Iterator[Finding]:
    """Room, and whether anything can be written."""
    kinds: dict[str, tuple[str, list[str]]] = {}
    for line in system.read("proc/mounts").splitlines():
        _, place, kind, flags, *_ = line.split()
        kinds[place] = kind, flags.split(",")
    kind, options = kinds.get("/", ("", []))
    if kind == "overlay":
        yield Finding(
            "disk",
            "note",
            "/ is an overlay (raspi-config): what is installed now is gone after a restart",
            "sudo raspi-config nonint disable_overlayfs && sudo reboot",
        )
    elif "ro" in options:
        yield Finding(
            "disk",
            "warning",
            "/ is mounted read-only: a model cannot be upgraded; if it was not meant to be, the "
            "card may be failing (see: dmesg)",
            "sudo mount -o remount,rw /",
        )
    space = system.space(system.root)
    text = f"{space.free // _MIB} MiB of {space.total // _MIB} MiB free"
    if space.free < _LITTLE_DISK:
        yield Finding("disk", "problem", text, "sudo journalctl --vacuum-size=20M; sudo apt clean")
    elif space.free < _ENOUGH_DISK:
        yield Finding("disk", "warning", text, "sudo journalctl --vacuum-size=20M; sudo apt clean")
    else:
        yield Finding("disk", "ok", text)


def check_memory(system: System) -> Iterator[Finding]:
    """Memory, and what stands in when it runs out."""
    amounts = {
        name: int(value.split()[0]) * 1024
        for name, value in system.fields("proc/meminfo", ":")
        if value.split()[0].isdecimal()
    }
    if not amounts:
        return
    total, free = amounts["MemTotal"], amounts.get("MemAvailable", amounts["MemFree"])
    swap = amounts.get("SwapTotal", 0)
    text = f"{free // _MIB} MiB of {total // _MIB} MiB available"
    if swap:
        compressed = "/dev/zram" in system.read("proc/swaps")
        text += f", {swap // _MIB} MiB of {'compressed swap (zram)' if compressed else 'swap'}"
    if free < _ENOUGH_MEMORY:
        remedy = "ps -eo rss,comm --sort=-rss | head"
        text += "; the daemon needs 150: end what takes most"
        yield Finding("memory", "warning", text, remedy)
    elif total < _SMALL_BOARD and not swap:
        text += "; without swap a moment's need ends a program"
        yield Finding("memory", "warning", text, "sudo apt install systemd-zram-generator")
    else:
        yield Finding("memory", "ok", text)
    controllers = system.read("sys/fs/cgroup/cgroup.controllers").split()
    if controllers and "memory" not in controllers:
        yield Finding(
            "memory",
            "note",
            "the kernel's memory control is off, as Raspberry Pi OS has it: the service's own "
            "limit (MemoryMax=) has no effect",
            "sudo sed -i '1s/$/ cgroup_enable=memory/' /boot/firmware/cmdline.txt && sudo reboot",
        )


def check_power(system: System) -> Iterator[Finding]:
    """Heat, under-voltage and throttling."""
    heat = board.temperature(system.root)
    if heat is not None and heat >= _HOT:
        yield Finding("temperature", "problem", f"{heat:.0f} °C: the processor is slowed down; "
                      "give it air, a heat sink or a fan")  # fmt: skip
    elif heat is not None:
        yield Finding("temperature", "warning" if heat >= _WARM else "ok", f"{heat:.0f} °C")
    now, before = board.throttled(system.root), board.throttled_since_boot(system.root)
    advice = "; use the board's own power supply and a short cable"
    if now:
        hint = advice if "under-voltage" in now else ""
        yield Finding("power", "problem", f"now: {', '.join(now)}{hint}", "vcgencmd get_throttled")
    elif before:
        hint = advice if "under-voltage" in before else ""
        text = f"since it was switched on: {', '.join(before)}{hint}"
        yield Finding("power", "warning", text, "vcgencmd get_throttled")
    elif heat is not None:
        yield Finding("power", "ok", "not throttled since it was switched on")


def check_clock(system: System) -> Iterator[Finding]:
    """A wrong clock makes certificates invalid, and messages hard to use."""
    answer = system.run("timedatectl", "show")
    said = dict(line.partition("=")[::2] for line in answer.output.splitlines()) if answer else {}
    synchronised = (
        system.exists("run/systemd/timesync/synchronized") or said.get("NTPSynchronized") == "yes"
    )
    now = datetime.datetime.now(datetime.UTC)
    text = f"{now:%Y-%m-%d %H:%M} UTC"
    remedy = "sudo timedatectl set-ntp true"
    if now.year < _THIS_YEAR:
        text += " is wrong: encrypted connections will fail (there is no battery in most boards)"
        yield Finding("clock", "problem", text, remedy)
    elif synchronised:
        yield Finding("clock", "ok", f"{text}, synchronised")
    else:
        text += ", not synchronised: encrypted connections fail when it is far off"
        yield Finding("clock", "warning", text, remedy)
