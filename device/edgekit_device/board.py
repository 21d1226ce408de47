"""How the board is: temperature, throttling, model, memory. Unknown is an answer; nothing raises.

Files are those of Linux and of Raspberry Pi's kernel; every function takes the root they lie under.
"""

import ctypes
import functools
import os
import re
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from edgekit import child

_ROOT = Path("/")
# Bits of the firmware's GET_THROTTLED property; the same 16 bits higher say that it has occurred.
_THROTTLING = {
    0: "under-voltage",
    1: "frequency capped",
    2: "throttled",
    3: "soft temperature limit",
}
_OCCURRED = 16
# More gain little, and a Raspberry Pi has four processors.
_MOST_THREADS = 3
# Seconds between two runs of vcgencmd, and how long one may take.
_VCGENCMD_INTERVAL = 30
_VCGENCMD_TIMEOUT = 2.0
# A mapping in /proc/PID/smaps: addresses, rights, the file's name, and then lines of figures.
_MAPPING = re.compile(
    r"^([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ \d+ *(.*)\n((?:[A-Z]\w*:.*\n)*)", re.MULTILINE
)
_HEADER = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) ", re.MULTILINE)
_UNWRITTEN = "Anonymous:             0 kB"
_MADV_DONTNEED = 4


def temperature(root: Path = _ROOT) -> float | None:
    """Temperature of the processor in degrees Celsius."""
    try:
        return int(_read(root / "sys/class/thermal/thermal_zone0/temp")) / 1000
    except ValueError:
        return None


def throttled(root: Path = _ROOT) -> list[str]:
    """What slows the processor down now: `under-voltage`, `throttled` and so on."""
    return _names(_throttling(root)[0])


def throttled_since_boot(root: Path = _ROOT) -> list[str]:
    """What has slowed the processor down at any time since it was switched on."""
    return _names(_throttling(root)[0] >> _OCCURRED)


def tells_throttling(root: Path = _ROOT) -> bool:
    """Whether this board tells of all that slows it down; else silence means nothing."""
    return _throttling(root)[1]


def look_again() -> None:
    """Let the next look at throttling ask the firmware, however lately it was asked."""
    _vcgencmd.cache_clear()


def model(root: Path = _ROOT) -> str | None:
    """What the board calls itself, for example `Raspberry Pi 4 Model B Rev 1.4`."""
    return _read(root / "proc/device-tree/model").rstrip("\0").strip() or None


def inference_threads(asked: int) -> int:
    """CPU threads for each inference: as many as asked for, or where that is 0 one for each
    processor that this process may use but one, three at most.
    """
    if asked:
        return asked
    return min(max(child.cores() - 1, 1), _MOST_THREADS)


def memory_bytes(root: Path = _ROOT) -> int:
    """Resident memory of this process; where the system tells only its peak, the peak."""
    try:
        return int(_read(root / "proc/self/statm").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, IndexError):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else 1024 * peak


def memory_limit(root: Path = _ROOT) -> int:
    """Bytes of memory that this process may take: the machine's, or less in a control group."""
    found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    top = root / "sys/fs/cgroup"
    group = top / _read(root / "proc/self/cgroup").rpartition("0::/")[2].strip()
    for folder in (group, *group.parents):
        limit = _read(folder / "memory.max").strip()
        if limit.isdecimal():
            found.append(int(limit))
        if folder == top:
            break
    return min(found)


def release_memory() -> None:
    """Give freed memory back to the system.

    glibc keeps it otherwise: after a model has been replaced, 20 to 50 MB for ResNet-18 at 224
    pixels. Other C libraries have no such call and need none.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def release_library_pages(folder: Path | None = None) -> None:
    """Take what was read of libraries while they loaded out of this process.

    A third of what the daemon has resident when all is imported was touched for that alone. The
    kernel keeps these pages in its cache, and uses them for something else when memory is short;
    what runs again comes back, 64 KiB at a time.

    Args:
        folder: where the libraries are, which have been loaded. By default all are meant, and
            nothing is done while there are other threads: one may be loading a library, whose
            mappings are not yet what they will be.
    """
    madvise = getattr(ctypes.CDLL(None), "madvise", None)
    if madvise is None or (folder is None and threading.active_count() > 1):
        return
    within = "/" if folder is None else f"{folder}/"
    smaps = _read(_ROOT / "proc/self/smaps")
    # An emulator (qemu, of 32 bits) tells its own addresses there, and the program's here: other
    # pages would go than are meant. Else they are alike, but for what was mapped in between.
    told = _addresses(smaps)
    if 2 * len(told & _addresses(_read(_ROOT / "proc/self/maps"))) <= len(told):
        return
    for start, end in clean_mappings(smaps, within):
        madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _MADV_DONTNEED)


def _addresses(maps: str) -> set[tuple[int, int]]:
    """Start and end of each mapping."""
    return {(int(start, 16), int(end, 16)) for start, end in _HEADER.findall(maps)}


def clean_mappings(smaps: str, within: str) -> Iterator[tuple[int, int]]:
    """Start and end of each mapping of a file, of some folder, that is exactly what the file has.

    What can be written, or was (`Anonymous`), as a loader does to addresses, is left alone: it
    would be lost.
    """
    for start, end, rights, name, figures in _MAPPING.findall(smaps):
        clean = "w" not in rights and rights.endswith("p") and _UNWRITTEN in figures.splitlines()
        if clean and name.startswith(within):
            yield int(start, 16), int(end, 16)


def _read(path: Path) -> str:
    """A file's text, or nothing where there is none or it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _found(folder: Path, pattern: str) -> list[Path]:
    """What is in a folder; nothing where it cannot be read: no file may be left to open it."""
    try:
        return list(folder.glob(pattern))
    except OSError:
        return []


def _names(bits: int) -> list[str]:
    return [name for bit, name in _THROTTLING.items() if bits >> bit & 1]


def _throttling(root: Path) -> tuple[int, bool]:
    """The firmware's bits, from the cheapest place that tells some, and whether it tells all."""
    # soc:firmware up to the Pi 4, soc@107c000000:firmware on the Pi 5.
    for path in _found(root / "sys/devices/platform", "soc*/soc*:firmware/get_throttled"):
        bits = _hexadecimal(_read(path))
        if bits is not None:
            return bits, True
    for path in _found(root / "sys/class/hwmon", "hwmon*"):
        if _read(path / "name").strip() == "rpi_volt":
            # Latched by the kernel since it last looked, two seconds ago at most.
            return int(_read(path / "in0_lcrit_alarm").strip() == "1"), False
    program = shutil.which("vcgencmd", path=f"{root / 'usr/bin'}{os.pathsep}{root / 'opt/vc/bin'}")
    if program is None:
        return 0, False
    found = _vcgencmd(program, int(time.monotonic() // _VCGENCMD_INTERVAL))
    return found or 0, found is not None


def _hexadecimal(text: str) -> int | None:
    try:
        value = int(text, 16)
    except ValueError:
        return None
    return value if value >= 0 else None


@functools.lru_cache(maxsize=1)
def _vcgencmd(program: str, interval: int) -> int | None:
    """Bits that vcgencmd prints as `throttled=0x50005`; run once in each interval."""
    try:
        done = child.run([program, "get_throttled"], timeout=_VCGENCMD_TIMEOUT)
    except (OSError, subprocess.SubprocessError):
        return None
    text = done.stdout.decode("utf-8", "replace").strip()
    return _hexadecimal(text.removeprefix("throttled="))
