"""A repository with the files of this tree as they are now, committed or not."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT

_WHO = ("-c", "user.name=A Test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false")


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder; returns what it printed."""
    done = subprocess.run(
        ["git", "-C", str(folder), *_WHO, *arguments], check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout.strip()


def copy_of_this(folder: Path) -> Path:
    """Commit this tree's files in a new repository; skips where git or a checkout is missing."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("packages are built from a checkout, with git")
    names = git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    for name in filter(None, names):
        source, target = ROOT / name, folder / name
        if source.exists() or source.is_symlink():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target, follow_symlinks=False)
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "The tree as it is")
    return folder
