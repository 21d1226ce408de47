#!/usr/bin/python
"""What a device is and runs, read with few means: it may be old, full, or without edgekit."""

import ctypes
import fcntl
import json
import os
import platform
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: edgekit_facts
short_description: Read what a device is, what edgekit it has, and how its service is
description:
  - Changes nothing. Returns the fact C(edgekit_device).
options:
  venv:
    description: Virtual environment that edgekit lies in.
    type: path
    default: /opt/edgekit
  staging:
    description: Folder that a run of the role has while it works.
    type: path
    default: /var/lib/edgekit-ansible
  packages:
    description: Debian packages; those that are not installed are told.
    type: list
    elements: str
    default: []
  packages_32_bits:
    description: More of them, for a system of 32 bits.
    type: list
    elements: str
    default: []
  now:
    description: Seconds since 1970 by the clock of the controller; 0 leaves clocks uncompared.
    type: float
    default: 0
  allowed_signers:
    description:
      - Who is to be allowed to sign, as their file has it.
      - Why the model that runs would not be theirs is told.
    type: str
    default: ""
  doctor:
    description: Let C(edgekit doctor) look, too, which takes some seconds.
    type: bool
    default: false
author: edgekit
"""

EXAMPLES = r"""
- name: Look at the device
  edgekit_facts:
    packages: [python3-venv]
"""

RETURN = r"""
ansible_facts:
  description: The fact C(edgekit_device).
  returned: always
  type: dict
"""

STATE = Path("/var/lib/edgekit")
CONFIG = Path("/etc/edgekit/edgekit.toml")
CREDENTIALS = Path("/etc/credstore")
# Held by whoever changes the service: `edgekit service` itself, and pip where the role runs it.
LOCK = Path("/run/edgekit.lock")
# What a folder is called, beside the virtual environment, for as long as pip is at work in it.
UNFINISHED = ".unfinished"
# Bytes of a file of keys; edgekit itself takes no more.
LARGEST = 1 << 20
TIMEOUT = 120
OVERLAY = re.compile(r"(^| )(boot=overlay|overlayroot=tmpfs)")


def machine():
    """What the device is, as the Python that runs this sees it."""
    release = re.findall(r'^PRETTY_NAME="?([^"\n]*)', read("/etc/os-release"), re.MULTILINE)
    return {
        "architecture": platform.machine(),
        # Of the system: a kernel of 64 bits may run one of 32.
        "bits": 8 * ctypes.sizeof(ctypes.c_void_p),
        "python": platform.python_version(),
        "system": release[0] if release else "",
        "kernel": platform.release(),
        "board": read("/proc/device-tree/model").rstrip("\0"),
        "up_seconds": int(float(read("/proc/uptime").split()[0])),
        "systemd": Path("/run/systemd/system").is_dir(),
        "free_bytes": {place: free(place) for place in ("/opt", "/var/lib")},
        "unwritable": unwritable(read("/proc/self/mounts"), read("/proc/cmdline")),
        # Two names of one device find the same folder of the same kernel.
        "same_as": f"{read('/proc/sys/kernel/random/boot_id')}{Path('/var/lib').stat()[1:3]}",
    }


def read(path):
    """The text of a file; empty where there is none."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def free(place):
    """Bytes that are free on the disk of a folder, which may be yet to be made."""
    folder = Path(place)
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(str(folder)).free


def unwritable(mounts, boot):
    """Which folders keep nothing of what is written into them, and why, by folder.

    Args:
        mounts: contents of /proc/self/mounts.
        boot: the options of the kernel.
    """
    there = {}
    for line in mounts.splitlines():
        _, place, kind, options, *_ = line.split()
        there[place] = kind, options.split(",")
    # As raspi-config switches it on, of old and now; other overlays lie on a disk.
    in_memory = ["tmpfs", "ramfs"] + ["overlay"] * bool(OVERLAY.search(boot))
    why = {}
    for folder in ("/etc", "/opt", "/var/lib"):
        kind, options = mounted(there, folder)
        if "ro" in options:
            why[folder] = "is mounted read-only"
        elif kind in in_memory:
            why[folder] = "lies in memory, and is lost at the next start"
    return why


def mounted(there, folder):
    """Kind and options of the file system that a folder lies on."""
    for place in [folder, *map(str, Path(folder).parents)]:
        if place in there:
            return there[place]
    return "", []


def distributions(venv):
    """Version and, where pip noted it, hash of the wheel of our packages, by name."""
    found = {}
    for folder in Path(venv).glob("lib/python3*/site-packages/edgekit_*.dist-info"):
        name, _, version = folder.name[: -len(".dist-info")].partition("-")
        try:
            noted = json.loads(read(folder / "direct_url.json")).get("archive_info", {})
        except (ValueError, AttributeError):
            noted = {}
        kind, _, value = str(noted.get("hash", "")).partition("=")
        found[name.replace("_", "-")] = {
            "version": version,
            "sha256": value if kind == "sha256" else "",
        }
    return found


def at_work():
    """Whether somebody changes the service now, which may be a run whose connection broke."""
    try:
        with LOCK.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        # Nobody has ever held it.
        return False
    return False


