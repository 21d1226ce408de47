"""`make deb`: Debian packages of the device side, for each Debian under a Raspberry Pi OS.

`python -m release.deb WHEELS [--output DIR] [--revision N]`, with the wheels of `make dist`, in an
environment with release/tools.txt. It needs dpkg-deb, and neither root nor an Arm machine: the
wheels of what edgekit needs are unpacked into the virtual environment that docs/service.md has.
"""

import argparse
import hashlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from edgekit_device.service.layout import GROUP, SERVICES, UNIT, UNITS, Layout

from release.building import ROOT, Commit, head, run
from release.shared_setup import HOME, version

NAME = "edgekit-device"
ENVIRONMENT = Path("opt/edgekit")
_FILES = Path(__file__).parent / "files"
# What all of a device's wheels for an architecture run on; where Debian is newer, nothing is lost.
_PLATFORM = "aarch64-manylinux_2_34"


@dataclass(frozen=True)
class Target:
    """A Debian, and what is taken from it.

    Attributes:
        name: how versions for it are marked.
        python: its Python.
        extras: of the distribution; what has a wheel for that Python.
    """

    name: str
    python: str
    extras: str


TARGETS = (
    Target("deb12", "3.11", "page,tflite"),
    Target("deb13", "3.13", "page"),
)


def build(target: Target, wheels: Path, output: Path, commit: Commit, revision: int) -> Path:
    """Write one package.

    Args:
        target: which Debian for.
        wheels: folder with those of edgekit-core and edgekit-device.
        output: folder to write into.
        commit: that they were built from; its time is that of all files.
        revision: of the package, from 1.

    Raises:
        SystemExit: a wheel is missing, cannot be had, or dpkg-deb refuses.
    """
    number = f"{version(ROOT)}-{revision}~{target.name}"
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "root"
        _environment(root / ENVIRONMENT, target, wheels)
        _system(root, number, commit)
        installed = sum(file.lstat().st_size for file in root.rglob("*") if file.is_file()) // 1024
        _control(root / "DEBIAN", target, number, installed)
        package = output / f"{NAME}_{number}_arm64.deb"
        # Sorted, of root, and no file newer than the commit: the same bytes each time. What is
        # packed are 160 MB, for which xz takes minutes unless it is told to be quick.
        run("dpkg-deb", "--root-owner-group", "-Zxz", "-z1", "--build", root, package,
            SOURCE_DATE_EPOCH=str(commit.epoch))  # fmt: skip
    return package


def _environment(venv: Path, target: Target, wheels: Path) -> None:
    """A virtual environment as `python3 -m venv --system-site-packages` and pip make it there."""
    site = venv / "lib" / f"python{target.python}" / "site-packages"
    ours = [f"{name}{extras} @ {_wheel(wheels, name).as_uri()}"
            for name, extras in (("edgekit-core", ""), (NAME, f"[{target.extras}]"))]  # fmt: skip
    run("uv", "pip", "install", "--quiet", "--no-config", "--only-binary", ":all:",
        "--python-platform", _PLATFORM, "--python-version", target.python, "--target", site,
        "--constraint", ROOT / "constraints.txt", *ours)  # fmt: skip
    # Commands for the Python of this machine, and where its wheels lay.
    shutil.rmtree(site / "bin")
    (site / ".lock").unlink(missing_ok=True)
    # Of whoever built a wheel, on another Python.
    for cache in list(site.rglob("__pycache__")):
        shutil.rmtree(cache)
    for told in site.glob("edgekit_*.dist-info/direct_url.json"):
        record = told.with_name("RECORD")
        lines = record.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if "direct_url.json" not in line]
        record.write_text("".join(kept), encoding="utf-8")
        told.unlink()
    command = venv / "bin"
    command.mkdir()
    (command / "python3").symlink_to(f"/usr/bin/python{target.python}")
    (command / "python").symlink_to("python3")
    for name in ("edgekit", "pip"):
        shutil.copy(_FILES / name, command / name)
        (command / name).chmod(0o755)
    (venv / "pyvenv.cfg").write_text(
        f"home = /usr/bin\ninclude-system-site-packages = true\nversion = {target.python}\n",
        encoding="ascii",
    )


def _wheel(folder: Path, name: str) -> Path:
    found = sorted(folder.resolve().glob(f"{name.replace('-', '_')}-{version(ROOT)}-*.whl"))
    if len(found) != 1:
        raise SystemExit(f"{folder} has no wheel of {name} {version(ROOT)}; run `make dist`")
    return found[0]


