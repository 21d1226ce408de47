"""In how many processes a machine does the same work."""

import re
from pathlib import Path

from edgekit.child import cores
from edgekit.model.labels import Notify

# What a process takes beside the model: libraries, pictures that are read ahead, and what is kept.
_BASE = 200 << 20
# The file's bytes, the interpreter's copy of them and its arena.
_OF_MODEL = 4
_MEMINFO, _CGROUP = Path("/proc/meminfo"), Path("/sys/fs/cgroup/memory.max")


def how_many(asked: int | None, items: int, model: int, notify: Notify) -> int:
    """As many as asked for, or as there are cores; no more than items, or than memory is free for.

    More than cores gain nothing, because the work is arithmetic; fewer leave cores idle.

    Args:
        asked: None for as many as there are cores.
        items: how many there are to do.
        model: bytes of the model file.
        notify: called with a line where memory allows fewer.
    """
    wanted = min(asked or cores(), items)
    each, free = _BASE + _OF_MODEL * model, free_memory()
    allowed = max(1, free // each)
    if allowed >= wanted:
        return wanted
    notify(
        f"{allowed} of {wanted} processes: each may take {each >> 20} MiB, and {free >> 20} MiB of "
        "memory are free"
    )
    return allowed


def free_memory(meminfo: Path = _MEMINFO, cgroup: Path = _CGROUP) -> int:
    """Bytes of memory that can be had: of the machine, or of the container that this runs in.

    Without bound where the system does not tell, as macOS does not.
    """
    if not meminfo.exists():
        return 1 << 62
    found = re.search(r"MemAvailable:\s+(\d+) kB", meminfo.read_text(encoding="ascii"))
    assert found is not None
    limit = cgroup.read_text(encoding="ascii").strip() if cgroup.exists() else "max"
    return min(int(found[1]) << 10, int(limit) if limit.isdigit() else 1 << 62)