def outdated(pid, venv):
    """Whether a daemon runs since before its packages or secrets were changed.

    Both moments are by the clock as it is now: at start it may have been wrong.
    """
    try:
        ticks = read(f"/proc/{pid}/stat").rpartition(")")[2].split()[19]
        age = float(read("/proc/uptime").split()[0]) - int(ticks) / os.sysconf("SC_CLK_TCK")
    except (IndexError, ValueError):
        return False
    began = time.time() - age
    parts = [*Path(venv).glob("lib/python3*/site-packages/edgekit_*.dist-info"),
             *CREDENTIALS.glob("edgekit.*")]  # fmt: skip
    return any(part.stat().st_ctime > began for part in parts)


def missing(packages):
    """Those Debian packages that are not installed."""
    if not packages:
        return []
    command = [
        "dpkg-query",
        "--show",
        "--showformat",
        "${db:Status-Status} ${Package}\n",
        *packages,
    ]
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
        )
    except OSError:
        return list(packages)
    there = {line.split()[1] for line in done.stdout.decode().splitlines()
             if line.startswith("installed ")}  # fmt: skip
    return [name for name in packages if name not in there]


def models():
    """Hashes of the models: the one that runs, the one before, and all that are stored."""

    def target(name):
        try:
            return Path(os.readlink(str(STATE / name))).stem  # noqa: PTH115
        except OSError:
            return ""

    stored = sorted(path.stem for path in (STATE / "models").glob("*.tflite"))
    return {"current": target("model.tflite"), "previous": target("previous.tflite"),
            "stored": stored}  # fmt: skip


def configuration():
    """Whether there is a configuration, somebody edited it, and whose models it lets run."""
    if not CONFIG.is_file():
        return {"present": False, "edited": False, "allowed_signers": "", "problem": ""}
    content = CONFIG.read_bytes()
    written = STATE / "edgekit.toml"
    told = {
        "present": True,
        "edited": not written.is_file() or written.read_bytes() != content,
        "allowed_signers": "",
        "problem": "",
    }
    try:
        import tomllib

        named = tomllib.loads(content.decode()).get("allowed-signers")
        if named is not None:
            with Path(named).open("rb") as file:
                told["allowed_signers"] = file.read(LARGEST).decode()
    # ValueError: no TOML, no UTF-8. TypeError: what is named is no path.
    except (ImportError, OSError, ValueError, TypeError) as error:
        told["problem"] = f"{CONFIG}: {error}"
    return told


def model_refused(venv, signers):
    """Why the model that runs would not run if these alone could sign; empty where it would."""
    model = STATE / "model.tflite"
    if not signers or not model.exists() or not Path(venv, "bin/edgekit").exists():
        return ""
    try:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:
            file.write(signers)
            file.flush()
            done = subprocess.run(
                [f"{venv}/bin/edgekit", "verify", str(model), "--allowed-signers", file.name],
                stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT, check=False,
            )  # fmt: skip
    # OSError: its disk may be full.
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"it cannot be checked: {error}"
    if done.returncode == 0:
        return ""
    said = done.stderr.decode(errors="replace").strip().splitlines()
    line = said[-1] if said else "it cannot be checked"
    line = line.replace(file.name, "edgekit_allowed_signers")
    return line[len("edgekit: ") :] if line.startswith("edgekit: ") else line


def ask(venv, *words):
    """What a command of edgekit prints as JSON; None, and why, where it prints none."""
    command = [f"{venv}/bin/edgekit", *words, "--json"]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT, check=False
        )
    except FileNotFoundError:
        return None, f"there is no {command[0]}"
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, str(error)
    try:
        return json.loads(done.stdout.decode()), ""
    except ValueError:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        return None, said[-1] if said else f"{' '.join(words)} ended with {done.returncode}"


def main():
    """Read it all."""
    module = AnsibleModule(
        argument_spec={
            "venv": {"type": "path", "default": "/opt/edgekit"},
            "staging": {"type": "path", "default": "/var/lib/edgekit-ansible"},
            "packages": {"type": "list", "elements": "str", "default": []},
            "packages_32_bits": {"type": "list", "elements": "str", "default": []},
            "now": {"type": "float", "default": 0},
            "allowed_signers": {"type": "str", "default": ""},
            "doctor": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    now = module.params["now"]
    # Before anything that takes time.
    clock_off = time.time() - now if now else 0.0
    venv = module.params["venv"]
    status, why = ask(venv, "service", "status")
    device = machine()
    packages = module.params["packages"]
    if device["bits"] == 32:
        packages = packages + module.params["packages_32_bits"]
    device.update(
        clock_off_seconds=clock_off,
        model_refused=model_refused(venv, module.params["allowed_signers"]),
        at_work=at_work(),
        cut_short=Path(module.params["staging"]).is_dir(),
        unfinished=Path(venv + UNFINISHED).exists(),
        outdated=outdated(((status or {}).get("unit") or {}).get("pid"), venv),
        distributions=distributions(venv),
        missing_packages=missing(packages),
        models=models(),
        configuration=configuration(),
        status=status,
        status_problem=why,
    )
    if module.params["doctor"]:
        report, why = ask(venv, "doctor")
        device["diagnoses"] = (report or {}).get("diagnoses", [])
        device["doctor_problem"] = why
    module.exit_json(changed=False, ansible_facts={"edgekit_device": device})


if __name__ == "__main__":
    main()
