"""What has to hold of a distribution before anybody gets it."""

import re
import tarfile
import zipfile
from collections.abc import Iterable
from email.message import Message
from email.parser import Parser
from pathlib import Path

# Tests, and what a checkout has beside packages.
_FOREIGN = re.compile(r"(^|/)(tests|demo|benchmarks|release|docs|\.git|\.venv|__pycache__)(/|$)")
_NEEDED = ("Author", "Classifier", "Description-Content-Type", "Keywords", "License-Expression",
           "License-File", "Project-URL", "Requires-Python", "Summary")  # fmt: skip
_RELATIVE = re.compile(r"\]\((?!https?://|mailto:|#)([^)\s]+)\)")


def contents(file: Path) -> dict[str, bytes]:
    """Path and bytes of each file in a wheel or a source distribution.

    Paths in a source distribution are without its folder's name.
    """
    if file.suffix == ".whl":
        with zipfile.ZipFile(file) as wheel:
            return {name: wheel.read(name) for name in wheel.namelist()}
    with tarfile.open(file) as archive:
        found = {}
        for member in archive.getmembers():
            if member.isfile() and (stream := archive.extractfile(member)) is not None:
                found[member.name.partition("/")[2]] = stream.read()
        return found


def metadata(files: dict[str, bytes]) -> Message:
    """Its core metadata; the readme is its payload."""
    names = [name for name in files if name == "PKG-INFO" or name.endswith(".dist-info/METADATA")]
    (name,) = names
    return Parser().parsestr(files[name].decode("utf-8"))


def faults(file: Path, licence: bytes, folders: Iterable[Path] = ()) -> list[str]:
    """What is wrong with a wheel or a source distribution; empty where nothing is.

    Args:
        file: it.
        licence: text that has to be in it.
        folders: of the machine that built it, which nobody else has; no file may name them.
    """
    files = contents(file)
    facts = metadata(files)
    found = [f"its metadata has no {name}" for name in _NEEDED if not facts.get_all(name)]
    found += [f"{name} does not belong in it" for name in files if _FOREIGN.search(name)]
    if not any(text == licence for name, text in files.items() if name.endswith("LICENSE")):
        found.append("it does not have the text of the licence")
    if not any(name.endswith("py.typed") for name in files):
        found.append("it does not say that it is typed: no py.typed")
    found += [f"its readme has the relative link {target}"
              for target in _RELATIVE.findall(str(facts.get_payload()))]  # fmt: skip
    for folder in folders:
        found += [f"{name} names {folder}" for name, text in files.items()
                  if str(folder).encode() in text]  # fmt: skip
    return found
