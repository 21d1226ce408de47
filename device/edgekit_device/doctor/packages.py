"""Python and the packages that the daemon needs."""

import json
import re
import signal
from collections.abc import Iterator
from typing import Any

from edgekit_device.doctor.findings import Finding
from edgekit_device.doctor.system import Answer, System

# Distribution and module of each runtime.
RUNTIMES = {"ai-edge-litert": "ai_edge_litert", "tflite-runtime": "tflite_runtime"}
# What a device needs before Python 3.12 (tflite-runtime was built with NumPy 1, and OpenCV 4.11 is
# the last that goes with it), and since. Not by way of edgekit's own requirements: on PyPI, that is
# another project's name.
_NUMPY_1 = '"numpy<2" "opencv-python<4.12"'
_OLD = f"tflite-runtime==2.14.0 {_NUMPY_1}"
_NEW = 'ai-edge-litert "opencv-python<5"'
# Debian's packages for what OpenCV's wheel expects of a system.
_LIBRARIES = "libgl1 libglib2.0-0 libsm6 libxext6"


def complaint(answer: Answer) -> str | None:
    """Why a probe failed, in words; None when it did not."""
    if answer.code == 0:
        return None
    if answer.code < 0:
        try:
            name = signal.Signals(-answer.code).name
        except ValueError:
            name = f"signal {-answer.code}"
        return f"crashes ({name})"
    return answer.errors or f"exit code {answer.code}"


def probed(answer: Answer) -> dict[str, Any]:
    """What a probe that succeeded printed."""
    found = json.loads(answer.output.strip().splitlines()[-1])
    return found if isinstance(found, dict) else {}


def check_packages(system: System) -> Iterator[Finding]:
    """Python, NumPy against tflite-runtime, every runtime at work, OpenCV."""
    answer = system.probe("packages")
    if wrong := complaint(answer):
        yield Finding("python", "problem", f"{system.python} does not work: {wrong}")
        return
    found = probed(answer)
    yield _python(system, found)
    packages: dict[str, str] = found["packages"]
    old = int(found["python"].split(".")[1]) < 12
    install = f"{system.pip} {_OLD if old else _NEW}"
    yield _numpy(system, packages, install)
    yield from _runtimes(system, packages, install)
    yield _opencv(system, install)


def _python(system: System, found: dict[str, Any]) -> Finding:
    text = f"{found['python']} in {system.environment}, {found['machine']}"
    if found["bits"] == 32:
        return Finding(
            "python",
            "warning",
            f"{text}, 32 bits: runtimes exist for Python 3.11 alone; a 64-bit Raspberry Pi OS "
            "has them all, and is faster",
        )
    return Finding("python", "ok", text)


def _numpy(system: System, packages: dict[str, str], install: str) -> Finding:
    version = packages.get("numpy")
    if version is None:
        return Finding("numpy", "problem", "not installed", install)
    if "tflite-runtime" in packages and int(version.partition(".")[0]) >= 2:
        return Finding(
            "numpy",
            "problem",
            f"{version}: tflite-runtime {packages['tflite-runtime']} was built for NumPy 1 and "
            "cannot be imported with it",
            f"{system.pip} {_NUMPY_1}",
        )
    return Finding("numpy", "ok", version)


def _runtimes(system: System, packages: dict[str, str], install: str) -> Iterator[Finding]:
    installed = [name for name in RUNTIMES if name in packages]
    if not installed:
        yield Finding("runtime", "problem", "no TFLite runtime is installed", install)
    works = False
    for name in installed:
        title = f"{name} {packages[name]}"
        answer = system.probe("runtime", f"{RUNTIMES[name]}.interpreter")
        wrong = complaint(answer)
        if wrong is None and not probed(answer)["right"]:
            wrong = "gives a wrong answer"
        if wrong is None:
            works = True
            yield Finding("runtime", "ok", f"{title} classifies a picture")
            continue
        remedy = f"{system.pip} --force-reinstall --no-deps {name}=={packages[name]}"
        if "numpy" in wrong.lower() or "_ARRAY_API" in wrong:
            remedy = f"{system.pip} {_NUMPY_1}"
        yield Finding("runtime", "warning" if works else "problem", f"{title}: {wrong}", remedy)


def _opencv(system: System, install: str) -> Finding:
    answer = system.probe("module", "cv2")
    wrong = complaint(answer)
    if wrong is None:
        found = probed(answer)
        if found:
            return Finding("opencv", "ok", str(found["version"]))
        wrong = "not installed"
    remedy = install
    if missing := re.search(r"(lib[\w.+-]+): cannot open shared object", wrong):
        wrong = f"does not load: {missing[1]} is missing"
        remedy = f"sudo apt install --no-install-recommends {_LIBRARIES}"
    elif "numpy" in wrong.lower():
        remedy = f"{system.pip} {_NUMPY_1}"
    return Finding("opencv", "problem", wrong, remedy)
