"""Coral accelerators, their driver and their library."""

import re
from collections.abc import Iterator

from edgekit_device.doctor.findings import Finding
from edgekit_device.doctor.system import System

# Before its firmware has been sent, which the first use does, and after.
_USB = {("1a6e", "089a"), ("18d1", "9302")}
_PCI = ("0x1ac1", "0x089a")
_LIBRARY = ("usr/lib/*/libedgetpu.so.1*", "usr/local/lib/libedgetpu.so.1*",
            "usr/lib/libedgetpu.so.1*")  # fmt: skip
# Google's own packages stop at TensorFlow 2.5, and crash the runtimes of today; these are builds
# of the same sources for later ones.
_BUILDS = "https://github.com/feranick/libedgetpu/releases/download"
_PACKAGES = {
    "bookworm": "v16.0TF2.15.1-1/libedgetpu1-std_16.0tf2.15.1-1.bookworm_arm64.deb",
    "trixie": "16.0TF2.19.1-1/libedgetpu1-std_16.0tf2.19.1-1.trixie_arm64.deb",
}
_SUPERSPEED = 5000


def _install_library(system: System) -> str:
    release = dict(system.fields("etc/os-release", "="))
    package = _PACKAGES.get(release.get("VERSION_CODENAME", ""), _PACKAGES["trixie"])
    name = package.rpartition("/")[2]
    return f"wget -P /tmp {_BUILDS}/{package} && sudo apt install /tmp/{name}"


def _speed(system: System, entry: str) -> int:
    """Of a USB device, in Mbit/s; 0 where it does not say."""
    text = system.read(f"{entry}/speed")
    return int(text) if text.isdecimal() else 0


def on_usb(system: System) -> list[str]:
    """Folders of the USB devices that are Coral accelerators, without the leading slash."""
    entries = [str(path.relative_to(system.root)) for path in system.glob("sys/bus/usb/devices/*")]
    return [
        entry
        for entry in entries
        if (system.read(f"{entry}/idVendor"), system.read(f"{entry}/idProduct")) in _USB
    ]


def _on_pci(system: System) -> bool:
    folders = [path.relative_to(system.root) for path in system.glob("sys/bus/pci/devices/*")]
    return any(
        (system.read(f"{folder}/vendor"), system.read(f"{folder}/device")) == _PCI
        for folder in folders
    )


def check_coral(system: System) -> Iterator[Finding]:
    """Each accelerator with its speed, its driver, and the library that both need."""
    usb, pci = on_usb(system), _on_pci(system)
    for entry in usb:
        yield _usb(system, entry)
    if pci and system.glob("dev/apex_*"):
        yield Finding("coral", "ok", "on PCI Express, with its driver")
    elif pci:
        yield Finding(
            "coral",
            "problem",
            "on PCI Express, without a driver (/dev/apex_0 is missing)",
            "sudo apt install gasket-dkms && sudo modprobe apex",
        )
    if usb or pci:
        yield _library(system)


def _usb(system: System, entry: str) -> Finding:
    speed = _speed(system, entry)
    text = f"on USB, {speed} Mbit/s"
    if speed >= _SUPERSPEED:
        return Finding("coral", "ok", text)
    buses = [str(path.relative_to(system.root)) for path in system.glob("sys/bus/usb/devices/usb*")]
    if any(_speed(system, bus) >= _SUPERSPEED for bus in buses):
        text += ": move it to a blue socket (USB 3), with the cable that came with it"
        return Finding("coral", "warning", f"{text}; large models are several times faster there",
                       "lsusb -t")  # fmt: skip
    return Finding("coral", "note", f"{text}: this board has no USB 3, and large models are slow")


def _library(system: System) -> Finding:
    if not any(system.glob(pattern) for pattern in _LIBRARY):
        text = "libedgetpu.so.1 is missing"
        return Finding("libedgetpu", "problem", text, _install_library(system))
    status = system.read("var/lib/dpkg/status")
    package = re.search(
        r"^Package: (libedgetpu1-(?:std|max))\n(?:.+\n)*?Version: (\S+)", status, re.MULTILINE
    )
    if package is None:
        return Finding("libedgetpu", "ok", "installed, from no package")
    name, version = package.groups()
    if "tf" not in version:
        text = f"{name} {version} was built for TensorFlow 2.5 and crashes later runtimes"
        return Finding("libedgetpu", "problem", text, _install_library(system))
    return Finding("libedgetpu", "ok", f"{name} {version}")
