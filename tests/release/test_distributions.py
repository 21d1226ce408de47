"""What `make dist` builds: the three distributions, as a stranger gets them."""

import io
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from edgekit import __version__
from release import building, checking, shared_setup
from tests.conftest import ROOT
from tests.release.repository import copy_of_this, git

NAMES = [f"edgekit_{name}-{__version__}" for name in ("core", "convert", "device")]
FILES = [name + suffix for name in NAMES for suffix in (".tar.gz", "-py3-none-any.whl")]
LICENCE = (ROOT / "LICENSE").read_bytes()


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_of_this(tmp_path_factory.mktemp("repository"))


@pytest.fixture(scope="module")
def commit(repository: Path) -> building.Commit:
    return building.head(repository)


@pytest.fixture(scope="module")
def tree(
    repository: Path, commit: building.Commit, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("one") / "tree"
    building.export(commit, folder, repository)
    return folder


@pytest.fixture(scope="module")
def built(tree: Path, commit: building.Commit) -> dict[str, Path]:
    """The files by name."""
    files = building.build(tree, commit, tree.parent / "built")
    return {file.name: file for file in files}


def test_there_is_a_wheel_and_a_source_distribution_of_each(built: dict[str, Path]) -> None:
    assert sorted(built) == sorted(FILES)


@pytest.mark.parametrize("name", FILES)
def test_each_is_complete_and_has_nothing_of_this_machine(
    built: dict[str, Path], tree: Path, repository: Path, name: str
) -> None:
    assert not checking.faults(built[name], LICENCE, (ROOT, tree, repository))


@pytest.mark.parametrize("name", NAMES)
def test_the_metadata_says_what_a_stranger_looks_for(built: dict[str, Path], name: str) -> None:
    facts = checking.metadata(checking.contents(built[f"{name}-py3-none-any.whl"]))
    assert facts["License-Expression"] == "Apache-2.0"
    assert facts["Requires-Python"] == ">=3.11"
    addresses = dict(text.split(", ") for text in facts.get_all("Project-URL", []))
    assert {"Homepage", "Documentation", "Changelog", "Source", "Security"} == set(addresses)
    assert all(address.startswith(shared_setup.HOME) for address in addresses.values())
    pythons = [text.rpartition(" ")[2] for text in facts.get_all("Classifier", []) if "3." in text]
    assert pythons == ["3.11", "3.12", "3.13"]
    others = [text for text in facts.get_all("Requires-Dist", []) if text.startswith("edgekit-")]
    wanted = [] if "core" in name else [f"=={__version__}"]
    assert [text[text.index("=") :] for text in others if "extra" not in text] == wanted


def test_another_place_time_and_umask_give_the_same_bytes(
    built: dict[str, Path], repository: Path, commit: building.Commit, tmp_path: Path
) -> None:
    clone = tmp_path / "elsewhere"
    git(tmp_path, "clone", "--quiet", str(repository), str(clone))
    os.utime(clone / "README.md", (1, 1))
    before = os.umask(0o077)
    try:
        building.export(commit, tmp_path / "tree", clone)
        again = building.build(tmp_path / "tree", commit, tmp_path / "built")
    finally:
        os.umask(before)
    assert {file.name: file.read_bytes() for file in again} == {
        name: file.read_bytes() for name, file in built.items()
    }


def test_a_wheel_from_the_tree_is_the_one_from_the_source_distribution(
    built: dict[str, Path], tree: Path, commit: building.Commit, tmp_path: Path
) -> None:
    # The one with a link to a folder, systemd/.
    command = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir",
               str(tmp_path), str(tree / "device")]  # fmt: skip
    environment = os.environ | {"SOURCE_DATE_EPOCH": str(commit.epoch)}
    subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)
    (wheel,) = tmp_path.iterdir()
    assert wheel.read_bytes() == built[wheel.name].read_bytes()


