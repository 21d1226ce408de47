"""What power the board draws, where it tells.

Boards tell different parts of it, so a meter says in words what it is of; figures of different
meters are not to be compared.
"""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from edgekit import child

_ROOT = Path("/")
_TIMEOUT = 2.0  # seconds
# `     VDD_CORE_A current(7)=1.88000000A` and `VDD_CORE_V volt(15)=0.87000000V`.
_RAIL = re.compile(r"^\s*(\w+)_([AV]) (?:current|volt)\(\d+\)=([\d.]+)[AV]\s*$", re.MULTILINE)


class Meter(NamedTuple):
    """What tells power.

    Attributes:
        of: what it measures, in words.
        watts: the power now, or since it was last asked; None where it cannot be read.
    """

    of: str
    watts: Callable[[], float | None]


def find_meter(root: Path = _ROOT) -> Meter | None:
    """The first meter of `METERS` that tells something here."""
    for meters in METERS:
        for meter in meters(root):
            meter.watts()  # A counter tells nothing before the second look.
            time.sleep(0.01)
            if meter.watts() is not None:
                return meter
    return None


def _rapl(root: Path) -> Iterator[Meter]:
    """Counters of an x86 processor, one a package; only root may read them in most systems."""
    files = sorted((root / "sys/class/powercap").glob("intel-rapl:?/energy_uj"))
    if not files:
        return
    last: list[tuple[float, list[float]]] = []

    def watts() -> float | None:
        energies = [_number(file) for file in files]
        known = [one for one in energies if one is not None]
        if len(known) != len(files):
            return None
        now = time.monotonic()
        earlier = last.pop() if last else None
        last.append((now, known))
        if earlier is None or now <= earlier[0]:
            return None
        spent = [after - before for after, before in zip(known, earlier[1], strict=True)]
        # A counter that began again at 0 says nothing this time.
        return sum(spent) / 1e6 / (now - earlier[0]) if min(spent) >= 0 else None

    yield Meter("the processor (RAPL)", watts)


def _pmic(root: Path) -> Iterator[Meter]:
    """The power chip of a Raspberry Pi 5."""
    program = shutil.which("vcgencmd", path=f"{root / 'usr/bin'}{os.pathsep}{root / 'opt/vc/bin'}")
    if program is None:
        return

    def watts() -> float | None:
        try:
            done = child.run([program, "pmic_read_adc"], timeout=_TIMEOUT)
        except (OSError, subprocess.SubprocessError):
            return None
        return rails_watts(done.stdout.decode("utf-8", "replace"))

    yield Meter("the board's rails (PMIC), without what USB draws and converters lose", watts)


def rails_watts(text: str) -> float | None:
    """Power of all rails of which `vcgencmd pmic_read_adc` tells current and voltage."""
    known: dict[str, dict[str, float]] = {}
    for name, unit, value in _RAIL.findall(text):
        known.setdefault(name, {})[unit] = float(value)
    rails = [one["A"] * one["V"] for one in known.values() if len(one) == 2]
    return sum(rails) if rails else None


def _hwmon(root: Path) -> Iterator[Meter]:
    """Sensors of the kernel, such as an INA226 in the supply line."""
    for file in sorted((root / "sys/class/hwmon").glob("hwmon*/power1_input")):
        name = _text(file.with_name("name")) or file.parent.name
        yield Meter(f"what the sensor {name} sees", lambda file=file: _scaled(file))  # type: ignore[misc]


def _battery(root: Path) -> Iterator[Meter]:
    """A battery that gives power."""
    for folder in sorted((root / "sys/class/power_supply").glob("*")):
        if (folder / "power_now").exists():
            yield Meter(
                f"the whole machine (battery {folder.name})",
                lambda folder=folder: (  # type: ignore[misc]
                    _scaled(folder / "power_now")
                    if _text(folder / "status") == "Discharging"
                    else None
                ),
            )


METERS = (_rapl, _pmic, _hwmon, _battery)


def _scaled(file: Path) -> float | None:
    """Watts of a file of microwatts."""
    value = _number(file)
    return None if value is None else value / 1e6


def _number(file: Path) -> float | None:
    try:
        return float(_text(file))
    except ValueError:
        return None


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
