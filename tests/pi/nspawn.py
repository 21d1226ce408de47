"""`make test-pi`: the package on an emulated Raspberry Pi OS, started by a real systemd.

A container of arm64 bookworm under qemu-user: aarch64 wheels, systemd as PID 1, the service from a
recording. `python -m tests.pi.nspawn [--cache DIR]`.
"""

import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.pi import image, payload
from tests.pi.report import main

# As a Raspberry Pi 4 says it: LiteRT chooses its kernels by it, and crashes on this machine's own.
_CORE = """\
processor\t: {}
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd08
CPU revision\t: 3

"""
# ProtectProc= gives units a /proc of their own.
_UNITS = Path("usr/lib/systemd/system")
_SANDBOXED = ("edgekit.service", "edgekit-control.service")
_SAME_CORE = "[Service]\nBindReadOnlyPaths=/cpuinfo:/proc/cpuinfo\n"


def fill(folder: Path, happens: str = payload.SERVICE) -> None:
    """A container's payload."""
    payload.make_payload(folder, "container", "/srv/edgekit/clip.avi", happens)


def run(
    cache: Path, name: str = "bookworm", fill: Callable[[Path], None] = fill, seconds: int = 1200
) -> Path:
    """Boot the container once; returns the payload's folder.

    Args:
        cache: folder in which root file systems are kept.
        name: of the board.
        fill: makes its payload, in a folder.
        seconds: for all that happens there.
    """
    board = image.BOARDS[name]
    image.require(board, "systemd-nspawn")
    root = image.root_filesystem(name, cache)
    work = cache / f"nspawn-{name}"
    image.remove(work)
    parts = {name: work / name for name in ("payload", "changes", "scratch", "root")}
    for part in parts.values():
        part.mkdir(parents=True)
    fill(parts["payload"])
    cores = "".join(map(_CORE.format, range(4)))
    (parts["changes"] / "cpuinfo").write_text(cores, encoding="ascii")
    for unit in _SANDBOXED:
        drop_in = parts["changes"] / _UNITS / f"{unit}.d" / "emulated.conf"
        drop_in.parent.mkdir(parents=True)
        drop_in.write_text(_SAME_CORE, encoding="ascii")
    layers = f"lowerdir={root},upperdir={parts['changes']},workdir={parts['scratch']}"
    image.run("mount", "-t", "overlay", "overlay", "-o", layers, parts["root"],
              refused="this kernel mounts no overlay")  # fmt: skip
    try:
        command = [
            "systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--link-journal=no",
            "--private-network",
            # The path is the container's: what lies in /proc is bound from inside.
            "--bind-ro=/cpuinfo:/proc/cpuinfo",
            f"--bind={parts['payload']}:/payload", f"--setenv=QEMU_CPU={board.processor}",
            "--console=pipe", "-D", str(parts["root"]), "-b", "systemd.unit=edgekit-test.target",
        ]  # fmt: skip
        with (work / "console.log").open("wb") as console:
            # It complains at its end, and its exit code says little: the result file counts.
            subprocess.run(command, stdin=subprocess.DEVNULL, stdout=console, stderr=console,
                           timeout=seconds, check=False)  # fmt: skip
    except subprocess.TimeoutExpired:
        print(f"the container did not end by itself within {seconds} s")
    finally:
        image.run("umount", "--lazy", parts["root"])
    return parts["payload"]


if __name__ == "__main__":
    main(run, "bookworm, arm64, in a container", __doc__)
