"""Python and the packages that the daemon needs."""

import json
import re
from collections.abc import Iterator
from typing import Any

from edgekit.child import signal_name
from edgekit.cli import STRANGER
from edgekit.inference.runtimes import RUNTIMES
from edgekit.text import last_line
from edgekit_device.doctor.device import Answer, Device
from edgekit_device.doctor.diagnosis import Diagnosis

# What a device needs before Python 3.12 (tflite-runtime was built with NumPy 1, and OpenCV 4.11 is
# the last that goes with it), and since.
_NUMPY_1 = '"numpy<2" "opencv-python<4.12"'
_OLD = f"tflite-runtime==2.14.0 {_NUMPY_1}"
_NEW = 'ai-edge-litert "opencv-python<5"'
# Debian's packages for what OpenCV's wheel expects of a system.
_LIBRARIES = "libgl1 libglib2.0-0 libsm6 libxext6"


def complaint(answer: Answer) -> str | None:
    """Why a probe failed, in words; None when it did not."""
    if answer.code == 0:
        return None
    if signal := signal_name(answer.code):
        return f"crashes ({signal})"
    return answer.errors or f"exit code {answer.code}"


def probed(answer: Answer) -> dict[str, Any]:
    """What a probe that succeeded printed."""
    found = json.loads(last_line(answer.output))
    return found if isinstance(found, dict) else {}


def check_packages(device: Device) -> Iterator[Diagnosis]:
    """Python, strangers, NumPy against tflite-runtime, every runtime at work, OpenCV."""
    answer = device.probe("packages")
    if wrong := complaint(answer):
        yield Diagnosis("python", "problem", f"{device.python} does not work: {wrong}")
        return
    found = probed(answer)
    yield _python(device, found)
    packages: dict[str, str] = found["packages"]
    if STRANGER in packages:
        yield _stranger(device, packages[STRANGER])
    old = int(found["python"].split(".")[1]) < 12
    install = f"{device.pip} install {_OLD if old else _NEW}"
    yield _numpy(device, packages, install)
    yield from _runtimes(device, packages, install)
    yield _opencv(device, install)


def _python(device: Device, found: dict[str, Any]) -> Diagnosis:
    text = f"{found['python']} in {device.environment}, {found['machine']}"
    if found["bits"] == 32:
        return Diagnosis(
            "python",
            "warning",
            f"{text}, 32 bits: runtimes exist for Python 3.11 alone; a 64-bit Raspberry Pi OS "
            "has them all, and is faster",
        )
    return Diagnosis("python", "ok", text)


def _stranger(device: Device, version: str) -> Diagnosis:
    return Diagnosis(
        STRANGER,
        "problem",
        f"{version}: on PyPI a package of this name is another project's, whose files and command "
        "take the place of ours; ours are edgekit-core, edgekit-convert and edgekit-device",
        # What it had overwritten is gone with it, so ours are put back.
        f"{device.pip} uninstall --yes {STRANGER}; {device.pip} install --force-reinstall "
        "--no-deps edgekit-core edgekit-device",
    )


def _numpy(device: Device, packages: dict[str, str], install: str) -> Diagnosis:
    version = packages.get("numpy")
    if version is None:
        return Diagnosis("numpy", "problem", "not installed", install)
    if "tflite-runtime" in packages and int(version.partition(".")[0]) >= 2:
        return Diagnosis(
            "numpy",
            "problem",
            f"{version}: tflite-runtime {packages['tflite-runtime']} was built for NumPy 1 and "
            "cannot be imported with it",
            f"{device.pip} install {_NUMPY_1}",
        )
    return Diagnosis("numpy", "ok", version)


def _runtimes(device: Device, packages: dict[str, str], install: str) -> Iterator[Diagnosis]:
    installed = [runtime for runtime in RUNTIMES.values() if runtime.distribution in packages]
    if not installed:
        yield Diagnosis("runtime", "problem", "no TFLite runtime is installed", install)
    works = False
    for runtime in installed:
        name = runtime.distribution
        title = f"{name} {packages[name]}"
        answer = device.probe("runtime", runtime.module)
        wrong = complaint(answer)
        if wrong is None and not probed(answer)["right"]:
            wrong = "gives a wrong answer"
        if wrong is None:
            works = True
            yield Diagnosis("runtime", "ok", f"{title} classifies a picture")
            continue
        remedy = f"{device.pip} install --force-reinstall --no-deps {name}=={packages[name]}"
        if "numpy" in wrong.lower() or "_ARRAY_API" in wrong:
            remedy = f"{device.pip} install {_NUMPY_1}"
        yield Diagnosis("runtime", "warning" if works else "problem", f"{title}: {wrong}", remedy)


def _opencv(device: Device, install: str) -> Diagnosis:
    answer = device.probe("module", "cv2")
    wrong = complaint(answer)
    if wrong is None:
        found = probed(answer)
        if found:
            return Diagnosis("opencv", "ok", str(found["version"]))
        wrong = "not installed"
    remedy = install
    if missing := re.search(r"(lib[\w.+-]+): cannot open shared object", wrong):
        wrong = f"does not load: {missing[1]} is missing"
        remedy = f"sudo apt install --no-install-recommends {_LIBRARIES}"
    elif "numpy" in wrong.lower():
        remedy = f"{device.pip} install {_NUMPY_1}"
    return Diagnosis("opencv", "problem", wrong, remedy)
