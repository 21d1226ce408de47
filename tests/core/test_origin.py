"""What `edgekit --version` says that the code was built from."""

import json
import subprocess
from importlib.metadata import Distribution, PackageNotFoundError
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgekit import cli, origin
from edgekit.origin import Origin
from tests.release.repository import git

RECORD = {"commit": "0123456789abcdef", "date": "2026-01-02", "changed": False}
KNOWN = "commit 0123456789ab of 2026-01-02"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that the installed distributions are looked for in."""

    def find(name: str) -> Distribution:
        for folder in tmp_path.glob(f"{name.replace('-', '_')}-*.dist-info"):
            return Distribution.at(folder)
        raise PackageNotFoundError(name)

    monkeypatch.setattr(origin, "distribution", find)
    return tmp_path


def _install(
    folder: Path, name: str, version: str = "1.0", record: object = None, editable: str = ""
) -> None:
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n")
    if record is not None:
        (info / "built.json").write_text(record if isinstance(record, str) else json.dumps(record))
    if editable:
        facts = {"url": editable, "dir_info": {"editable": True}}
        (info / "direct_url.json").write_text(json.dumps(facts))


@pytest.mark.parametrize(
    ("record", "told"),
    [
        (RECORD, KNOWN),
        ({**RECORD, "changed": True}, f"{KNOWN}, changed since"),
        ({**RECORD, "changed": None}, KNOWN),
        ({"commit": None, "date": None, "changed": None}, "an unknown commit"),
        (None, "an unknown commit"),
        ("{", "an unknown commit"),
        ("[]", "an unknown commit"),
    ],
)
def test_a_package_says_what_it_was_built_from(installed: Path, record: object, told: str) -> None:
    _install(installed, "edgekit_core", record=record)
    assert origin.describe("1.0") == f"version 1.0, from {told}"


def test_one_line_for_each_that_was_built_from_something_else(installed: Path) -> None:
    _install(installed, "edgekit_core", record=RECORD)
    _install(installed, "edgekit_convert", record=RECORD)
    _install(installed, "edgekit_device", "0.9", record={**RECORD, "commit": "f" * 40})
    assert origin.describe("1.0").splitlines() == [
        f"version 1.0, from {KNOWN}",
        f"edgekit-device 0.9 from commit {'f' * 12} of 2026-01-02",
    ]


def test_code_that_is_not_what_is_installed_is_told(installed: Path) -> None:
    _install(installed, "edgekit_core", "0.9", record=RECORD)
    assert origin.describe("1.0").splitlines()[1] == (
        f"edgekit-core is installed as 0.9 from {KNOWN}; the code that runs is 1.0"
    )


def test_what_is_not_installed_says_so(installed: Path) -> None:
    assert origin.describe("1.0") == "version 1.0, not installed: run from a folder"


def test_a_checkout_is_asked_as_it_is_now(installed: Path, tmp_path: Path) -> None:
    checkout = tmp_path / "my tree"
    checkout.mkdir()
    _install(installed, "edgekit_core", record=RECORD, editable=checkout.as_uri())
    unknown = Origin(None, None, None, True)
    assert origin.origins() == {"edgekit-core": ("1.0", unknown)}
    assert str(unknown) == "a checkout, an unknown commit"

    git(tmp_path, "init", "--quiet", str(checkout))
    (checkout / "pyproject.toml").touch()
    git(checkout, "add", "--all")
    git(checkout, "commit", "--quiet", "--message", "one")
    commit = git(checkout, "log", "-1", "--format=%H")
    date = git(checkout, "log", "-1", "--format=%cs")
    assert origin.origins()["edgekit-core"][1] == Origin(commit, date, False, True)
    (checkout / "new.py").touch()
    told = origin.describe("1.0")
    assert told == f"version 1.0, from a checkout, commit {commit[:12]} of {date}, changed since"


def test_a_checkout_inside_of_another_repository_is_of_no_commit(
    installed: Path, tmp_path: Path
) -> None:
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "commit", "--quiet", "--allow-empty", "--message", "theirs")
    checkout = tmp_path / "unpacked"
    checkout.mkdir()
    (checkout / "pyproject.toml").touch()
    _install(installed, "edgekit_core", editable=checkout.as_uri())
    assert origin.origins()["edgekit-core"][1].commit is None


@pytest.mark.parametrize("url", ["https://host.example/x", "", "file:///nowhere/at/all"])
def test_a_strange_address_of_a_checkout_is_no_crash(installed: Path, url: str) -> None:
    _install(installed, "edgekit_core", record=RECORD, editable=url)
    assert "version 1.0, from " in origin.describe("1.0")


def test_a_git_that_hangs_is_not_waited_for(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang(command: list[str], **_: object) -> None:
        raise subprocess.TimeoutExpired(command, 10)

    _install(installed, "edgekit_core", editable=tmp_path.as_uri())
    monkeypatch.setattr(origin.child, "run", hang)
    assert origin.describe("1.0") == "version 1.0, from a checkout, an unknown commit"


def test_the_command_says_it_in_its_first_line() -> None:
    shown = CliRunner().invoke(cli.edgekit, ["--version"])
    assert shown.exit_code == 0
    assert shown.output.startswith("edgekit, version ")
    assert " from " in shown.output.splitlines()[0]


@pytest.mark.parametrize(
    ("records", "told"),
    [
        ((RECORD, RECORD), "0123456789abcdef"),
        ((RECORD, {**RECORD, "changed": True}), "0123456789abcdef+0123456789abcdef-changed"),
        ((RECORD, {**RECORD, "commit": "fe"}), "0123456789abcdef+fe"),
        ((RECORD, None), "0123456789abcdef"),
        (({**RECORD, "commit": 7}, "{"), ""),
        ((None, None), ""),
    ],
)
def test_the_commit_that_is_compared_is_read_without_asking_git(
    installed: Path, records: tuple[object, object], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(origin.child, "run", lambda *_: pytest.fail("asked"))
    for name, record in zip(("edgekit_core", "edgekit_device"), records, strict=True):
        _install(installed, name, record=record)
    _install(installed, "edgekit_convert", record={"commit": "0"}, editable="file:///srv/edgekit")
    names = ("edgekit-core", "edgekit-device", "edgekit-convert", "edgekit-none")
    assert origin.built_commit(*names) == told


CODE = "edgekit/child.py,sha256=aa,10\nedgekit/data/x.bin,sha256=bb,3\n"
OF_THE_MACHINE = (
    "edgekit_core-1.0.dist-info/direct_url.json,sha256=cc,9\n../../../bin/edgekit,sha256=dd,9\n"
    "edgekit/__pycache__/child.cpython-311.pyc,,\nedgekit_core-1.0.dist-info/RECORD,,\n"
)


def _write_down(folder: Path, name: str, text: str) -> None:
    (folder / f"{name}-1.0.dist-info/RECORD").write_text(text)


def test_two_builds_of_one_commit_differ_by_their_files(installed: Path) -> None:
    for name in ("edgekit_core", "edgekit_device"):
        _install(installed, name)
    names = ("edgekit-core", "edgekit-device")
    assert origin.built_files(*names) == ""
    _write_down(installed, "edgekit_core", CODE)
    assert origin.built_files(*names) == "", "half of it is not known"
    _write_down(installed, "edgekit_device", CODE.replace("edgekit/", "edgekit_device/"))
    code = origin.built_files(*names)
    assert len(code) == 64
    # Where it lies, who installed it, and in which order that was written down, does not matter.
    lines = (OF_THE_MACHINE + CODE).splitlines(keepends=True)
    _write_down(installed, "edgekit_core", "".join(reversed(lines)))
    assert origin.built_files(*names) == code
    _write_down(installed, "edgekit_core", CODE.replace("=aa", "=ab"))
    assert origin.built_files(*names) not in ("", code)


def test_a_checkout_has_no_files_that_are_known(installed: Path) -> None:
    assert origin.built_files("edgekit-core") == ""
    _install(installed, "edgekit_core", editable="file:///srv/edgekit")
    _write_down(installed, "edgekit_core", CODE)
    assert origin.built_files("edgekit-core") == ""


def test_nothing_is_asked_where_nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origin, "describe", lambda _version: pytest.fail("asked"))
    assert CliRunner().invoke(cli.edgekit, ["--help"]).exit_code == 0
