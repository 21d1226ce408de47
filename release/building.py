"""Source distributions and wheels of a commit: the same bytes, wherever they are built."""

import gzip
import io
import os
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Folder of each distribution, in the order in which they depend on each other.
PROJECTS = {"edgekit-core": "", "edgekit-convert": "convert", "edgekit-device": "device"}


@dataclass(frozen=True)
class Commit:
    """What is built.

    Attributes:
        name: its full hash.
        epoch: seconds since 1970 at which it was made: the time of each file that is built.
    """

    name: str
    epoch: int


def run(*command: str | Path, cwd: Path = ROOT, **environment: str) -> str:
    """Run a program; returns what it printed on standard output.

    Raises:
        SystemExit: it failed; with what it said.
    """
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env=os.environ | environment, check=False,
        stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        said = (done.stdout + done.stderr).strip()[-4000:]
        raise SystemExit(f"{command[0]} failed ({done.returncode}):\n{said}")
    return done.stdout


def head(repository: Path = ROOT) -> Commit:
    """The commit that is checked out."""
    name, epoch = run("git", "log", "-1", "--format=%H %ct", cwd=repository).split()
    return Commit(name, int(epoch))


def left_out(repository: Path = ROOT) -> list[str]:
    """Files that were changed or added since that commit, and so are not in what is built."""
    lines = run("git", "status", "--porcelain", cwd=repository).splitlines()
    return [line[3:] for line in lines]


def export(commit: Commit, folder: Path, repository: Path = ROOT) -> None:
    """Write the files of a commit, and no other file of this machine, into a new folder."""
    folder.mkdir(parents=True)
    archive = folder.with_suffix(".tar")
    run("git", "archive", f"--output={archive}", commit.name, cwd=repository)
    with tarfile.open(archive) as files:
        files.extractall(folder, filter="data")
    archive.unlink()
    # The mode of a file that is new follows the caller's umask; wheels keep it.
    for path in folder.rglob("*"):
        if not path.is_symlink():
            executable = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if executable else 0o644)


def build(tree: Path, commit: Commit, output: Path) -> list[Path]:
    """Build the three, each wheel from its source distribution.

    Args:
        tree: the commit's files.
        commit: what they are of.
        output: an empty folder.

    Returns:
        The files that were written, sorted by name.

    Raises:
        SystemExit: one cannot be built; with what the builder said.
    """
    previous = os.umask(0o022)
    try:
        for folder in PROJECTS.values():
            run(sys.executable, "-m", "build", "--no-isolation", "--outdir", output,
                tree / folder, SOURCE_DATE_EPOCH=str(commit.epoch))  # fmt: skip
        for archive in output.glob("*.tar.gz"):
            normalize(archive, commit.epoch)
    finally:
        os.umask(previous)
    return sorted(output.iterdir())


def normalize(archive: Path, epoch: int) -> None:
    """Write a .tar.gz again without what differs from one build to the next.

    setuptools sets SOURCE_DATE_EPOCH in wheels alone: the members of a source distribution have
    the times, the owner and the order of files on the machine that built it.
    """
    plain = io.BytesIO()
    with (
        tarfile.open(archive) as old,
        tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as new,
    ):
        for member in sorted(old.getmembers(), key=lambda member: member.name):
            clean = tarfile.TarInfo(member.name)
            clean.type, clean.size, clean.mtime = member.type, member.size, epoch
            clean.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            if not (member.isdir() or member.isfile()):
                raise SystemExit(f"{archive.name}: {member.name} is neither a file nor a folder")
            new.addfile(clean, old.extractfile(member) if member.isfile() else None)
    with archive.open("wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=epoch) as packed:
        packed.write(plain.getvalue())
