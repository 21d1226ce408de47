"""Cameras, who uses them, and who may."""

import re
from collections.abc import Iterator
from pathlib import Path

from edgekit_device.doctor import coral
from edgekit_device.doctor.findings import Finding
from edgekit_device.doctor.packages import complaint, probed
from edgekit_device.doctor.system import System

# Video devices of a Raspberry Pi that are no cameras: codecs, image processors, and the receivers
# of camera modules, which libcamera drives.
_RECEIVERS = ("unicam", "rp1-cfe")
_NO_CAMERAS = ("bcm2835-", "pispbe", "rpivid", "rpi-hevc-dec", *_RECEIVERS)
_LISTERS = ("rpicam-hello", "libcamera-hello")
# `0 : imx219 [3280x2464 10-bit RGGB] (/base/soc/i2c0mux/i2c@1/imx219@10)`
_LISTED = re.compile(r"^\s*\d+ : (\S+) \[(\d+x\d+)", re.MULTILINE)
_PICAMERA2 = "usr/lib/python3/dist-packages/picamera2"


def _video_devices(system: System) -> dict[str, str]:
    """Name by device node of those that give pictures: /dev/video0, say."""
    found = {}
    for folder in system.glob("sys/class/video4linux/video*"):
        entry = str(folder.relative_to(system.root))
        name = system.read(f"{entry}/name")
        # A camera's further nodes are for metadata.
        if not name.startswith(_NO_CAMERAS) and system.read(f"{entry}/index") in ("", "0"):
            found[f"/dev/{folder.name}"] = name
    return found


def _has_receiver(system: System) -> bool:
    names = system.glob("sys/class/video4linux/video*/name")
    return any(system.read(str(path.relative_to(system.root))).startswith(_RECEIVERS)
               for path in names)  # fmt: skip


def _users(system: System) -> dict[str, list[Path]]:
    """The processes that hold each video device open, as far as they may be looked into."""
    users: dict[str, list[Path]] = {}
    for descriptor in system.glob("proc/[0-9]*/fd/*"):
        target = system.link(descriptor)
        if target.startswith("/dev/video"):
            users.setdefault(target, []).append(descriptor.parent.parent)
    return users


def _modules(system: System) -> list[str]:
    """Camera modules that libcamera lists."""
    for name in _LISTERS:
        answer = system.run(name, "--list-cameras")
        if answer is not None:
            listed = _LISTED.findall(answer.output + answer.errors)
            return [f"{sensor}, {size}" for sensor, size in listed]
    return []


def check_cameras(system: System) -> Iterator[Finding]:
    """USB cameras with those who use them, and camera modules."""
    devices, users, modules = _video_devices(system), _users(system), _modules(system)
    for device, name in devices.items():
        yield _video_device(system, device, name, users.get(device, []))
    for module in modules:
        yield Finding("camera", "ok", f"module {module}: picamera2:")
    if devices or modules:
        return
    config = system.read("boot/firmware/config.txt")
    if config and not re.search(r"^camera_auto_detect=1|^dtoverlay=(imx|ov)", config, re.MULTILINE):
        yield Finding(
            "camera",
            "warning",
            "none is seen, and camera modules are not looked for",
            "echo camera_auto_detect=1 | sudo tee -a /boot/firmware/config.txt && sudo reboot",
        )
        return
    yield Finding(
        "camera",
        "warning",
        "none is seen; check its cable (a module's contacts face the board's, with the power off)",
        "rpicam-hello --list-cameras; ls /dev/v4l/by-id",
    )


def _video_device(system: System, device: str, name: str, users: list[Path]) -> Finding:
    text = f"{name}: v4l2:{device}"
    for process in users:
        entry = process.relative_to(system.root)
        program = system.read(f"{entry}/comm")
        if program == "edgekit":
            return Finding("camera", "ok", f"{text}, in use by edgekit")
        unit = re.search(r"/([\w@.-]+\.service)$", system.read(f"{entry}/cgroup"), re.MULTILINE)
        remedy = f"sudo systemctl disable --now {unit[1]}" if unit else f"sudo kill {process.name}"
        text += f", in use by {program}, and two cannot share it"
        return Finding("camera", "warning", text, remedy)
    return Finding("camera", "ok", text)


def check_picamera2(system: System) -> Iterator[Finding]:
    """What camera modules need in Python; it comes from apt alone."""
    answer = system.probe("module", "picamera2")
    wrong = complaint(answer)
    if wrong is None and probed(answer):
        yield Finding("picamera2", "ok", "can be imported")
    elif wrong is not None:
        remedy = "sudo apt install --reinstall python3-picamera2 python3-libcamera"
        yield Finding("picamera2", "problem", f"cannot be imported: {wrong}", remedy)
    elif system.exists(_PICAMERA2):
        config = system.environment / "pyvenv.cfg"
        yield Finding(
            "picamera2",
            "warning",
            f"installed, but out of sight of {system.environment}, which was made without "
            "--system-site-packages",
            f"sudo sed -i 's/^\\(include-system-site-packages\\) .*/\\1 = true/' {config}",
        )
    elif _has_receiver(system):
        yield Finding(
            "picamera2",
            "problem",
            "not installed: the camera module cannot be used",
            "sudo apt install --no-install-recommends python3-picamera2",
        )
    else:
        yield Finding("picamera2", "note", "not installed; only camera modules need it",
                      "sudo apt install --no-install-recommends python3-picamera2")  # fmt: skip


def check_groups(system: System) -> Iterator[Finding]:
    """Whether this user may open what is there; the service has its own groups."""
    needed = {}
    if _video_devices(system) or _has_receiver(system):
        needed["video"] = "cameras"
    if coral.on_usb(system):
        needed["plugdev"] = "the Coral"
    if system.is_root or not needed:
        return
    missing = {group: what for group, what in needed.items() if group not in system.groups}
    if not missing:
        yield Finding("groups", "ok", f"{system.user} is in {', '.join(needed)}")
        return
    members = {
        line.split(":")[0]: line.rpartition(":")[2].split(",")
        for line in system.read("etc/group").splitlines()
    }
    for group, what in missing.items():
        if system.user in members.get(group, []):
            text = f"{system.user} is in {group}, from the next login on: {what} cannot be opened"
            yield Finding("groups", "problem", text, f"newgrp {group}")
        else:
            text = f"{system.user} is not in {group}: {what} cannot be opened"
            remedy = f"sudo usermod -aG {group} {system.user} && newgrp {group}"
            yield Finding("groups", "problem", text, remedy)
