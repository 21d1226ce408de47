"""`make test-deb`: the Debian package on an emulated Raspberry Pi OS, under a real systemd.

Of the tree as it is, and of the same as a later release, in the container of `make test-pi`.
`python -m tests.pi.package [--cache DIR]`, with the tools of `make deb` on PATH.
"""

import os
import re
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path

from release.building import run
from tests.pi import nspawn, package_scenario, payload
from tests.pi.image import ROOT, CannotRunError
from tests.pi.report import main

_GIT = ("git", "-c", "user.name=test", "-c", "user.email=test@edgekit.example", "-c",
        "commit.gpgsign=false")  # fmt: skip


def _copy_tree(tree: Path) -> None:
    """The files of the repository as they are now, in a repository of its own."""
    names = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    for name in filter(None, names):
        if os.path.lexists(ROOT / name):
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name, follow_symlinks=False)
    run("git", "init", "--quiet", cwd=tree)


def _build(tree: Path, output: Path) -> None:
    """The package of what a tree holds."""
    run("git", "add", "--all", cwd=tree)
    run(*_GIT, "commit", "--quiet", "--message", "A release", cwd=tree)
    with tempfile.TemporaryDirectory() as folder:
        for project in (tree, tree / "device"):
            run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, project)
        run(sys.executable, "-m", "release.deb", folder, "--output", folder, "--target", "deb12",
            cwd=tree, PYTHONPATH=f"{tree}:{tree / 'device'}")  # fmt: skip
        (package,) = Path(folder).glob("*.deb")
        shutil.copy(package, output)


def fill(folder: Path) -> None:
    """A payload with the packages.

    Raises:
        CannotRunError: they cannot be built here.
    """
    missing = [name for name in ("dpkg-deb", "uv", "git") if shutil.which(name) is None]
    if missing:
        raise CannotRunError(f"not here: {', '.join(missing)}; run it as `make test-deb`")
    nspawn.fill(folder, payload.PACKAGE)
    with tempfile.TemporaryDirectory() as name:
        tree = Path(name)
        _copy_tree(tree)
        _build(tree, folder / package_scenario.FIRST.name)
        code = tree / "edgekit/__init__.py"
        text = code.read_text(encoding="utf-8")
        later = f'__version__ = "{package_scenario.LATER}"'
        code.write_text(re.sub("^__version__ = .*$", later, text, flags=re.M), encoding="utf-8")
        _build(tree, folder / package_scenario.SECOND.name)


if __name__ == "__main__":
    main(partial(nspawn.run, fill=fill, seconds=3000),
         "the Debian package on bookworm, arm64, in a container", __doc__)  # fmt: skip
