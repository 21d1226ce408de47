"""What an installed edgekit was built from, for `edgekit --version`."""

import contextlib
import hashlib
import json
import re
import subprocess
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from edgekit import child

DISTRIBUTIONS = ("edgekit-core", "edgekit-convert", "edgekit-device")
# Written beside the other metadata when a distribution is built (release/shared_setup.py).
_RECORD = "built.json"
_TIMEOUT = 10.0
SHORT = 12
"""Letters of a commit that are shown."""
# A line of RECORD, of a file of a package and no other.
_HASHED = re.compile(r"[A-Za-z0-9_]+/[^,]+,sha256=")


@dataclass(frozen=True)
class Origin:
    """Where the code of a distribution comes from.

    Attributes:
        commit: its full hash; None where nobody knows it.
        date: the commit's day, as YYYY-MM-DD; None with `commit`.
        changed: whether files were changed since; None where nobody knows.
        checkout: whether the code is read from a folder of sources (`pip install --editable`).
    """

    commit: str | None
    date: str | None
    changed: bool | None
    checkout: bool

    def __str__(self) -> str:
        known = "an unknown commit"
        if self.commit:
            known = f"commit {self.commit[:SHORT]} of {self.date}"
        told = f"a checkout, {known}" if self.checkout else known
        return f"{told}, changed since" if self.changed else told


def origins() -> dict[str, tuple[str, Origin]]:
    """Version and origin of each of our distributions that is installed, by name.

    Asks git about checkouts, which may take a second.
    """
    found = {}
    for name in DISTRIBUTIONS:
        try:
            installed = distribution(name)
        except PackageNotFoundError:
            continue
        found[name] = (installed.version, _origin(installed))
    return found


def built_commit(*names: str) -> str:
    """The commit that installed distributions were built from, as their metadata has it.

    It asks nobody: a checkout, and what was built without git, are of an unknown one.

    Args:
        names: of the distributions.

    Returns:
        Its full hash, with `-changed` where files were changed since; several of them with + in
        between, where the distributions differ; empty where nobody knows it.
    """
    found = []
    for name in names:
        with contextlib.suppress(PackageNotFoundError):
            installed = distribution(name)
            # What a checkout was when it was installed says nothing of its files now.
            facts = _json(installed, _RECORD) if _checkout(installed) is None else {}
            if isinstance(facts.get("commit"), str):
                found.append(facts["commit"] + ("-changed" if facts.get("changed") else ""))
    return "+".join(dict.fromkeys(found))


def built_files(*names: str) -> str:
    """A hash of the code of installed distributions, as whoever installed them wrote it down.

    Two builds of one commit differ by it, where files were changed and nothing was committed.

    Args:
        names: of the distributions.

    Returns:
        In hexadecimal; empty where one is a checkout, whose files may change at any time, or is not
        installed, or nothing was written down.
    """
    lines: list[str] = []
    for name in names:
        try:
            installed = distribution(name)
        except PackageNotFoundError:
            return ""
        record = installed.read_text("RECORD") or ""
        # Of commands and metadata some is of the machine. Compiled code has no hash.
        code = [line for line in record.splitlines() if _HASHED.match(line)]
        if not code or _checkout(installed) is not None:
            return ""
        lines += code
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def describe(version: str) -> str:
    """One line for all that was built from the same, and one for each distribution that was not.

    Args:
        version: that of the code that runs.
    """
    found = origins()
    told = {name: f"{number} from {origin}" for name, (number, origin) in found.items()}
    if not told:
        return f"version {version}, not installed: run from a folder"
    first = next(iter(found))
    lines = [f"version {version}, from {found[first][1]}"]
    if found[first][0] != version:
        lines.append(f"{first} is installed as {told[first]}; the code that runs is {version}")
    lines += [f"{name} {text}" for name, text in told.items() if text != told[first]]
    return "\n".join(lines)


def _origin(installed: Distribution) -> Origin:
    folder = _checkout(installed)
    if folder is None:
        facts = _json(installed, _RECORD)
        return Origin(facts.get("commit"), facts.get("date"), facts.get("changed"), False)
    return _ask_git(folder)


def _checkout(installed: Distribution) -> Path | None:
    """The folder of an editable installation (PEP 610); None for any other."""
    facts = _json(installed, "direct_url.json")
    address = urlsplit(str(facts.get("url", "")))
    if not (facts.get("dir_info") or {}).get("editable") or address.scheme != "file":
        return None
    return Path(unquote(address.path))


def _json(installed: Distribution, name: str) -> dict[str, Any]:
    """A file of the metadata; empty where it is not there, or not what it should be."""
    try:
        facts = json.loads(installed.read_text(name) or "{}")
    except ValueError:
        return {}
    return facts if isinstance(facts, dict) else {}


def _ask_git(folder: Path) -> Origin:
    unknown = Origin(None, None, None, True)
    git = child.find("git")
    if git is None:
        return unknown

    def ask(*arguments: str) -> str:
        done = child.run([str(git), "-C", str(folder), *arguments], timeout=_TIMEOUT)
        if done.returncode:
            raise ValueError(done.stderr)
        return done.stdout.decode()

    try:
        # What was unpacked inside of another project's repository is of none of its commits.
        ask("ls-files", "--error-unmatch", "pyproject.toml")
        commit, date = ask("log", "-1", "--format=%H %cs").split()
        changed = bool(ask("status", "--porcelain"))
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return unknown
    return Origin(commit, date, changed, True)
