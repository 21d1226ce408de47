"""Coral accelerators, their driver and their library."""

import re
from collections.abc import Iterator

from edgekit_device.doctor.device import Device
from edgekit_device.doctor.diagnosis import Diagnosis

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


def _install_library(device: Device) -> str:
    release = dict(device.fields("etc/os-release", "="))
    package = _PACKAGES.get(release.get("VERSION_CODENAME", ""), _PACKAGES["trixie"])
    name = package.rpartition("/")[2]
    return f"wget -P /tmp {_BUILDS}/{package} && sudo apt install /tmp/{name}"


def _speed(device: Device, entry: str) -> int:
    """Of a USB device, in Mbit/s; 0 where it does not say."""
    text = device.read(f"{entry}/speed")
    return int(text) if text.isdecimal() else 0


def on_usb(device: Device) -> list[str]:
    """Folders of the USB devices that are Coral accelerators, without the leading slash."""
    entries = [str(path.relative_to(device.root)) for path in device.glob("sys/bus/usb/devices/*")]
    return [
        entry
        for entry in entries
        if (device.read(f"{entry}/idVendor"), device.read(f"{entry}/idProduct")) in _USB
    ]


def _on_pci(device: Device) -> bool:
    folders = [path.relative_to(device.root) for path in device.glob("sys/bus/pci/devices/*")]
    return any(
        (device.read(f"{folder}/vendor"), device.read(f"{folder}/device")) == _PCI
        for folder in folders
    )


def has_coral(device: Device) -> bool:
    """Whether there is one."""
    return bool(on_usb(device)) or _on_pci(device)


def library_package(device: Device) -> str | None:
    """Name and version of the package that brings the library; None where none does."""
    status = device.read("var/lib/dpkg/status")
    found = re.search(
        r"^Package: (libedgetpu1-(?:std|max))\n(?:.+\n)*?Version: (\S+)", status, re.MULTILINE
    )
    return " ".join(found.groups()) if found else None


def check_coral(device: Device) -> Iterator[Diagnosis]:
    """Each accelerator with its speed, its driver, and the library that both need."""
    usb, pci = on_usb(device), _on_pci(device)
    for entry in usb:
        yield _usb(device, entry)
    if pci and device.glob("dev/apex_*"):
        yield Diagnosis("coral", "ok", "on PCI Express, with its driver")
    elif pci:
        yield Diagnosis(
            "coral",
            "problem",
            "on PCI Express, without a driver (/dev/apex_0 is missing)",
            "sudo apt install gasket-dkms && sudo modprobe apex",
        )
    if usb or pci:
        yield _library(device)


def _usb(device: Device, entry: str) -> Diagnosis:
    speed = _speed(device, entry)
    text = f"on USB, {speed} Mbit/s"
    if speed >= _SUPERSPEED:
        return Diagnosis("coral", "ok", text)
    buses = [str(path.relative_to(device.root)) for path in device.glob("sys/bus/usb/devices/usb*")]
    if any(_speed(device, bus) >= _SUPERSPEED for bus in buses):
        text += ": move it to a blue socket (USB 3), with the cable that came with it"
        return Diagnosis("coral", "warning", f"{text}; large models are several times faster there",
                       "lsusb -t")  # fmt: skip
    return Diagnosis("coral", "note", f"{text}: this board has no USB 3, and large models are slow")


def _library(device: Device) -> Diagnosis:
    if not any(device.glob(pattern) for pattern in _LIBRARY):
        text = "libedgetpu.so.1 is missing"
        return Diagnosis("libedgetpu", "problem", text, _install_library(device))
    package = library_package(device)
    if package is None:
        return Diagnosis("libedgetpu", "ok", "installed, from no package")
    if "tf" not in package:
        text = f"{package} was built for TensorFlow 2.5 and crashes later runtimes"
        return Diagnosis("libedgetpu", "problem", text, _install_library(device))
    return Diagnosis("libedgetpu", "ok", package)
