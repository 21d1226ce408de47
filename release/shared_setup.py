"""What the three distributions share, and pyproject.toml cannot say.

The version stands in `edgekit/__init__.py` alone, the address of the project here alone, and what
is built says which commit it was built from. Each distribution has a link to this file and, outside
the core, to that one (`version.py`) and to LICENSE; a source distribution has copies of them.
"""

import json
import posixpath
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from setuptools import setup
from setuptools.command.build import build
from setuptools.command.egg_info import egg_info

# Where the project will be at home. It has no public address yet: nobody can own a name below
# `.example` (RFC 2606), so that no link of ours leads to a stranger's page until it has.
HOME = "https://edgekit.example"
# `git archive` fills this in: commit and its day.
ARCHIVED = "$Format:%H %cs$"
# In the metadata of what is built; `edgekit --version` reads it.
RECORD = "built.json"

_LINK = re.compile(r"(!?\[[^\]]*\]\()([^)\s]+)\)")


def version(project: Path) -> str:
    """The version of all three.

    Args:
        project: folder of a distribution's pyproject.toml.
    """
    places = (project / "version.py", project / "edgekit" / "__init__.py")
    text = next(place for place in places if place.exists()).read_text(encoding="utf-8")
    (found,) = re.findall(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    return str(found)


def absolute_links(text: str, folder: str, tag: str) -> str:
    """A page whose relative links lead to the project's home, for readers elsewhere.

    Args:
        text: Markdown.
        folder: the page's, in the repository; empty for its root.
        tag: the release that is linked to.
    """

    def absolute(match: re.Match[str]) -> str:
        opening, target = match.groups()
        if "://" in target or target.startswith(("#", "mailto:")):
            return match.group()
        kind = "raw" if opening.startswith("!") else "blob"
        path = posixpath.normpath(posixpath.join(folder, target))
        return f"{opening}{HOME}/{kind}/{tag}/{path})"

    return _LINK.sub(absolute, text)


def built_from(project: Path) -> dict[str, Any]:
    """The commit that a folder holds: `commit`, its `date`, and whether it was `changed` since.

    All three are None where nothing tells: neither git, nor an archive that git made.

    Args:
        project: folder of a distribution's pyproject.toml.
    """
    if not ARCHIVED.startswith("$"):
        commit, date = ARCHIVED.split()
        return {"commit": commit, "date": date, "changed": None}

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(project), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        # What was unpacked inside of another project's repository is of none of its commits.
        git("ls-files", "--error-unmatch", "pyproject.toml")
        commit, date = git("log", "-1", "--format=%H %cs").split()
        changed = bool(git("status", "--porcelain"))
    except (OSError, ValueError, subprocess.CalledProcessError):
        return {"commit": None, "date": None, "changed": None}
    return {"commit": commit, "date": date, "changed": changed}


def set_up(file: str, folder: str = "", **arguments: Any) -> None:
    """`setuptools.setup` of a distribution.

    Args:
        file: its setup.py.
        folder: its folder in the repository; empty for the root.
        arguments: more of them.
    """
    project = Path(file).resolve().parent
    tag = f"v{version(project)}"

    class Recorded(egg_info):  # type: ignore[misc]
        """Writes beside the other metadata what this is built from."""

        def run(self) -> None:
            record = Path(self.egg_info) / RECORD
            # A source distribution has the record of what it was made of, and is of no commit.
            if not (project / "PKG-INFO").exists() or not record.exists():
                self.mkpath(self.egg_info)
                facts = built_from(project)
                record.write_text(json.dumps(facts) + "\n", encoding="ascii")
            super().run()

    class Fresh(build):  # type: ignore[misc]
        """Forgets what an earlier build left: a module that is gone would still be packed."""

        def run(self) -> None:
            shutil.rmtree(self.build_lib, ignore_errors=True)
            super().run()

    setup(
        version=version(project),
        long_description=absolute_links(
            (project / "README.md").read_text(encoding="utf-8"), folder, tag
        ),
        long_description_content_type="text/markdown",
        project_urls={
            "Homepage": HOME,
            "Documentation": f"{HOME}/tree/{tag}/docs",
            "Changelog": f"{HOME}/blob/{tag}/CHANGELOG.md",
            "Source": HOME,
            "Security": f"{HOME}/blob/{tag}/SECURITY.md",
        },
        cmdclass={"build": Fresh, "egg_info": Recorded},
        **arguments,
    )
