"""The Debian package's control files and scripts; the package itself is made by `make deb`."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from edgekit_device.service.layout import UNITS, Layout

from release.deb import __main__ as deb

SCRIPTS = ("preinst", "postinst", "prerm", "postrm")


@pytest.fixture
def control(tmp_path: Path) -> Path:
    """DEBIAN/ of a package with one file."""
    (tmp_path / "opt/edgekit").mkdir(parents=True)
    (tmp_path / "opt/edgekit/pyvenv.cfg").write_text("home = /usr/bin\n")
    deb._control(tmp_path / "DEBIAN", deb.TARGETS[0], "0.1.0-1~deb12", 160_000)
    return tmp_path / "DEBIAN"


def test_it_wants_the_python_whose_packages_it_has(control: Path) -> None:
    text = (control / "control").read_text(encoding="utf-8")
    assert "Version: 0.1.0-1~deb12\n" in text
    # Before its files are unpacked over those that work.
    assert "\nPre-Depends: python3 (>= 3.11), python3 (<< 3.12)\n" in text
    assert "Installed-Size: 160000\n" in text


@pytest.mark.parametrize("name", ["control", *SCRIPTS])
def test_nothing_is_left_to_fill_in(control: Path, name: str) -> None:
    assert not re.search(r"@[A-Z_]+@", (control / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", SCRIPTS)
def test_each_script_is_one_that_sh_understands_and_dpkg_runs(control: Path, name: str) -> None:
    subprocess.run(["sh", "-n", str(control / name)], check=True)
    assert (control / name).stat().st_mode & 0o777 == 0o755


def test_each_file_has_its_sum(control: Path) -> None:
    done = subprocess.run(
        ["md5sum", "--check", "DEBIAN/md5sums"], cwd=control.parent, check=True,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert done.stdout == "opt/edgekit/pyvenv.cfg: OK\n"


def test_a_purge_removes_where_the_service_writes_and_nothing_else(control: Path) -> None:
    text = (control / "postrm").read_text(encoding="utf-8")
    (places,) = re.findall(r"for place in (.*); do", text)
    layout = Layout()
    assert str(layout.answers) in places.split()
    assert "/etc/credstore" not in places
    assert {str(path) for path in layout.files} < set(places.split())
    assert {"/etc/edgekit", "/var/lib/edgekit", "/var/lib/edgekit-data"} < set(places.split())
    assert all("edgekit" in place for place in places.split())


@dataclass(frozen=True)
class Board:
    """A folder in which a package's scripts run, with a systemctl and an edgekit that note calls.

    Attributes:
        root: it stands for `/`.
        control: DEBIAN/ of the package.
    """

    root: Path
    control: Path

    def run(self, script: str, *arguments: str, **environment: str) -> tuple[int, str]:
        """Run a script; its exit code and what it said."""
        text = (self.control / script).read_text(encoding="utf-8")
        text = re.sub(r"(?<![\w.}/])/(opt|etc|var|run|usr)/", rf"{self.root}/\1/", text)
        text = text.replace("edgekit-config", "no-such-group-of-edgekit")
        done = subprocess.run(
            ["sh", "-c", text, script, *arguments], check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={"PATH": f"{self.root}/commands:{os.environ['PATH']}", **environment},
        )  # fmt: skip
        return done.returncode, done.stdout

    def file(self, name: str, content: str = "", mode: int = 0o644) -> Path:
        """Write one."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        path.chmod(mode)
        return path

    @property
    def calls(self) -> list[str]:
        """What was called, and forget it."""
        noted = self.root / "calls"
        lines = noted.read_text(encoding="utf-8").splitlines() if noted.exists() else []
        noted.unlink(missing_ok=True)
        return lines


_UNIT = "etc/systemd/system/edgekit.service"
_ANOTHER = f"{_UNIT}.d/10-edgekit.conf"
_MODEL = "var/lib/edgekit/model.tflite"
_SITE = "opt/edgekit/lib/python3.11/site-packages"
_START_AGAIN = "var/lib/edgekit/start-again"


