"""The Debian package's control files and scripts; the package itself is made by `make deb`."""

import re
import subprocess
from pathlib import Path

import pytest
from edgekit_device.service.layout import Layout

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
    assert "python3 (>= 3.11), python3 (<< 3.12)" in text
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
    assert {str(path) for path in layout.files} < set(places.split())
    assert {"/etc/edgekit", "/var/lib/edgekit", "/var/lib/edgekit-data"} < set(places.split())
    assert all("edgekit" in place for place in places.split())


def test_only_a_purge_removes_it(control: Path, tmp_path: Path) -> None:
    place = tmp_path / "edgekit.toml"
    place.touch()
    script = (control / "postrm").read_text(encoding="utf-8")
    harmless = re.sub(r"for place in .*; do", f"for place in {place}; do", script)
    harmless = harmless.replace("edgekit-config", "no-such-group-of-edgekit")
    harmless = harmless.replace("/run/systemd/system", "/nowhere")
    assert "/etc/" not in harmless
    assert "/var/lib" not in harmless
    for action, left in (("remove", True), ("upgrade", True), ("purge", False)):
        subprocess.run(["sh", "-c", harmless, "postrm", action], check=True)
        assert place.exists() == left


def test_an_environment_that_pip_made_is_not_overwritten(control: Path, tmp_path: Path) -> None:
    made = tmp_path / "opt/edgekit/pyvenv.cfg"
    script = (control / "preinst").read_text(encoding="utf-8")
    script = script.replace("/opt/edgekit/pyvenv.cfg", str(made))
    for arguments, code in ((["install"], 1), (["install", "0.1"], 0), (["upgrade", "0.1"], 0)):
        done = subprocess.run(
            ["sh", "-c", script, "preinst", *arguments], capture_output=True, text=True, check=False
        )
        assert done.returncode == code
        assert ("sudo mv /opt/edgekit /opt/edgekit.old" in done.stderr) == bool(code)


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
