"""The unit is one that systemd accepts, and the package ships the files of `systemd/`."""

import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib.resources import files
from pathlib import Path

import pytest
from edgekit_device import trial
from edgekit_device.config.secrets import secret_file
from edgekit_device.config.settings import Settings
from edgekit_device.daemon.models import LOAD_TIMEOUT
from edgekit_device.installed import REQUEST_FILE
from edgekit_device.retry import SERVICE_RESTART
from edgekit_device.service import requests
from edgekit_device.service.layout import (
    CONTROL_PATH,
    CONTROL_SERVICE,
    GROUP,
    UNIT,
    UNITS,
    Layout,
)

from edgekit.errors import ConfigurationError

ROOT = Path(__file__).parents[3]
SOURCES = ROOT / "systemd"
TEXT = (SOURCES / "edgekit.service").read_text(encoding="utf-8")
SHIPPED = (
    "edgekit-control.path", "edgekit-control.service", "edgekit.rules", "edgekit.service",
    "edgekit.sysusers", "edgekit.toml",
)  # fmt: skip


def _analyze(tmp_path: Path, *arguments: str, unit: str = UNIT) -> str:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed (apt install systemd)")
    for name in UNITS:
        # The command must exist for the check; on a device it is installed first.
        text = (SOURCES / name).read_text(encoding="utf-8")
        copy = tmp_path / name
        copy.write_text(text.replace("/opt/edgekit/bin/edgekit", "/bin/true"), encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", *arguments, str(tmp_path / unit)], capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_only_a_wrong_configuration_is_not_tried_again() -> None:
    assert _values("RestartPreventExitStatus") == [str(ConfigurationError.exit_code)]


def _values(key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", TEXT, re.MULTILINE)


@pytest.mark.parametrize("unit", UNITS)
def test_systemd_has_nothing_to_say_about_it(tmp_path: Path, unit: str) -> None:
    # It may have about other units of this machine.
    assert "edgekit" not in _analyze(tmp_path, "verify", unit=unit)


@pytest.mark.parametrize(("unit", "most"), [(UNIT, 1.5), (CONTROL_SERVICE, 2.5)])
def test_its_exposure_is_low(tmp_path: Path, unit: str, most: float) -> None:
    said = _analyze(tmp_path, "security", "--offline=true", "--no-pager", unit=unit)
    exposure = re.search(rf"exposure level for {unit}: ([\d.]+)", said)
    assert exposure
    assert float(exposure[1]) <= most


def test_it_may_write_to_a_folder_of_its_own_and_to_no_model() -> None:
    assert [Path("/var/lib", name) for name in _values("StateDirectory")] == [Layout().data]
    assert _values("StateDirectoryMode") == ["0700"]
    assert not Layout().state.is_relative_to(Layout().data)
    assert _values("ReadWritePaths") == []


def test_requests_are_waited_for_where_the_daemon_leaves_them() -> None:
    path = (SOURCES / CONTROL_PATH).read_text(encoding="utf-8")
    assert f"PathExists={Layout().runtime / REQUEST_FILE}\n" in path
    # before-start and before-reload decide whether it waits; nothing enables it.
    assert "[Install]" not in path
    assert f"PartOf={UNIT}\n" in path
    assert Path(CONTROL_PATH).stem == Path(CONTROL_SERVICE).stem


def test_a_flood_of_requests_does_not_reach_the_limit_of_starts() -> None:
    control = (SOURCES / CONTROL_SERVICE).read_text(encoding="utf-8")
    seconds, starts = (
        int(re.search(rf"^{key}=(\d+)$", control, re.M)[1])  # type: ignore[index]
        for key in ("StartLimitIntervalSec", "StartLimitBurst")
    )
    assert seconds / requests.HOLD < starts


def test_its_status_is_where_the_commands_look_for_it_and_all_may_read_it() -> None:
    assert [Path("/run", name) for name in _values("RuntimeDirectory")] == [Layout().runtime]
    assert _values("RuntimeDirectoryMode") == ["0755"]
    # Kept, it would be private to root, and hold what an earlier process said.
    assert _values("RuntimeDirectoryPreserve") == []


def test_memory_that_ends_while_a_model_is_tried_does_not_end_the_service() -> None:
    """systemd's default stops a service of which the kernel has killed any process."""
    assert _values("OOMPolicy") == ["continue"]


def test_a_trial_gives_up_before_systemd_does() -> None:
    (start,) = _values("TimeoutStartSec")
    assert float(start) > trial.TIMEOUT + LOAD_TIMEOUT


def test_it_waits_for_no_device() -> None:
    assert ".device" not in TEXT
    assert _values("After") == ["network.target"]


def test_the_times_fit_together() -> None:
    (watchdog,), (start,) = _values("WatchdogSec"), _values("TimeoutStartSec")
    settings = Settings()
    longest = max(settings.recovery.camera, settings.recovery.delegate)
    # The daemon gives up first, with an exit code that says why.
    assert longest + settings.health.stall_after < float(watchdog)
    assert float(start) > SERVICE_RESTART.maximum


@pytest.mark.parametrize(
    "name", ["source-password", "mqtt-password", "http-token", "webhook-token"]
)
def test_the_credentials_are_those_the_daemon_asks_for(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A name without a slash is looked for in /etc/credstore, and may be missing.
    assert f"{name}:edgekit.{name}" in _values("LoadCredential")
    (tmp_path / name).write_text("secret")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert secret_file(None, name) == tmp_path / name


def test_the_service_is_in_the_group_that_reads_the_configuration() -> None:
    (groups,) = _values("SupplementaryGroups")
    assert GROUP in groups.split()
    assert f"g {GROUP} -\n" in (SOURCES / "edgekit.sysusers").read_text(encoding="utf-8")


def test_the_package_sees_the_files_themselves() -> None:
    for name in SHIPPED:
        packaged = files("edgekit_device.service") / "units" / name
        assert packaged.read_bytes() == (SOURCES / name).read_bytes()


def test_wheels_and_source_archives_hold_the_files(tmp_path: Path) -> None:
    (tmp_path / "edgekit").mkdir()
    shutil.copy(ROOT / "edgekit" / "__init__.py", tmp_path / "edgekit")
    shutil.copy(ROOT / "LICENSE", tmp_path)
    for folder in ("device", "release", "systemd"):
        shutil.copytree(
            ROOT / folder, tmp_path / folder, symlinks=True,
            ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"),
        )  # fmt: skip

    def build(what: str, source: Path) -> Path:
        """With the backend that pip would ask, in the folder that it would unpack to."""
        code = f"import setuptools.build_meta as b; print(b.build_{what}({str(tmp_path)!r}))"
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=source, capture_output=True, text=True, timeout=120,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return tmp_path / done.stdout.splitlines()[-1]

    def check(wheel: Path) -> None:
        with zipfile.ZipFile(wheel) as archive:
            prefix = "edgekit_device/service/units/"
            held = {name.removeprefix(prefix): name for name in archive.namelist()
                    if name.startswith(prefix)}  # fmt: skip
            assert sorted(held) == sorted(SHIPPED)
            for name, path in held.items():
                assert archive.read(path) == (SOURCES / name).read_bytes()

    wheel = build("wheel", tmp_path / "device")
    check(wheel)
    wheel.unlink()
    with tarfile.open(build("sdist", tmp_path / "device")) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    shutil.rmtree(tmp_path / "systemd")
    check(build("wheel", unpacked))