def _system(root: Path, number: str, commit: Commit) -> None:
    """What lies outside of the environment."""
    command = root / "usr/bin/edgekit"
    command.parent.mkdir(parents=True)
    command.symlink_to("/opt/edgekit/bin/edgekit")
    docs = root / "usr/share/doc" / NAME
    docs.mkdir(parents=True)
    shutil.copy(_FILES / "copyright", docs)
    when = run("date", "--utc", "--rfc-email", f"--date=@{commit.epoch}", LC_ALL="C").strip()
    changelog = docs / "changelog.Debian"
    changelog.write_text(
        f"{NAME} ({number}) unstable; urgency=medium\n\n"
        f"  * Commit {commit.name[:12]}: see {HOME}/blob/v{version(ROOT)}/CHANGELOG.md\n\n"
        f" -- The edgekit authors <nobody@edgekit.example>  {when}\n",
        encoding="ascii",
    )
    run("gzip", "-9n", changelog)
    overrides = root / "usr/share/lintian/overrides"
    overrides.mkdir(parents=True)
    shutil.copy(_FILES / "lintian-overrides", overrides / NAME)
    for path in root.rglob("*"):
        if not path.is_symlink():
            executable = path.is_dir() or path.parent == root / ENVIRONMENT / "bin"
            path.chmod(0o755 if executable else 0o644)


def _control(folder: Path, target: Target, number: str, installed: int) -> None:
    folder.mkdir()
    layout = Layout()
    folders = (layout.config.parent, layout.state, layout.data, layout.private_data, layout.answers,
               *(layout.drop_in(unit).parent for unit in SERVICES))  # fmt: skip
    units = layout.unit.parent
    # What preinst keeps of units, and what is left where systemd did not run at the removal.
    others = (layout.starts, *(units / f"{unit}.dpkg-old" for unit in UNITS),
              units / "multi-user.target.wants" / UNIT)  # fmt: skip
    # Where `edgekit service install` and the daemon write.
    places = sorted(map(str, {*layout.files, *folders, *others}))
    values = {
        "VERSION": number,
        "INSTALLED": str(installed),
        "PYTHON": target.python,
        "NEXT_PYTHON": f"3.{int(target.python.partition('.')[2]) + 1}",
        "HOME": HOME,
        "GROUP": GROUP,
        "PLACES": " ".join(places),
        "UNITS": " ".join(UNITS),
    }
    for name in ("control", "preinst", "postinst", "prerm", "postrm"):
        text = (_FILES / name).read_text(encoding="utf-8")
        for key, value in values.items():
            text = text.replace(f"@{key}@", value)
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(0o644 if name == "control" else 0o755)
    root, sums = folder.parent, folder / "md5sums"
    packed = (file for file in root.rglob("*") if file.is_file() and not file.is_symlink())
    files = sorted(file.relative_to(root) for file in packed if folder not in file.parents)
    sums.write_text(run("md5sum", *files, cwd=root), encoding="utf-8")
    sums.chmod(0o644)


def _add_hash(sums: Path, package: Path) -> None:
    """Write a package's hash beside the others, in the place of an earlier one."""
    lines = sums.read_text(encoding="ascii").splitlines(keepends=True) if sums.exists() else []
    lines = [line for line in lines if not line.endswith(f"  {package.name}\n")]
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    lines.append(f"{digest}  {package.name}\n")
    sums.write_text("".join(lines), encoding="ascii")


def main() -> None:
    """Build one for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheels", type=Path, help="what `make dist` wrote")
    parser.add_argument("--output", type=Path, default=ROOT / "dist", metavar="DIR")
    parser.add_argument("--revision", type=int, default=1, metavar="N", help="of the package")
    parser.add_argument("--target", choices=[target.name for target in TARGETS],
                        help="for this Debian alone")  # fmt: skip
    options = parser.parse_args()
    if shutil.which("dpkg-deb") is None:
        raise SystemExit("dpkg-deb is not here: build on Debian, or apt-get install dpkg")
    os.umask(0o022)
    options.output.mkdir(parents=True, exist_ok=True)
    for target in TARGETS:
        if options.target not in (None, target.name):
            continue
        package = build(target, options.wheels, options.output, head(), options.revision)
        _add_hash(options.output / "SHA256SUMS", package)
        print(f"{package.name}: {package.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
