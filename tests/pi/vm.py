"""`make test-pi-vm`: the package on an emulated board with a camera that the kernel provides.

A virtual machine of arm64 trixie (Python 3.13) with its own kernel, whose `vivid` driver is a
camera to everything above it. `python -m tests.pi.vm [--cache DIR]`.
"""

import subprocess
from pathlib import Path

from tests.pi import image, payload
from tests.pi.report import main

_TIMEOUT = 1200
_PROCESSORS, _MEMORY = 2, 2048


def _ext4(folder: Path, disk: Path, size: str) -> None:
    image.run("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal,^metadata_csum", "-d", folder,
              disk, size)  # fmt: skip


def _disk(root: Path) -> Path:
    """The root file system as a disk, made once."""
    disk = root.with_suffix(".img")
    if not disk.exists():
        print(f"making {disk.name} …", flush=True)
        partial = root.with_suffix(".img.partial")
        _ext4(root, partial, "3G")
        partial.rename(disk)
    return disk


def run(cache: Path) -> Path:
    """Boot the virtual machine once; returns the payload's folder."""
    image.require(
        image.BOARDS["trixie"],
        "systemd-nspawn",
        "qemu-system-aarch64",
        "qemu-img",
        "mke2fs",
        "debugfs",
    )
    root = image.root_filesystem("trixie", cache)
    base = _disk(root)
    work = cache / "vm"
    image.remove(work)
    folder = work / "payload"
    folder.mkdir(parents=True)
    payload.make_payload(folder, "machine", "v4l2:/dev/video0")
    exchange, disk = work / "payload.img", work / "disk.qcow2"
    _ext4(folder, exchange, "200M")
    image.run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", base.resolve(), disk)
    kernel, initrd = (next((root / "boot").glob(f"{name}-*")) for name in ("vmlinuz", "initrd.img"))
    command = [
        "qemu-system-aarch64", "-M", "virt,gic-version=3", "-cpu", image.CPU,
        "-accel", "tcg,thread=multi", "-m", str(_MEMORY), "-smp", str(_PROCESSORS), "-no-reboot",
        "-kernel", str(kernel), "-initrd", str(initrd),
        "-append", "root=/dev/vda rw console=ttyAMA0 panic=1 loglevel=4 "
        "systemd.unit=edgekit-test.target",
        "-drive", f"file={disk},if=virtio,format=qcow2,cache=unsafe",
        "-drive", f"file={exchange},if=virtio,format=raw,cache=writethrough",
        "-nic", "none", "-serial", f"file:{work / 'console.log'}", "-monitor", "none",
        "-display", "none",
    ]  # fmt: skip
    try:
        subprocess.run(command, stdin=subprocess.DEVNULL, timeout=_TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        print(f"the machine did not end by itself within {_TIMEOUT} s")
    for name in ("result.json", "answers.npz"):
        image.run("debugfs", "-R", f"dump /{name} {folder / name}", exchange)
        if (folder / name).exists() and not (folder / name).stat().st_size:
            (folder / name).unlink()
    disk.unlink()
    return folder


if __name__ == "__main__":
    main(run, "trixie, arm64, in a virtual machine with a camera", __doc__)