@pytest.fixture
def board(control: Path, tmp_path: Path) -> Board:
    """One with the package and a service."""
    board = Board(tmp_path / "root", control)
    note = f'#!/bin/sh\necho "${{0##*/}} $*" >> {board.root}/calls\n'
    known = 'case "$*" in *is-enabled*) echo "$ENABLED"; [ "$ENABLED" = enabled ];; esac\n'
    board.file("commands/systemctl", note + known, 0o755)
    board.file("opt/edgekit/bin/edgekit", f'{note}exit "${{CODE:-0}}"\n', 0o755)
    board.file("opt/edgekit/bin/python", note, 0o755)
    board.file("opt/edgekit/pyvenv.cfg")
    board.file(f"{_SITE}/click.dist-info/INSTALLER", "uv\n")
    for unit in UNITS:
        for name in (f"etc/systemd/system/{unit}", f"{_SITE}/edgekit_device/service/units/{unit}"):
            board.file(name, f"# {unit}\n")
    board.file(_MODEL)
    (board.root / "run/systemd/system").mkdir(parents=True)
    return board


def test_only_a_purge_removes_what_the_service_has(board: Board) -> None:
    shutil.rmtree(board.root / "opt/edgekit")
    secret = board.file("etc/credstore/edgekit.http-token")
    edited = board.file(f"{_UNIT}.dpkg-old")
    for action in ("remove", "upgrade"):
        assert board.run("postrm", action) == (0, "")
        assert (board.root / _MODEL).exists()
    code, said = board.run("postrm", "purge")
    assert code == 0
    assert not (board.root / _MODEL).parent.exists()
    assert not (board.root / _UNIT).exists()
    assert not edited.exists()
    assert secret.exists()
    assert f"{secret} is a secret of yours, and stays; to remove it: sudo rm {secret}" in said


@pytest.mark.parametrize("copy", ["opt/edgekit/bin/edgekit", _ANOTHER])
def test_a_purge_leaves_the_service_to_another_copy_of_edgekit(board: Board, copy: str) -> None:
    shutil.rmtree(board.root / "opt/edgekit")
    board.file(copy)
    code, said = board.run("postrm", "purge")
    assert (code, (board.root / _MODEL).exists()) == (0, True)
    assert "sudo edgekit service uninstall --purge" in said


def test_a_place_that_cannot_be_removed_is_told_and_the_rest_goes(board: Board) -> None:
    shutil.rmtree(board.root / "opt/edgekit")
    board.file("commands/rm", f"""#!/bin/sh
case "$2" in */edgekit-data) exit 1;; esac
exec {shutil.which("rm")} "$@"
""", 0o755)  # fmt: skip
    code, said = board.run("postrm", "purge")
    assert code == 0
    assert "var/lib/edgekit-data is not gone: is another disk mounted there?" in said
    assert not (board.root / _UNIT).exists()


@pytest.mark.parametrize(
    ("arguments", "installer", "code"),
    [
        # An environment of pip's, an empty one of venv's, the package's own, and that after pip.
        (["install"], "pip", 1),
        (["install", "0.1", "0.2"], "uv", 1),
        (["upgrade", "0.1", "0.2"], "uv", 0),
        (["upgrade", "0.1", "0.2"], "pip", 1),
        (["abort-upgrade", "0.2"], "pip", 0),
    ],
)
def test_an_environment_that_pip_made_or_changed_is_not_overwritten(
    board: Board, arguments: list[str], installer: str, code: int
) -> None:
    board.file(f"{_SITE}/edgekit_core.dist-info/INSTALLER", f"{installer}\n")
    ended, said = board.run("preinst", *arguments)
    assert ended == code
    assert ("sudo mv" in said) == bool(code)


def test_where_nothing_is_it_may_be_installed(board: Board) -> None:
    shutil.rmtree(board.root / "opt/edgekit")
    assert board.run("preinst", "install") == (0, "")


def test_a_unit_that_was_edited_is_kept_beside_and_told(board: Board) -> None:
    board.file(_UNIT, "# by hand\n")
    code, said = board.run("preinst", "upgrade", "0.1", "0.2")
    assert code == 0
    assert (board.root / f"{_UNIT}.dpkg-old").read_text(encoding="utf-8") == "# by hand\n"
    assert "sudo systemctl edit edgekit.service" in said
    assert not list(board.root.glob("etc/systemd/system/edgekit-control*.dpkg-old"))


