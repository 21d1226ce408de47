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
from edgekit_device.doctor.probe import OPENCV

# The oldest OpenCV that edgekit is tried with; on 32 bits it is that of Debian 12.
_OLDEST_OPENCV = {64: (4, 11), 32: (4, 6)}
# Where PyPI has no wheels of them.
_FROM_APT = "sudo apt install python3-numpy python3-opencv"


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
    bits: int = found["bits"]
    old = "tflite-runtime" in packages
    needed = f'ai-edge-litert "{_opencv_name(packages)}<5"'
    if old:
        needed = f"tflite-runtime==2.14.0 {_numpy_1(packages)}"
    install = f"{device.pip} install {needed}"
    if bits == 32:
        install = f"{_FROM_APT}; {device.pip} install tflite-runtime==2.14.0"
    numpy_1 = f"{device.pip} install {_numpy_1(packages)}"
    if bits == 32:
        numpy_1 = f"{device.pip} uninstall --yes numpy; {_FROM_APT}"
    yield _numpy(packages, install, numpy_1)
    yield from _runtimes(device, packages, install, numpy_1)
    bound = "<4.12" if old else "<5"
    afresh = f'{device.pip} install --force-reinstall --no-deps "{OPENCV[0]}{bound}"'
    if bits == 32:
        afresh = _FROM_APT
    yield from _opencv(device, packages, install, afresh, numpy_1, _OLDEST_OPENCV[bits])


def _opencv_name(packages: dict[str, str]) -> str:
    """The distribution of OpenCV that is there; where there is none, the one for a device."""
    return next((name for name in OPENCV if name in packages), OPENCV[0])


def _numpy_1(packages: dict[str, str]) -> str:
    """tflite-runtime was built with NumPy 1, and OpenCV 4.11 is the last that goes with it."""
    return f'"numpy<2" "{_opencv_name(packages)}<4.12"'


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


def _numpy(packages: dict[str, str], install: str, numpy_1: str) -> Diagnosis:
    version = packages.get("numpy")
    if version is None:
        return Diagnosis("numpy", "problem", "not installed", install)
    if "tflite-runtime" in packages and int(version.partition(".")[0]) >= 2:
        return Diagnosis(
            "numpy",
            "problem",
            f"{version}: tflite-runtime {packages['tflite-runtime']} was built for NumPy 1 and "
            "cannot be imported with it",
            numpy_1,
        )
    return Diagnosis("numpy", "ok", version)


def _runtimes(
    device: Device, packages: dict[str, str], install: str, numpy_1: str
) -> Iterator[Diagnosis]:
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
            remedy = numpy_1
        yield Diagnosis("runtime", "warning" if works else "problem", f"{title}: {wrong}", remedy)


def _opencv(
    device: Device,
    packages: dict[str, str],
    install: str,
    afresh: str,
    numpy_1: str,
    oldest: tuple[int, int],
) -> Iterator[Diagnosis]:
    there = [name for name in OPENCV if name in packages]
    if there:
        afresh = f"{device.pip} uninstall --yes {' '.join(there)}; {afresh}"
    if len(there) > 1:
        yield Diagnosis(
            "opencv",
            "warning",
            f"{' and '.join(f'{name} {packages[name]}' for name in there)} write the same folder: "
            "which of them runs is chance, and to uninstall one breaks the other",
            afresh,
        )
    answer = device.probe("module", "cv2")
    wrong = complaint(answer)
    if wrong is None:
        version = str(probed(answer).get("version", ""))
        numbers = tuple(map(int, re.findall(r"\d+", version)[:2]))
        if numbers >= oldest:
            yield Diagnosis("opencv", "ok", version)
        elif numbers:
            said = f"{version}: edgekit is tried with {oldest[0]}.{oldest[1]} and later"
            yield Diagnosis("opencv", "warning", said, afresh)
        else:
            yield Diagnosis("opencv", "problem", "not installed", install)
        return
    remedy = install
    if missing := re.search(r"(lib[\w.+-]+): cannot open shared object", wrong):
        # Of a desktop, which the distribution for a device does without.
        wrong, remedy = f"does not load: {missing[1]} is missing", afresh
    elif "numpy" in wrong.lower():
        remedy = numpy_1
    yield Diagnosis("opencv", "problem", wrong, remedy)
