"""What else decides how fast a board is: heat, throttling, its governor, and other programs."""

import os
import platform
from pathlib import Path

import msgspec

from edgekit.child import cores
from edgekit_device import board

_ROOT = Path("/")
_CPU = "sys/devices/system/cpu"


class Board(msgspec.Struct, frozen=True, kw_only=True):
    """What is measured on.

    Attributes:
        name: what the board calls itself; else its processor.
        system: the distribution.
        kernel, machine, python: as they call themselves.
        cores: that this process may use.
        memory_mib: that it may take, in MiB.
        governor: of the processor's clock; None where the system does not tell.
    """

    name: str
    system: str
    kernel: str
    machine: str
    python: str
    cores: int
    memory_mib: int
    governor: str | None


class Conditions(msgspec.Struct, frozen=True, kw_only=True):
    """How the board is at a moment.

    Attributes:
        celsius: temperature of the processor; None where the board does not tell.
        throttled: what slows it down now.
        since_boot: what has slowed it down since it was switched on.
        told: whether the board tells of all that slows it down.
        slowdowns: how often an x86 processor has slowed itself down for heat; None for others.
    """

    celsius: float | None
    throttled: list[str]
    since_boot: list[str]
    told: bool
    slowdowns: int | None


def look_at_board(root: Path = _ROOT) -> Board:
    """What this machine is."""
    release = _fields(root / "etc/os-release", "=")
    governors = {_read(file) for file in _glob(root / _CPU, "cpu*/cpufreq/scaling_governor")}
    return Board(
        name=board.model(root) or _processor(root),
        system=release.get("PRETTY_NAME", "").strip('"') or platform.system(),
        kernel=platform.release(),
        machine=platform.machine(),
        python=platform.python_version(),
        cores=cores(),
        memory_mib=board.memory_limit(root) >> 20,
        governor=", ".join(sorted(governors - {""})) or None,
    )


def look(root: Path = _ROOT) -> Conditions:
    """How the board is now."""
    board.look_again()
    counts = [
        _read(file) for file in _glob(root / _CPU, "cpu*/thermal_throttle/core_throttle_count")
    ]
    numbers = [int(one) for one in counts if one.isdecimal()]
    return Conditions(
        celsius=board.temperature(root),
        throttled=board.throttled(root),
        since_boot=board.throttled_since_boot(root),
        told=board.tells_throttling(root) or bool(numbers),
        slowdowns=sum(numbers) if numbers else None,
    )


class Processor:
    """How much of the processor others use, from when this is made or asked.

    What this process and its children use does not count; a child's only when it has ended.
    """

    def __init__(self, root: Path = _ROOT) -> None:
        self._file = root / "proc/stat"
        self._before = self._times()

    def others(self) -> float | None:
        """Share of all cores' time that others took since the last look; None for unknown."""
        before, now = self._before, self._times()
        self._before = now
        if before is None or now is None or now[0] <= before[0]:
            return None
        total, busy, own = (after - earlier for after, earlier in zip(now, before, strict=True))
        return min(1.0, max(0.0, busy - own) / total)

    def _times(self) -> tuple[float, float, float] | None:
        """Seconds so far: of all processors, those in which one was busy, and our own of them."""
        name, *texts = (_read(self._file).splitlines() or [""])[0].split() or [""]
        numbers = [int(text) for text in texts[:8] if text.isdecimal()]
        if name != "cpu" or len(numbers) < 8:
            return None
        tick = os.sysconf("SC_CLK_TCK")
        # user, nice, system, idle, iowait, irq, softirq, steal: a host that takes its turn counts.
        idle = numbers[3] + numbers[4]
        return sum(numbers) / tick, (sum(numbers) - idle) / tick, sum(os.times()[:4])


def _processor(root: Path) -> str:
    return _fields(root / "proc/cpuinfo", ":").get("model name", "") or platform.machine()


def _fields(path: Path, separator: str) -> dict[str, str]:
    """Lines `key = value` of a file; of a key that comes again, the first."""
    found: dict[str, str] = {}
    for line in _read(path).splitlines():
        key, _, value = line.partition(separator)
        found.setdefault(key.strip(), value.strip())
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _glob(folder: Path, pattern: str) -> list[Path]:
    try:
        return sorted(folder.glob(pattern))
    except OSError:
        return []
