"""A folder that looks like a Raspberry Pi to `edgekit doctor`: healthy, for a test to break."""

import json
import textwrap
from pathlib import Path
from typing import Any

import msgspec
from edgekit_device.doctor.device import Device, Space
from edgekit_device.doctor.diagnosis import Diagnosis
from edgekit_device.doctor.examination import examine
from edgekit_device.health import Status, write_status

from edgekit.files import FileStamp
from tests.device.sinks.samples import make_health

MIB = 1024 * 1024
GROUPS = "video:x:44:\nplugdev:x:46:\npi:x:1000:\n"
# As a Raspberry Pi 4 with 2 GB says it.
_FILES = {
    "etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_CODENAME=bookworm\n',
    "etc/group": GROUPS,
    "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
    "proc/sys/kernel/osrelease": "6.12.47+rpt-rpi-v8\n",
    "proc/mounts": "/dev/mmcblk0p2 / ext4 rw,noatime 0 0\nproc /proc proc rw 0 0\n",
    "proc/meminfo": "MemTotal: 1893000 kB\nMemFree: 900000 kB\nMemAvailable: 1400000 kB\n"
    "SwapTotal: 0 kB\n",
    "sys/class/thermal/thermal_zone0/temp": "48312\n",
    "sys/devices/platform/soc/soc:firmware/get_throttled": "0\n",
    "sys/fs/cgroup/cgroup.controllers": "cpuset cpu io memory pids\n",
    "run/systemd/timesync/synchronized": "",
    "boot/firmware/config.txt": "dtparam=audio=on\ncamera_auto_detect=1\n",
    "sys/bus/usb/devices/usb1/speed": "480\n",
    "sys/bus/usb/devices/usb2/speed": "5000\n",
}
# As `systemctl show` has a service that runs.
RUNS = ("LoadState=loaded", "ActiveState=active", "SubState=running")
_PACKAGES = {"numpy": "1.26.4", "opencv-python-headless": "4.11.0.86", "tflite-runtime": "2.14.0"}


class BrokenPi:
    """A device in a folder; what is not broken is well.

    Attributes:
        groups, user, free: of its `Device`.
        python, packages: versions of its Python, and of what is installed there.
        answers: what its Python prints when a module is tried, or the shell command that it is.
    """

    def __init__(self, root: Path) -> None:
        self.root = root / "device"
        self.user = "pi"
        self.python = "3.11.2"
        self.groups = {"pi", "video", "plugdev"}
        self.free = 20_000 * MIB
        self.packages = dict(_PACKAGES)
        self.answers = {"cv2": '{"version": "4.11.0"}', "picamera2": '{"version": ""}'}
        self._program = root / "python"
        for path, text in _FILES.items():
            self.write(path, text)
        self.add_camera()
        self.service(*RUNS, model_sha256="12345678" * 8)

    def write(self, path: str, text: str) -> None:
        """Write one of its files."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def remove(self, path: str) -> None:
        """Remove one of its files."""
        (self.root / path).unlink()

    def program(self, name: str, script: str) -> None:
        """Install a program: lines of shell."""
        self.write(f"usr/bin/{name}", f"#!/bin/sh\n{script}\n")
        (self.root / "usr/bin" / name).chmod(0o755)

    def service(
        self,
        *properties: str,
        pid: int = 100,
        configuration: FileStamp | None = None,
        **health: Any,
    ) -> None:
        """The service.

        Args:
            properties: as `systemctl show` prints them; its daemon's process is 100.
            pid: of the process that the status is of.
            configuration: the file that the daemon follows.
            health: what the daemon says of itself there.
        """
        lines = " ".join(f"'{line}'" for line in ("MainPID=100", *properties))
        self.program("systemctl", f"printf '%s\\n' {lines}")
        folder = self.root / "run/edgekit"
        folder.mkdir(parents=True, exist_ok=True)
        said = msgspec.structs.replace(make_health(), **health)
        write_status(folder, Status(pid, said, {}, configuration=configuration))

    def add_camera(self) -> None:
        """A USB camera with a node for pictures and one for metadata, and the board's codec."""
        nodes = [("HD Pro Webcam C920", 0), ("HD Pro Webcam C920", 1), ("bcm2835-codec-decode", 0)]
        for number, (name, index) in enumerate(nodes):
            self.write(f"sys/class/video4linux/video{number}/name", f"{name}\n")
            self.write(f"sys/class/video4linux/video{number}/index", f"{index}\n")

    def remove_camera(self) -> None:
        """Pull it out."""
        for number in (0, 1):
            self.remove(f"sys/class/video4linux/video{number}/name")
            (self.root / f"sys/class/video4linux/video{number}/index").unlink()
            (self.root / f"sys/class/video4linux/video{number}").rmdir()

    def add_coral(self, speed: int, library: str | None) -> None:
        """A Coral on USB, and the package of its library in this version."""
        self.write("sys/bus/usb/devices/2-1/idVendor", "18d1\n")
        self.write("sys/bus/usb/devices/2-1/idProduct", "9302\n")
        self.write("sys/bus/usb/devices/2-1/speed", f"{speed}\n")
        if library is not None:
            self.write("usr/lib/aarch64-linux-gnu/libedgetpu.so.1.0", "")
            self.write(
                "var/lib/dpkg/status",
                "Package: libedgetpu1-std\nStatus: install ok installed\n"
                f"Version: {library}\n\nPackage: zlib1g\nVersion: 1\n",
            )

    def examine(self) -> list[Diagnosis]:
        """What the doctor finds."""
        self._write_python()
        device = Device(
            root=self.root,
            python=self._program,
            environment=Path("/opt/edgekit"),
            user=self.user,
            groups=frozenset(self.groups),
            space=lambda _: Space(30_000 * MIB, self.free),
        )
        return examine(device)

    def _write_python(self) -> None:
        """A stand-in for its Python, which is called with `-m MODULE WHAT [NAME …]` at the end."""
        environment = {"python": self.python, "machine": "aarch64", "bits": 64}
        answers = {
            "packages": json.dumps(environment | {"packages": self.packages}),
            "tflite_runtime.interpreter": '{"right": true}',
            "ai_edge_litert.interpreter": '{"right": true}',
        } | self.answers
        lines = []
        for name, answer in answers.items():
            command = f"echo '{answer}'" if answer.startswith("{") else answer
            lines.append(f"*{name.replace(' ', chr(92) + ' ')}) {command};;")
        script = "\n".join(lines)
        self._program.write_text(f'#!/bin/sh\ncase "$*" in\n{script}\nesac\n')
        self._program.chmod(0o755)


def fails(message: str) -> str:
    """The shell command that a Python is which ends with this error."""
    return textwrap.dedent(f"echo 'Traceback' >&2; echo \"{message}\" >&2; exit 1")