@pytest.mark.parametrize(
    ("enabled", "again", "expected"),
    [
        ("enabled", False, ["--no-block try-restart"]),
        ("disabled", False, ["disable --quiet", "--no-block try-restart"]),
        ("disabled", True, ["--no-block restart"]),
    ],
)
def test_the_service_is_renewed_and_started_as_it_was(
    board: Board, enabled: str, again: bool, expected: list[str]
) -> None:
    if again:
        board.file(_START_AGAIN)
    code, said = board.run("postinst", "configure", "0.1", ENABLED=enabled)
    assert code == 0, said
    model = (board.root / _MODEL).resolve()
    assert board.calls == [
        f"python -m compileall -q {board.root}/opt/edgekit/lib",
        "systemctl is-enabled edgekit.service",
        f"edgekit service install --no-start --model {model}",
        *(f"systemctl {words} edgekit.service" for words in expected),
    ]
    assert "edgekit service status" in said
    assert not (board.root / _START_AGAIN).exists()


def test_a_service_that_the_release_refuses_goes_on_as_it_is(board: Board) -> None:
    board.file(_START_AGAIN)
    code, said = board.run("postinst", "configure", "0.1", ENABLED="enabled", CODE="2")
    assert code == 0
    assert "the service was left as it was" in said
    assert not any("restart" in call or "disable" in call for call in board.calls)
    assert (board.root / _START_AGAIN).exists()


def test_without_a_model_the_service_is_left_and_that_is_told(board: Board) -> None:
    (board.root / _MODEL).unlink()
    code, said = board.run("postinst", "configure", "0.1", ENABLED="enabled")
    assert code == 0
    assert "sudo edgekit service install --model MODEL" in said
    assert not any("restart" in call for call in board.calls)


def test_a_service_of_another_copy_is_left_alone_and_that_is_told(board: Board) -> None:
    board.file(_ANOTHER)
    code, said = board.run("postinst", "configure", ENABLED="enabled")
    assert code == 0
    assert "runs another copy of edgekit, and was left alone" in said
    assert [call for call in board.calls if "compileall" not in call] == []
    board.run("prerm", "remove", ENABLED="enabled")
    assert board.calls == []


def test_another_copy_that_comes_first_is_told(board: Board) -> None:
    board.file("commands/edgekit", "", 0o755)
    _, said = board.run("postinst", "configure", ENABLED="enabled")
    assert f"there are two copies of edgekit: the command is {board.root}/commands/edgekit" in said


def test_an_upgrade_that_failed_has_its_code_compiled_again_and_no_more(board: Board) -> None:
    assert board.run("postinst", "abort-upgrade", "0.2", ENABLED="enabled")[0] == 0
    assert board.calls == [f"python -m compileall -q {board.root}/opt/edgekit/lib"]


@pytest.mark.parametrize(("enabled", "again"), [("enabled", True), ("disabled", False)])
def test_a_removal_stops_the_service_and_notes_whether_it_is_to_start_again(
    board: Board, enabled: str, again: bool
) -> None:
    board.file(f"{_SITE}/__pycache__/click.pyc")
    assert board.run("prerm", "remove", ENABLED=enabled)[0] == 0
    assert "systemctl disable --now edgekit.service" in board.calls
    assert (board.root / _START_AGAIN).exists() == again
    assert not (board.root / _SITE / "__pycache__").exists()


def test_an_upgrade_does_not_stop_the_service(board: Board) -> None:
    assert board.run("prerm", "upgrade", "0.2", ENABLED="enabled")[0] == 0
    assert board.calls == []


def test_a_package_whose_files_were_moved_away_can_be_removed(board: Board) -> None:
    shutil.rmtree(board.root / "opt/edgekit")
    assert board.run("prerm", "remove", ENABLED="disabled")[0] == 0


def test_where_pip_would_be_called_apt_is_named() -> None:
    done = subprocess.run(
        ["sh", str(deb._FILES / "pip"), "install", "x"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "sudo apt install --reinstall edgekit-device" in done.stderr


def test_without_wheels_it_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"no wheel of edgekit-core .*; run `make dist`"):
        deb._wheel(tmp_path, "edgekit-core")


def test_a_package_made_again_has_one_sum(tmp_path: Path) -> None:
    package, sums = tmp_path / "x.deb", tmp_path / "SHA256SUMS"
    sums.write_text(f"{'0' * 64}  y.whl\n")
    for content in (b"1", b"2"):
        package.write_bytes(content)
        deb._add_hash(sums, package)
    assert [line.split()[1] for line in sums.read_text().splitlines()] == ["y.whl", "x.deb"]
    subprocess.run(
        ["sha256sum", "--check", "--ignore-missing", "--quiet", "SHA256SUMS"],
        cwd=tmp_path, check=True,
    )  # fmt: skip
