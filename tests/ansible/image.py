"""The root file system of emulated devices of this machine's own architecture, made once.

It has what Raspberry Pi OS has of itself (systemd, sshd, sudo, Python), and nothing of edgekit.
What a device takes from elsewhere lies in folders, so that no test needs a network: Debian's
packages in `/srv/apt`, an archive for apt; wheels on the controller.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.pi.image import CannotRunError, build_wheels, remove, run

ROOT = Path(__file__).parents[2]
SUITE = "bookworm"
USER = "pi"
_PACKAGES = (
    "systemd-sysv", "dbus", "openssh-server", "sudo", "python3", "python3-apt", "udev",
    # A Pi gets OpenCV without a desktop; on x86-64 its wheel wants these.
    "libgl1", "libglib2.0-0", "libsm6", "libxext6",
)  # fmt: skip
# Those of the role that the root has not, with all that they need: apt installs them there.
_FROM_APT = ("python3-venv", "libnss-systemd")
_LEFT_OUT = ("man", "doc", "locale", "info")
_NEEDED = {"mmdebstrap": "mmdebstrap", "systemd-nspawn": "systemd-container"}
_DOWNLOAD = """\
set -e
mkdir -p "$1/srv/apt/partial"
chroot "$1" apt-get install --yes --quiet=2 --download-only \\
    -o Dir::Cache::archives=/srv/apt {packages}
rm -rf "$1/srv/apt/partial" "$1/srv/apt/lock"
"""
_ACCOUNT = f"""\
chroot "$1" useradd --create-home --shell /bin/bash {USER}
echo "{USER} ALL=(ALL) NOPASSWD: ALL" > "$1/etc/sudoers.d/{USER}"
"""


def root_filesystem(cache: Path) -> Path:
    """The root file system, made in a minute or two if it is not there.

    Args:
        cache: folder in which it is kept; those made from something else go.

    Raises:
        CannotRunError: this machine cannot make one.
    """
    if os.geteuid() != 0:
        raise CannotRunError("only root can make file systems and containers; run it with sudo")
    missing = sorted(name for program, name in _NEEDED.items() if not shutil.which(program))
    if missing:
        raise CannotRunError(f"not installed: apt-get install {' '.join(missing)}")
    recipe = repr((_PACKAGES, _FROM_APT, _LEFT_OUT, _DOWNLOAD, _ACCOUNT)).encode()
    root = cache / f"{SUITE}-{hashlib.sha256(recipe).hexdigest()[:12]}"
    if root.exists():
        return root
    for old in cache.glob(f"{SUITE}-*"):
        remove(old)
    cache.mkdir(parents=True, exist_ok=True)
    partial = root.with_suffix(".partial")
    left_out = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in _LEFT_OUT]
    download = _DOWNLOAD.format(packages=" ".join(_FROM_APT))
    run("mmdebstrap", "--quiet", "--variant=minbase", *left_out, f"--include={','.join(_PACKAGES)}",
        f"--customize-hook={_ACCOUNT}", f"--customize-hook={download}", SUITE, partial)  # fmt: skip
    _make_archive(partial)
    for folder in ("etc", "var"):
        # Or else every boot is a first one, and rebuilds caches.
        (partial / folder / ".updated").touch()
    partial.rename(root)
    return root


def _make_archive(root: Path) -> None:
    """Let apt take the downloaded packages from the folder, and know no other archive."""
    folder = root / "srv/apt"
    entries = []
    for package in sorted(folder.glob("*.deb")):
        fields = subprocess.run(
            ["dpkg-deb", "--field", str(package)], stdout=subprocess.PIPE, text=True, check=True
        ).stdout
        content = package.read_bytes()
        entries.append(
            f"{fields.rstrip()}\nFilename: ./{package.name}\nSize: {len(content)}\n"
            f"SHA256: {hashlib.sha256(content).hexdigest()}\n"
        )
    (folder / "Packages").write_text("\n".join(entries), encoding="utf-8")
    sources = root / "etc/apt/sources.list"
    for other in (root / "etc/apt/sources.list.d").glob("*"):
        other.unlink()
    sources.write_text("deb [trusted=yes] file:/srv/apt ./\n", encoding="ascii")


def wheels(cache: Path, folder: Path) -> Path:
    """Our wheels from the tree, and those of all that they need; returns the folder.

    Args:
        cache: folder in which those of others are kept.
        folder: to fill; emptied first.
    """
    remove(folder)
    build_wheels(folder)
    (device,) = folder.glob("edgekit_device-*.whl")
    needed = hashlib.sha256(
        b"".join((ROOT / name).read_bytes() for name in
                 ("pyproject.toml", "device/pyproject.toml", "device/setup.py"))
    ).hexdigest()[:12]  # fmt: skip
    others = cache / f"wheels-{needed}"
    if not others.exists():
        for old in cache.glob("wheels-*"):
            remove(old)
        partial = others.with_suffix(".partial")
        # Debian 12 has Python 3.11, whatever this machine has.
        run(sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:",
            "--python-version=3.11", f"--dest={partial}", f"--find-links={folder}",
            f"{device}[page]")  # fmt: skip
        for ours in partial.glob("edgekit_*"):
            ours.unlink()
        partial.rename(others)
    for wheel in others.iterdir():
        (folder / wheel.name).hardlink_to(wheel)
    return folder
