"""Root file systems of emulated Raspberry Pis: made once from packages and wheels, and kept.

Each is a folder named after what it was made from, so that a change makes another one:

    bookworm  arm64 with Python 3.11, as on a Raspberry Pi OS of 2023
    trixie    arm64 with Python 3.13, as on one of 2025, and a kernel for a virtual machine
    armhf     bookworm of 32 bits, with NumPy and OpenCV from apt

In its /opt/edgekit is a virtual environment with everything that edgekit depends on, and not yet
edgekit itself.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
VENV = "/opt/edgekit"
_BASE = ("python3", "python3-venv", "systemd-sysv", "udev", "kmod")


@dataclass(frozen=True)
class Board:
    """What a root file system is made of.

    Attributes:
        suite: Debian's.
        architecture: Debian's name for it.
        emulator: qemu's name for it.
        processor: the emulator's default has instructions that it emulates wrongly (ai-edge-litert
            gives other answers on it); this is a Raspberry Pi's.
        packages: Debian's.
        venv: options of `python3 -m venv`.
        pip: options of `pip install`.
    """

    suite: str
    architecture: str
    emulator: str
    processor: str
    packages: tuple[str, ...]
    venv: tuple[str, ...] = ()
    pip: tuple[str, ...] = ("--only-binary=:all:",)


# The Raspberry Pi 4's.
CPU = "cortex-a72"
BOARDS = {
    "bookworm": Board("bookworm", "arm64", "aarch64", CPU, _BASE),
    "trixie": Board(
        "trixie", "arm64", "aarch64", CPU, (*_BASE, "initramfs-tools", "linux-image-arm64", "zstd")
    ),
    # The Raspberry Pi 2's. msgspec is the one package that has to be compiled.
    "armhf": Board(
        "bookworm", "armhf", "arm", "cortex-a7",
        (*_BASE, "gcc", "libc6-dev", "python3-dev", "python3-numpy", "python3-opencv"),
        venv=("--system-site-packages",), pip=("--only-binary=:all:", "--no-binary=msgspec"),
    ),
}  # fmt: skip
# Not needed. To hash 150 certificates takes an emulator eight minutes: it gets ours, in one file.
_LEFT_OUT = ("man", "doc", "locale", "info", "ca-certificates")
# What the virtual machine's disk and file system need; an initrd with everything takes minutes.
_INITRD = "mkdir -p {etc}/conf.d && echo MODULES=list > {etc}/conf.d/edgekit && " \
          "printf 'virtio_pci\\nvirtio_blk\\next4\\n' > {etc}/modules"  # fmt: skip
# The test's own units: it runs when the board has started, and switches it off at its end.
_UNITS = {
    "edgekit-test.service": """\
[Unit]
Description=The test
RequiresMountsFor=/payload
After=basic.target
[Service]
Type=oneshot
ExecStart=/usr/bin/python3 /payload/scenario.py
ExecStopPost=/usr/bin/systemctl poweroff --no-block
""",
    "edgekit-test.target": """\
[Unit]
Description=The test on a board that has started, without logins
Requires=basic.target
Wants=edgekit-test.service
""",
}
_FSTAB = "/dev/vda / ext4 defaults 0 0\n/dev/vdb /payload ext4 defaults 0 0\n"
_BINFMT = Path("/proc/sys/fs/binfmt_misc")
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


class CannotRunError(Exception):
    """This machine cannot do it; says why, and what would help."""


def require(board: Board, *programs: str) -> None:
    """Make sure that a board's programs run here, and `programs` of this machine.

    Raises:
        CannotRunError: they do not, or one of `programs` is missing.
    """
    if os.geteuid() != 0:
        raise CannotRunError("only root can make file systems and containers; run it with sudo")
    packages = {"systemd-nspawn": "systemd-container", "qemu-system-aarch64": "qemu-system-arm"}
    emulator = f"qemu-{board.emulator}"
    needed = {"mmdebstrap": "mmdebstrap", f"{emulator}-static": "qemu-user-static",
              "arch-test": "arch-test"}  # fmt: skip
    needed |= {program: packages.get(program, program) for program in programs}
    missing = sorted(package for program, package in needed.items() if not shutil.which(program))
    if missing:
        raise CannotRunError(f"not installed: apt-get install {' '.join(missing)}")
    if not _CERTIFICATES.exists():
        raise CannotRunError("not installed: apt-get install ca-certificates")
    if not (_BINFMT / "status").exists():
        run("mount", "-t", "binfmt_misc", "binfmt_misc", str(_BINFMT), refused="no binfmt_misc")
    if not (_BINFMT / emulator).exists():
        rule = Path(f"/usr/lib/binfmt.d/{emulator}.conf").read_text(encoding="ascii").strip()
        try:
            (_BINFMT / "register").write_text(rule, encoding="ascii")
        except OSError as error:
            raise CannotRunError(f"the kernel takes no foreign format: {error}") from error


def run(*command: str | Path, refused: str | None = None) -> None:
    """Run a program of this machine.

    Raises:
        CannotRunError: it failed, and `refused` says that this machine cannot do that.
    """
    done = subprocess.run(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        cwd=ROOT,
    )
    if done.returncode and refused:
        raise CannotRunError(f"{refused}: {done.stdout.strip()}")
    if done.returncode:
        raise SystemExit(f"{command[0]} failed ({done.returncode}):\n{done.stdout[-4000:]}")


def build_wheels(folder: Path) -> None:
    """The wheels of the two distributions that a device needs, from the tree."""
    folder.mkdir(parents=True, exist_ok=True)
    for project in (ROOT, ROOT / "device"):
        run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, project)


def _dependencies() -> str:
    """What the two distributions say that they need."""
    core, device = (
        tomllib.loads((ROOT / name).read_text(encoding="utf-8"))["project"]
        for name in ("pyproject.toml", "device/pyproject.toml")
    )
    page = device["optional-dependencies"]["page"]
    # The rest of the device's depends on Python, and on the version, and is said there.
    return repr([core["dependencies"], page, (ROOT / "device/setup.py").read_text("utf-8")])


def in_root(board: Board, root: Path, *command: str | Path) -> None:
    """Run a board's program in a root file system, with the network of this machine."""
    settings = [f"--setenv=QEMU_CPU={board.processor}", f"--setenv=PIP_CERT={_CERTIFICATES}"]
    run("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--as-pid2", "--pipe",
         "-D", root, *settings, *command)  # fmt: skip


