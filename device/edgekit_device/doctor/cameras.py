"""Cameras, who uses them, and who may."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from edgekit_device.doctor import coral
from edgekit_device.doctor.device import Device
from edgekit_device.doctor.diagnosis import Diagnosis
from edgekit_device.doctor.packages import complaint, probed

# Video devices of a Raspberry Pi that are no cameras: codecs, image processors, and the receivers
# of camera modules, which libcamera drives.
_RECEIVERS = ("unicam", "rp1-cfe")
_NO_CAMERAS = ("bcm2835-", "pispbe", "rpivid", "rpi-hevc-dec", *_RECEIVERS)
_LISTERS = ("rpicam-hello", "libcamera-hello")
# `0 : imx219 [3280x2464 10-bit RGGB] (/base/soc/i2c0mux/i2c@1/imx219@10)`
_LISTED = re.compile(r"^\s*\d+ : (\S+) \[(\d+x\d+)", re.MULTILINE)
_PICAMERA2 = "usr/lib/python3/dist-packages/picamera2"


def _video_devices(device: Device) -> dict[str, str]:
    """Name by device node of those that give pictures: /dev/video0, say."""
    found = {}
    for folder in device.glob("sys/class/video4linux/video*"):
        entry = str(folder.relative_to(device.root))
        name = device.read(f"{entry}/name")
        # A camera's further nodes are for metadata.
        if not name.startswith(_NO_CAMERAS) and device.read(f"{entry}/index") in ("", "0"):
            found[f"/dev/{folder.name}"] = name
    return found


def _has_receiver(device: Device) -> bool:
    names = device.glob("sys/class/video4linux/video*/name")
    return any(device.read(str(path.relative_to(device.root))).startswith(_RECEIVERS)
               for path in names)  # fmt: skip


def _users(device: Device) -> dict[str, list[Path]]:
    """The processes that hold each video device open, as far as they may be looked into."""
    users: dict[str, list[Path]] = {}
    for descriptor in device.glob("proc/[0-9]*/fd/*"):
        target = device.link(descriptor)
        if target.startswith("/dev/video"):
            users.setdefault(target, []).append(descriptor.parent.parent)
    return users


def _modules(device: Device) -> list[str]:
    """Camera modules that libcamera lists."""
    for name in _LISTERS:
        answer = device.run(name, "--list-cameras")
        if answer is not None:
            listed = _LISTED.findall(answer.output + answer.errors)
            return [f"{sensor}, {size}" for sensor, size in listed]
    return []


def check_cameras(device: Device) -> Iterator[Diagnosis]:
    """USB cameras with those who use them, and camera modules."""
    devices, users, modules = _video_devices(device), _users(device), _modules(device)
    for node, name in devices.items():
        yield _video_device(device, node, name, users.get(node, []))
    for module in modules:
        yield Diagnosis("camera", "ok", f"module {module}: picamera2:")
    if devices or modules:
        return
    config = device.read("boot/firmware/config.txt")
    if config and not re.search(r"^camera_auto_detect=1|^dtoverlay=(imx|ov)", config, re.MULTILINE):
        yield Diagnosis(
            "camera",
            "warning",
            "none is seen, and camera modules are not looked for",
            "echo camera_auto_detect=1 | sudo tee -a /boot/firmware/config.txt && sudo reboot",
        )
        return
    yield Diagnosis(
        "camera",
        "warning",
        "none is seen; check its cable (a module's contacts face the board's, with the power off)",
        "rpicam-hello --list-cameras; ls /dev/v4l/by-id",
    )


def _video_device(device: Device, node: str, name: str, users: list[Path]) -> Diagnosis:
    text = f"{name}: v4l2:{node}"
    for process in users:
        entry = process.relative_to(device.root)
        program = device.read(f"{entry}/comm")
        if program == "edgekit":
            return Diagnosis("camera", "ok", f"{text}, in use by edgekit")
        unit = re.search(r"/([\w@.-]+\.service)$", device.read(f"{entry}/cgroup"), re.MULTILINE)
        remedy = f"sudo systemctl disable --now {unit[1]}" if unit else f"sudo kill {process.name}"
        text += f", in use by {program}, and two cannot share it"
        return Diagnosis("camera", "warning", text, remedy)
    return Diagnosis("camera", "ok", text)


def check_picamera2(device: Device) -> Iterator[Diagnosis]:
    """What camera modules need in Python; it comes from apt alone."""
    answer = device.probe("module", "picamera2")
    wrong = complaint(answer)
    if wrong is None and probed(answer):
        yield Diagnosis("picamera2", "ok", "can be imported")
    elif wrong is not None:
        remedy = "sudo apt install --reinstall python3-picamera2 python3-libcamera"
        yield Diagnosis("picamera2", "problem", f"cannot be imported: {wrong}", remedy)
    elif device.exists(_PICAMERA2):
        config = device.environment / "pyvenv.cfg"
        yield Diagnosis(
            "picamera2",
            "warning",
            f"installed, but out of sight of {device.environment}, which was made without "
            "--system-site-packages",
            f"sudo sed -i 's/^\\(include-system-site-packages\\) .*/\\1 = true/' "
            f"{shlex.quote(str(config))}",
        )
    elif _has_receiver(device):
        yield Diagnosis(
            "picamera2",
            "problem",
            "not installed: the camera module cannot be used",
            "sudo apt install --no-install-recommends python3-picamera2",
        )
    else:
        yield Diagnosis("picamera2", "note", "not installed; only camera modules need it",
                      "sudo apt install --no-install-recommends python3-picamera2")  # fmt: skip


def check_groups(device: Device) -> Iterator[Diagnosis]:
    """Whether this user may open what is there; the service has its own groups."""
    needed = {}
    if _video_devices(device) or _has_receiver(device):
        needed["video"] = "cameras"
    if coral.on_usb(device):
        needed["plugdev"] = "the Coral"
    if device.is_root or not needed:
        return
    missing = {group: what for group, what in needed.items() if group not in device.groups}
    if not missing:
        yield Diagnosis("groups", "ok", f"{device.user} is in {', '.join(needed)}")
        return
    members = {
        line.split(":")[0]: line.rpartition(":")[2].split(",")
        for line in device.read("etc/group").splitlines()
    }
    for group, what in missing.items():
        if device.user in members.get(group, []):
            text = f"{device.user} is in {group}, from the next login on: {what} cannot be opened"
            yield Diagnosis("groups", "problem", text, f"newgrp {group}")
        else:
            text = f"{device.user} is not in {group}: {what} cannot be opened"
            remedy = f"sudo usermod -aG {group} {device.user} && newgrp {group}"
            yield Diagnosis("groups", "problem", text, remedy)
