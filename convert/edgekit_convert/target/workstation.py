"""What a conversion needs in memory, and whether this machine has it."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from edgekit.errors import ConversionError
from edgekit_convert.target.kernel import MIB, mib, read_table

# Peak of the converter and its onnx2tf child together, while TensorFlow lowers the graph and
# PyTorch answers the same pictures: fitted to ResNets of 18 to 152 layers at 64 to 448 pixels with
# 200 pictures, 0 to 8 % too much (torch 2.13, TensorFlow 2.19, onnx2tf 1.29), as the peaks of both
# processes coincide on some runs alone.
_CONVERTER = 1080 * MIB  # both processes without a model
_CONVERTER_BYTES_PER_PARAMETER = 75  # 19 copies in float32, 12 of them in TensorFlow
_CONVERTER_BYTES_PER_PIXEL = 4700  # activations of one batch


def workstation_need(parameters: int, height: int, width: int, pictures: int) -> int:
    """Peak resident bytes of a conversion, its child processes included.

    Args:
        parameters: weights and biases.
        height, width: input size in pixels.
        pictures: calibration and evaluation pictures, which are all held as uint8.
    """
    weights = _CONVERTER_BYTES_PER_PARAMETER * parameters
    return _CONVERTER + weights + (_CONVERTER_BYTES_PER_PIXEL + 3 * pictures) * height * width


def check_workstation(required_bytes: int, root: Path = Path("/")) -> None:
    """Refuse to start what would be killed for its memory halfway.

    Nothing is checked on systems without /proc.

    Args:
        required_bytes: what `workstation_need` says.
        root: where /proc and /sys are.

    Raises:
        ConversionError: too little memory is available; the message says what helps.
    """
    try:
        system = read_table(root / "proc" / "meminfo")
    except FileNotFoundError:
        return
    # Swap counts: most of TensorFlow's copies of the weights lie idle.
    free = system["MemAvailable"] + system["SwapFree"]
    limit = min(_left_in_cgroups(root), default=free)
    if required_bytes <= min(free, limit):
        return
    if limit < free:
        reason = f"the limit of this container or session leaves {mib(limit)}: raise the limit"
    else:
        reason = f"{mib(free)} are available: close other programs, add swap"
    raise ConversionError(
        f"the conversion needs about {mib(required_bytes)} of memory; {reason}, or convert on a "
        "machine with more memory"
    )


def _left_in_cgroups(root: Path) -> Iterator[int]:
    """What each limit on this process's control group, and on those above it, leaves."""
    file = root / "proc" / "self" / "cgroup"
    for line in file.read_text().splitlines() if file.is_file() else ():
        _, controllers, path = line.split(":", 2)
        if controllers == "":  # version 2
            tree, limit, usage, cache = "", "memory.max", "memory.current", "inactive_file"
        elif "memory" in controllers.split(","):
            tree, limit, usage = "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
            cache = "total_inactive_file"
        else:
            continue
        # In a container the path may be the host's, while the group is mounted as the topmost.
        group = PurePosixPath(path.lstrip("/"))
        for level in (group, *group.parents):
            folder = root / "sys" / "fs" / "cgroup" / tree / level
            try:
                bound, used = (int((folder / name).read_text()) for name in (limit, usage))
                reclaimable = read_table(folder / "memory.stat").get(cache, 0)
            except (OSError, ValueError):  # no such level, or its limit is "max"
                continue
            yield max(0, bound - used + reclaimable)