def root_filesystem(name: str, cache: Path) -> Path:
    """A root file system with the dependencies in it, made in a quarter of an hour or so.

    Args:
        name: of the board.
        cache: folder in which it is kept; those made from something else go.

    Raises:
        CannotRunError: this machine cannot make one.
    """
    board = BOARDS[name]
    require(board, "systemd-nspawn")
    recipe = f"{board}\n{_dependencies()}\n{Path(__file__).read_text(encoding='utf-8')}"
    root = cache / f"{name}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    if root.exists():
        return root
    for old in cache.glob(f"{name}-*"):
        remove(old)
    cache.mkdir(parents=True, exist_ok=True)
    partial = root.with_suffix(".partial")
    print(f"making {root.name}: packages …", flush=True)
    _bootstrap(board, partial)
    print(f"making {root.name}: wheels …", flush=True)
    _install_dependencies(board, partial)
    _install_test(board, partial)
    partial.rename(root)
    return root


def remove(path: Path) -> None:
    """Remove a file or a folder, unless it is not there."""
    # What was ended half-way may have left /dev mounted in it: this machine's own.
    for line in reversed(Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()):
        place = line.split()[1]
        if Path(place).is_relative_to(path):
            run("umount", place)
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _bootstrap(board: Board, root: Path) -> None:
    left_out = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in _LEFT_OUT]
    initrd = _INITRD.format(etc='"$1/etc/initramfs-tools"')
    packages = f"--include={','.join(board.packages)}"
    run("mmdebstrap", "--quiet", "--variant=minbase", f"--arch={board.architecture}", *left_out,
         f"--setup-hook={initrd}", packages, board.suite, root)  # fmt: skip
    shutil.copy(_CERTIFICATES, root / _CERTIFICATES.relative_to("/"))


def _install_dependencies(board: Board, root: Path) -> None:
    wheels = root / "wheels"
    build_wheels(wheels)
    pip = f"{VENV}/bin/pip"
    (wheel,) = wheels.glob("edgekit_device-*.whl")
    in_root(board, root, "python3", "-m", "venv", *board.venv, VENV)
    in_root(board, root, pip, "install", "--quiet", *board.pip,
            "--find-links=/wheels", f"/wheels/{wheel.name}[page]")  # fmt: skip
    in_root(board, root, pip, "uninstall", "--quiet", "--yes", "edgekit-core", "edgekit-device")
    shutil.rmtree(wheels)


def _install_test(board: Board, root: Path) -> None:
    (root / "payload").mkdir(exist_ok=True)
    for folder in ("etc", "var"):
        # Or else every boot is a first one, and rebuilds caches.
        (root / folder / ".updated").touch()
    for name, text in _UNITS.items():
        (root / "etc/systemd/system" / name).write_text(text, encoding="ascii")
    # What systemd starts does not inherit its environment.
    processor = root / "etc/systemd/system.conf.d/qemu.conf"
    processor.parent.mkdir(parents=True, exist_ok=True)
    processor.write_text(
        f"[Manager]\nDefaultEnvironment=QEMU_CPU={board.processor}\n", encoding="ascii"
    )
    if board is BOARDS["trixie"]:
        (root / "etc/fstab").write_text(_FSTAB, encoding="ascii")