def test_what_is_gone_from_the_tree_is_not_packed(tree: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(tree / "convert", tmp_path / "convert", symlinks=False)
    stale = copy / "build" / "lib" / "edgekit_convert" / "stale.py"
    stale.parent.mkdir(parents=True)
    stale.touch()
    command = [sys.executable, "-m", "build", "--no-isolation", "--wheel", str(copy)]
    subprocess.run(command, check=True, stdout=subprocess.PIPE)
    (wheel,) = (copy / "dist").iterdir()
    assert "edgekit_convert/api.py" in checking.contents(wheel)
    assert "edgekit_convert/stale.py" not in checking.contents(wheel)


def test_installed_it_says_what_it_was_built_from(
    built: dict[str, Path], commit: building.Commit, tmp_path: Path
) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path)], check=True)
    python = str(tmp_path / "bin" / "python")
    wheels = [str(built[f"{name}-py3-none-any.whl"]) for name in NAMES]
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--no-index", *wheels], check=True)
    # What it needs is lent by this environment, whose own edgekit stays out.
    site = next((tmp_path / "lib").glob("python*/site-packages"))
    (site / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    command = [str(tmp_path / "bin" / "edgekit"), "--version"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=tmp_path)
    said = f"edgekit, version {__version__}, from commit {commit.name[:12]} of "
    assert done.stdout.startswith(said)
    assert len(done.stdout.splitlines()) == 1


def test_what_was_changed_since_is_named(repository: Path, tmp_path: Path) -> None:
    clone = tmp_path / "changed"
    git(tmp_path, "clone", "--quiet", str(repository), str(clone))
    assert building.left_out(clone) == []
    (clone / "README.md").write_text("other\n")
    (clone / "new.py").touch()
    assert building.left_out(clone) == ["README.md", "new.py"]


def _wheel(folder: Path, **changes: bytes | None) -> Path:
    """A wheel that has no fault, but for some files."""
    lines = [f"{name}: x" for name in checking._NEEDED]
    files: dict[str, bytes | None] = {
        "x/py.typed": b"",
        "x-1.dist-info/METADATA": "\n".join(lines).encode() + b"\n\nSee [it](https://x.example).\n",
        "x-1.dist-info/licenses/LICENSE": LICENCE,
        **changes,
    }
    with zipfile.ZipFile(folder / "x-1-py3-none-any.whl", "w") as wheel:
        for name, text in files.items():
            if text is not None:
                wheel.writestr(name, text)
    return folder / "x-1-py3-none-any.whl"


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({}, None),
        ({"tests/test_x.py": b""}, "tests/test_x.py does not belong in it"),
        ({"x/__pycache__/y.pyc": b""}, "x/__pycache__/y.pyc does not belong in it"),
        ({"x-1.dist-info/licenses/LICENSE": b"other"}, "it does not have the text of the licence"),
        ({"x/py.typed": None}, "it does not say that it is typed: no py.typed"),
        ({"x/y.py": b"'/srv/mine/x.py'"}, "x/y.py names /srv/mine"),
    ],
)
def test_a_fault_is_found(
    tmp_path: Path, changes: dict[str, bytes | None], fault: str | None
) -> None:
    found = checking.faults(_wheel(tmp_path, **changes), LICENCE, [Path("/srv/mine")])
    assert found == ([fault] if fault else [])


def test_a_readme_that_leads_nowhere_and_missing_metadata_are_found(tmp_path: Path) -> None:
    text = b"Summary: x\n\nSee [it](docs/it.md) and [that](#that).\n"
    found = checking.faults(_wheel(tmp_path, **{"x-1.dist-info/METADATA": text}), LICENCE)
    assert "its readme has the relative link docs/it.md" in found
    assert "its metadata has no Author" in found
    assert not any("#that" in fault or "Summary" in fault for fault in found)


def test_a_link_in_a_source_distribution_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "x.tar.gz"
    with tarfile.open(archive, "w:gz") as files:
        link = tarfile.TarInfo("x/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        files.addfile(link, io.BytesIO())
    with pytest.raises(SystemExit, match="x/link is neither a file nor a folder"):
        building.normalize(archive, 0)


def test_relative_links_become_absolute() -> None:
    page = (
        "[a](../docs/a.md#b) ![c](docs/c.png) [d](#d) [e](https://e.example/x) [f](mailto:f@x.org)"
    )
    home = shared_setup.HOME
    assert shared_setup.absolute_links(page, "device", "v1") == (
        f"[a]({home}/blob/v1/docs/a.md#b) ![c]({home}/raw/v1/device/docs/c.png) [d](#d) "
        "[e](https://e.example/x) [f](mailto:f@x.org)"
    )


def test_all_three_say_the_same_of_themselves() -> None:
    said = [
        tomllib.loads((ROOT / folder / "pyproject.toml").read_text("utf-8"))["project"]
        for folder in building.PROJECTS.values()
    ]
    for key in ("authors", "license", "license-files", "classifiers", "requires-python"):
        assert said[0][key] == said[1][key] == said[2][key]
