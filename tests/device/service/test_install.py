"""`edgekit service install`, `status` and `uninstall`, on a device in a folder."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result
from edgekit_device.config.file import load
from edgekit_device.config.settings import HistorySettings, Settings
from edgekit_device.service import environment, install, outdated
from edgekit_device.service.cli import service
from edgekit_device.service.layout import UNIT, Layout
from edgekit_device.service.state import ServiceState, observe
from edgekit_device.service.status import describe
from edgekit_device.service.store import note_rollback

from edgekit import __version__
from edgekit.errors import ServiceError
from tests.device.service.conftest import QUICK, Device, Model, fake_command, sha, two_runtimes

UNITS = Path(__file__).parents[3] / "systemd"
Run = Callable[..., Result]


@pytest.fixture
def run(device: Device, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `edgekit service …` on the device, from an environment in /opt/edgekit."""
    monkeypatch.setattr(environment, "_needed", lambda: [Path("/opt/edgekit")])
    monkeypatch.setattr(environment, "command", lambda _layout: environment.COMMAND)

    def run(*arguments: str | Path) -> Result:
        return CliRunner().invoke(service, [*map(str, arguments)], obj=device.layout)

    return run


# As `etc/group` has it; files can be given to it by root alone.
CONFIG_GROUP = 990 if os.geteuid() == 0 else os.getegid()


def _access(path: Path) -> tuple[int, int]:
    """Permissions and group of a file."""
    status = path.stat()
    return status.st_mode & 0o777, status.st_gid


def _tree(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def test_it_installs_starts_and_says_what_it_sees(run: Run, device: Device, model: Model) -> None:
    done = run("install", "--model", model("a"), "--source", "test:")
    assert done.exit_code == 0, done.output
    layout = device.layout
    assert layout.unit.read_bytes() == (UNITS / "edgekit.service").read_bytes()
    assert layout.rules.read_bytes() == (UNITS / "edgekit.rules").read_bytes()
    assert layout.sysusers.read_bytes() == (UNITS / "edgekit.sysusers").read_bytes()
    assert not layout.drop_in(UNIT).exists()
    settings = load(layout.config, {})
    assert (settings.source, settings.model) == ("test:", Path("/var/lib/edgekit/model.tflite"))
    assert sha(layout.state / "model.tflite") == sha(model("a"))
    assert device.calls == [
        "daemon-reload", "enable edgekit.service",
        "reset-failed edgekit.service", "restart edgekit.service",
    ]  # fmt: skip
    for path in (layout.unit, layout.state / "model.tflite"):
        assert path.stat().st_mode & 0o777 == 0o644
    assert _access(layout.config) == (0o640, CONFIG_GROUP)
    assert layout.written_config.stat().st_mode & 0o777 == 0o600
    for folder in (layout.state, layout.config.parent, layout.state / "models"):
        assert folder.stat().st_mode & 0o777 == 0o755
    assert "service  running" in done.output
    assert f"model    {sha(model('a'))[:12]}" in done.output
    assert "control  off\n" in done.output


def test_a_second_time_changes_nothing(run: Run, device: Device, model: Model) -> None:
    arguments = ("install", "--model", model("a"), "--source", "test:")
    run(*arguments)
    tree, calls = _tree(device.layout.root), device.calls
    done = run(*arguments)
    assert done.exit_code == 0
    assert "nothing was changed" in done.output
    assert "service  running" in done.output
    assert _tree(device.layout.root) == tree
    assert device.calls == calls


@pytest.fixture
def quick(tmp_path: Path) -> Path:
    """A configuration with which a model proves itself at once."""
    path = tmp_path / "quick.toml"
    path.write_text(QUICK)
    return path


def test_another_model_is_an_upgrade(run: Run, device: Device, model: Model, quick: Path) -> None:
    run("install", "--model", model("a"), "--config", quick)
    device.behaves(model("b"), "crashes")
    done = run("install", "--model", model("b"))
    assert "was rolled back" in str(done.exception)
    assert device.store.current == sha(model("a"))
    assert run("install", "--model", model("c")).exit_code == 0
    assert device.store.previous == sha(model("a"))


def test_what_was_measured_is_kept_and_holds_until_a_runtime_changes(
    run: Run, device: Device, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = two_runtimes(monkeypatch)
    arguments = ("install", "--source", "test:", "--model", model("a"))
    assert "runtime tflite: litert 2.1.0: 63.1 ms; tflite" in run(*arguments).output
    assert tried == ["litert", "tflite"]
    record = device.store.path(sha(model("a"))).with_suffix(".runtimes.json")
    assert oct(record.stat().st_mode & 0o777) == "0o644"
    before = record.read_bytes()
    assert "nothing was changed" in run(*arguments).output
    assert tried == ["litert", "tflite", "tflite"]
    # A worn card, an image on another board, a runtime of another version.
    for damage in (b"{", before.replace(b'"machine":"', b'"machine":"other'),
                   before.replace(b"2.1.0", b"2.0.0")):  # fmt: skip
        record.write_bytes(damage)
        device.set(calls=[])
        assert "keep what was measured" in run(*arguments).output
        assert record.read_bytes() == before
        assert "restart edgekit.service" in device.calls
    # Another model: measured once, not by the installation and the upgrade in it.
    del tried[:]
    assert run("install", "--model", model("b")).exit_code == 0
    assert tried == ["litert", "tflite", "tflite"]
    run("uninstall")
    assert not device.layout.state.exists()


def test_nothing_is_measured_for_an_image(
    run: Run, device: Device, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = two_runtimes(monkeypatch)
    root = device.layout.root.with_name("image")
    (root / "etc").mkdir(parents=True)
    shutil.copy(device.layout.root / "etc/group", root / "etc/group")
    run("install", "--root", root, "--source", "test:", "--model", model("a"))
    assert tried == ["auto"]


def test_a_paused_service_is_left_alone(run: Run, device: Device, model: Model) -> None:
    arguments = ("install", "--source", "test:", "--model")
    run(*arguments, model("a"))
    device.set(state="paused")
    run("status")
    tree, calls = _tree(device.layout.root), device.calls
    assert "the service is paused" in str(run(*arguments, model("b")).exception)
    assert "nothing was changed" in run(*arguments, model("a")).output
    assert _tree(device.layout.root) == tree
    assert device.calls == calls
    done = run("status")
    assert done.exit_code == 0
    # Since when, nobody knows.
    assert "service  paused\n" in done.output


@pytest.mark.parametrize("folder", ["/srv/history", "history", "/var/lib/edgekit-data",
                                    "/var/lib/edgekit/history", "/var/lib/edgekit-data/../x",
                                    "/var/lib/edgekit-database/history"])  # fmt: skip
def test_a_history_where_the_service_cannot_write_is_refused(
    run: Run, device: Device, model: Model, tmp_path: Path, folder: str
) -> None:
    config = tmp_path / "history.toml"
    config.write_text(f"{QUICK}history = {{folder = '{folder}'}}\n")
    done = run("install", "--model", model("a"), "--config", config)
    assert "the service cannot keep its history in" in str(done.exception)
    assert 'set folder = "/var/lib/edgekit-data/history" in [history]' in str(done.exception)
    assert _tree(device.layout.root).keys() == {"etc/group"}


@pytest.mark.parametrize("folder", ["/var/lib/edgekit-data/history",
                                    "/var/lib/private/edgekit-data/history"])  # fmt: skip
def test_a_history_where_it_can_is_fine(folder: str) -> None:
    environment.check_history(Settings(history=HistorySettings(folder=Path(folder))))


def test_the_status_says_what_is_kept_and_who_may_control_it(running: Device) -> None:
    running.layout.config.write_text(
        f"{QUICK}history = {{folder = '/var/lib/edgekit-data/history', megabytes = 20}}\n"
        "control = {http = true, mqtt = true}\n"
        "http = {listen = '127.0.0.1:80'}\nmqtt = {host = '::1', user = 'u'}\n"
    )
    history = running.layout.data / "history"
    history.mkdir(parents=True)
    (history / "events.db").write_bytes(bytes(3_000_000))
    lines = list(describe(running.layout, observe(running.layout)))
    assert "history  /var/lib/edgekit-data/history, 3 of 20 MB" in lines
    assert "control  over HTTP and MQTT" in lines


def test_what_the_service_has_seen_outlives_it(
    run: Run, device: Device, model: Model, quick: Path
) -> None:
    layout = device.layout
    layout.private_data.mkdir(parents=True)
    layout.data.symlink_to("private/edgekit-data")
    run("install", "--model", model("a"), "--config", quick)
    seen = layout.private_data / "history/events.db"
    seen.parent.mkdir()
    seen.write_text("seen")
    # The account may have left this there; nobody follows it.
    (layout.private_data / "link").symlink_to(layout.root / "etc")
    assert "with what the service has seen; --purge removes it" in run("uninstall").output
    assert seen.read_text() == "seen"
    assert "and all in it" in run("uninstall", "--purge").output
    assert not layout.data.is_symlink()
    assert not layout.private_data.exists()
    assert (layout.root / "etc/group").exists()


def test_a_service_that_does_not_start_is_an_error(run: Run, device: Device, model: Model) -> None:
    device.behaves(model("a"), "crashes")
    done = run("install", "--model", model("a"))
    assert "is installed, but does not start (killed by SIGSEGV)" in str(done.exception)


def test_a_dry_run_prints_all_and_does_nothing(run: Run, device: Device, model: Model) -> None:
    before = _tree(device.layout.root)
    done = run("install", "--model", model("a"), "--source", "test:", "--dry-run")
    assert done.exit_code == 0
    assert _tree(device.layout.root) == before
    assert device.calls == []
    layout = device.layout
    for path in (layout.unit, layout.rules, layout.sysusers, layout.config):
        assert f"write {path}\n" in done.output
    for line in ("Type=notify", 'source = "test:"', "g plugdev -"):
        assert f"    {line}\n" in done.output
    assert "run systemctl daemon-reload\nrun systemctl enable edgekit.service\n" in done.output
    assert "start the service" in done.output


def test_a_service_that_is_ending_is_started_again(run: Run, device: Device, model: Model) -> None:
    arguments = ("install", "--model", model("a"), "--source", "test:")
    run(*arguments)
    # It says that it runs for as long as it lives.
    device.set(active="deactivating", sub="stop-sigterm")
    assert run("status").exit_code == 1
    run(*arguments)
    assert device.calls[-1] == "restart edgekit.service"
    assert run("status").exit_code == 0


def test_a_new_unit_is_a_restart_and_no_reload(
    run: Run, device: Device, model: Model, quick: Path
) -> None:
    run("install", "--model", model("a"), "--source", "test:")
    device.layout.unit.write_text("an older one")
    before = len(device.calls)
    assert run("install", "--model", model("a"), "--config", quick).exit_code == 0
    assert device.calls[before:] == [
        "daemon-reload", "reset-failed edgekit.service", "restart edgekit.service",
    ]  # fmt: skip


def test_a_new_configuration_comes_with_a_new_model(
    run: Run, device: Device, model: Model, quick: Path
) -> None:
    run("install", "--model", model("a"), "--source", "test:")
    pid = device.state["pid"]
    assert run("install", "--model", model("b"), "--config", quick).exit_code == 0
    assert device.state["loaded"] == sha(model("b"))
    assert device.state["follows"] == sha(quick) == sha(device.layout.config)
    # The one does not wait for the other's predecessor.
    assert device.state["pid"] != pid and not any("reload " in call for call in device.calls)


def test_a_new_configuration_stays_where_the_model_beside_it_is_taken_back(
    run: Run, device: Device, model: Model, quick: Path
) -> None:
    run("install", "--model", model("a"), "--source", "test:")
    device.behaves(model("b"), "crashes")
    done = run("install", "--model", model("b"), "--config", quick)
    assert "was rolled back" in str(done.exception) and "runs again" in str(done.exception)
    assert device.state["loaded"] == sha(model("a"))
    assert device.state["follows"] == sha(quick)


EARLIER = "the daemon still runs edgekit 0.0.9 (commit abababababab), where "


class TestAfterPipBroughtAnother:
    """The daemon goes on with the code that it has loaded."""

    @pytest.fixture
    def old(self, run: Run, device: Device, model: Model, quick: Path) -> Device:
        run("install", "--model", model("a"), "--config", quick)
        device.set(version="0.0.9", commit="ab" * 20)
        return device

    def test_the_status_says_so_and_how_to_mend_it(self, run: Run, old: Device) -> None:
        done = run("status")
        assert done.exit_code == 0
        line = next(line for line in done.output.splitlines() if line.startswith("problem"))
        assert line.startswith(f"problem  {EARLIER}{__version__} (")
        assert line.endswith(
            "is installed; restart it with: sudo edgekit service install --model "
            "/var/lib/edgekit/model.tflite"
        )

    def test_install_restarts_it_and_says_why(self, run: Run, old: Device, model: Model) -> None:
        tree, before = _tree(old.layout.root), len(old.calls)
        done = run("install", "--model", model("a"))
        assert EARLIER in done.output
        assert old.calls[before:] == ["reset-failed edgekit.service", "restart edgekit.service"]
        assert "problem" not in done.output
        assert _tree(old.layout.root).keys() == tree.keys()
        assert "nothing was changed" in run("install", "--model", model("a")).output

    def test_a_dry_run_would(self, run: Run, old: Device, model: Model) -> None:
        before = old.calls
        done = run("install", "--model", model("a"), "--dry-run")
        assert EARLIER in done.output and "start the service" in done.output
        assert old.calls == before

    def test_another_commit_of_the_same_version_is_another(
        self, run: Run, old: Device, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        old.set(version=__version__)
        run("status")
        assert f"{__version__} (commit abababababab), where {__version__} (" in run("status").output
        monkeypatch.setattr(outdated, "installed_commit", lambda: "ab" * 20)
        assert "problem" not in run("status").output

    def test_changes_that_nobody_committed_are_told(self, run: Run, old: Device) -> None:
        old.set(version=__version__, commit=f"{'ab' * 20}+{'cd' * 20}-changed")
        run("status")
        assert "(commit abababababab+cdcdcdcdcdcd-changed), where" in run("status").output

    def test_another_build_of_the_same_commit_is_another(
        self, run: Run, old: Device, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(outdated, "installed_commit", lambda: "ab" * 20)
        monkeypatch.setattr(outdated, "installed_code", lambda: "01")
        old.set(version=__version__, code="02")
        run("status")
        line = next(line for line in run("status").output.splitlines() if "problem" in line)
        assert line.startswith(
            f"problem  the daemon still runs another build of edgekit {__version__} (commit "
            "abababababab) than the one that is installed; restart it with: "
        )
        # One of before says nothing of its files, and one that is the same all.
        for same in ("", "01"):
            old.set(code=same)
            run("status")
            assert "problem" not in run("status").output

    def test_programs_are_told(self, run: Run, old: Device) -> None:
        said = json.loads(run("status", "--json").output)
        assert said["outdated"].keys() == {"code"}
        assert said["outdated"]["code"].startswith(EARLIER)
        run("upgrade", old.layout.state / "model.tflite")
        run("install", "--model", old.layout.state / "model.tflite")
        assert "outdated" not in json.loads(run("status", "--json").output)

    def test_a_new_model_is_tried_with_the_new_code(
        self, run: Run, old: Device, model: Model
    ) -> None:
        pid = old.state["pid"]
        done = run("upgrade", model("b"))
        assert done.exit_code == 0 and EARLIER in done.output
        assert old.state["pid"] != pid and old.state["loaded"] == sha(model("b"))
        assert "problem" not in run("status").output

    def test_a_new_configuration_is_read_by_the_new_code(
        self, run: Run, old: Device, tmp_path: Path
    ) -> None:
        config = tmp_path / "new.toml"
        config.write_text(QUICK + "threads = 1\n")
        done = run("configure", config)
        assert done.exit_code == 0 and EARLIER in done.output
        assert old.calls[-1] == "restart edgekit.service"
        assert old.state["follows"] == sha(config)

    def test_one_that_the_new_code_does_not_do_well_with_is_taken_back(
        self, run: Run, old: Device, tmp_path: Path
    ) -> None:
        config, before = tmp_path / "new.toml", sha(old.layout.config)
        config.write_text(QUICK + "threads = 1\n")
        old.behaves(config, "away")
        done = run("configure", config)
        assert "a problem that it had not: mqtt: connection refused" in str(done.exception)
        assert sha(old.layout.config) == old.state["follows"] == before

    def test_the_edgekit_of_another_environment_says_nothing_of_it(
        self, run: Run, old: Device, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(environment, "_here", lambda: Path("/srv/venv/bin/edgekit"))
        assert "problem" not in run("status").output

    def test_what_an_earlier_daemon_says_steers_no_terminal(self, run: Run, old: Device) -> None:
        old.set(version="0\x1b[31m", commit="\x1b]0;x")
        assert "\x1b" not in run("status").output


def _behind(device: Device) -> str:
    """What is said of a configuration that nobody read."""
    return f"the daemon follows an earlier configuration than the one in {device.layout.config}"


@pytest.mark.parametrize("command", ["install", "configure"])
def test_a_password_that_is_brought_is_remarked_on_and_not_shown(
    run: Run, device: Device, model: Model, quick: Path, tmp_path: Path, command: str
) -> None:
    run("install", "--model", model("a"), "--config", quick)
    config = tmp_path / "new.toml"
    config.write_text(QUICK.replace("test:", "rtsp://pi:hunter2@10.0.0.7/live"))
    words = {"install": ("--model", model("a"), "--config", config), "configure": (config,)}
    done = run(command, *words[command])
    assert done.exit_code == 0, done.exception
    assert done.output.startswith("`source` holds a password: whoever may read")
    assert "hunter2" not in done.output
    # One that is there already is no news.
    assert "`source`" not in run("install", "--model", model("a")).output


class TestConfigurationThatNobodyRead:
    """An install wrote it, and ended before it told the daemon."""

    @pytest.fixture
    def cut_short(self, run: Run, device: Device, model: Model, quick: Path) -> Device:
        run("install", "--model", model("a"), "--config", quick)
        device.layout.config.write_text(QUICK + "threads = 1\n")
        return device

    def test_the_status_says_so_and_how_to_mend_it(self, run: Run, cut_short: Device) -> None:
        done = run("status")
        assert done.exit_code == 0
        (line,) = (line for line in done.output.splitlines() if line.startswith("problem"))
        remedy = "let it read that with: sudo systemctl reload edgekit"
        assert line == f"problem  {_behind(cut_short)}; {remedy}"
        said = json.loads(run("status", "--json").output)
        assert said["outdated"] == {"configuration": _behind(cut_short)}

    def test_the_next_install_has_it_read(self, run: Run, cut_short: Device, model: Model) -> None:
        before = len(cut_short.calls)
        done = run("install", "--model", model("a"))
        assert _behind(cut_short) in done.output
        assert cut_short.calls[before:] == ["reload edgekit.service"]
        assert "problem" not in done.output
        assert cut_short.state["follows"] == sha(cut_short.layout.config)
        assert "nothing was changed" in run("install", "--model", model("a")).output

    def test_so_has_an_install_that_brings_another_model(
        self, run: Run, cut_short: Device, model: Model
    ) -> None:
        done = run("install", "--model", model("b"))
        assert done.exit_code == 0, done.exception
        assert f"{_behind(cut_short)}\n" in done.output and "problem" not in done.output
        assert cut_short.state["follows"] == sha(cut_short.layout.config)
        assert cut_short.state["loaded"] == sha(model("b"))

    def test_a_dry_run_would(self, run: Run, cut_short: Device, model: Model) -> None:
        before = cut_short.calls
        done = run("install", "--model", model("a"), "--dry-run")
        assert _behind(cut_short) in done.output and "systemctl reload" in done.output
        assert cut_short.calls == before

    def test_bringing_the_same_has_it_read(
        self, run: Run, cut_short: Device, tmp_path: Path
    ) -> None:
        config = tmp_path / "same.toml"
        config.write_bytes(cut_short.layout.config.read_bytes())
        done = run("configure", config)
        assert done.exit_code == 0 and _behind(cut_short) in done.output
        assert "is in place already, and works" in done.output
        assert cut_short.state["follows"] == sha(config)
        assert "problem" not in run("status").output

    def test_a_new_model_leaves_it_so_and_says_so(
        self, run: Run, cut_short: Device, model: Model
    ) -> None:
        follows, pid = cut_short.state["follows"], cut_short.state["pid"]
        done = run("upgrade", model("b"))
        assert done.exit_code == 0
        assert f"{_behind(cut_short)}; let it read that with: " in done.output
        assert (cut_short.state["follows"], cut_short.state["pid"]) == (follows, pid)

    def test_what_an_install_writes_itself_is_no_news(
        self, run: Run, cut_short: Device, model: Model, tmp_path: Path
    ) -> None:
        config = tmp_path / "new.toml"
        config.write_text(QUICK + "threads = 2\n")
        done = run("install", "--model", model("a"), "--config", config, "--replace-config")
        assert "earlier configuration" not in done.output
        assert cut_short.state["follows"] == sha(config)

    def test_a_busy_daemon_is_waited_for(self, run: Run, cut_short: Device, model: Model) -> None:
        """What the installation says at its end is how it is then."""
        cut_short.behaves(cut_short.layout.config, "late")
        assert "problem" not in run("install", "--model", model("a")).output

    def test_one_that_reads_nothing_is_not_waited_for_without_an_end(
        self, run: Run, cut_short: Device, model: Model, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(install, "_READ_WITHIN", 0.5)
        cut_short.behaves(cut_short.layout.config, "unread")
        done = run("install", "--model", model("a"))
        assert done.exit_code == 0 and f"problem  {_behind(cut_short)}; " in done.output

    def test_one_that_the_daemon_refuses_is_told_of_as_well(
        self, run: Run, cut_short: Device, model: Model
    ) -> None:
        cut_short.behaves(cut_short.layout.config, "refused")
        done = run("install", "--model", model("a"))
        assert "problem  configuration: no good; going on with the one before" in done.output
        assert f"problem  {_behind(cut_short)}; " in done.output

    @pytest.mark.parametrize("read", [None, {"path": "/srv/mine.toml"}])
    def test_a_daemon_that_says_not_or_reads_another_file_is_left_alone(
        self, run: Run, cut_short: Device, read: dict[str, Any] | None
    ) -> None:
        """One of before, and one whose unit somebody has edited."""
        cut_short.set(read=read and cut_short.state["read"] | read)
        run("status")
        assert "problem" not in run("status").output

    def test_one_that_is_gone_is_told(self, run: Run, cut_short: Device) -> None:
        cut_short.layout.config.unlink()
        assert _behind(cut_short) in run("status").output


def test_a_drop_in_says_whose_edgekit_the_unit_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = Layout(tmp_path)
    assert not environment.starts_this(layout)
    here = Path("/srv/my venv/bin/edgekit")
    monkeypatch.setattr(environment, "_here", lambda: here)
    monkeypatch.setattr(environment, "command", lambda _layout: here)
    for path in (layout.unit, layout.drop_in(UNIT)):
        path.parent.mkdir(parents=True)
    layout.unit.write_bytes((UNITS / UNIT).read_bytes())
    assert not environment.starts_this(layout)
    layout.drop_in(UNIT).write_bytes(environment.drop_in(layout, UNIT) or b"")
    assert environment.starts_this(layout)


def test_no_start(run: Run, device: Device, model: Model) -> None:
    assert run("install", "--model", model("a"), "--no-start").exit_code == 0
    assert device.calls == ["daemon-reload", "enable edgekit.service"]
    assert device.state["active"] == "inactive"


def test_an_edited_configuration_is_kept(
    run: Run, device: Device, model: Model, tmp_path: Path
) -> None:
    ours, config = tmp_path / "ours.toml", device.layout.config
    beside = config.with_name("edgekit.toml.new")
    ours.write_text("source = 'test:'\n")
    run("install", "--model", model("a"), "--config", ours)

    # Untouched, it gives way to a new one, and the service reads that.
    ours.write_text("source = 'test:'\ntop-k = 1\n")
    run("install", "--model", model("a"), "--config", ours)
    assert load(config, {}).top_k == 1
    assert device.calls[-1] == "reload edgekit.service"

    config.write_text("source = 'test:'\ntop-k = 2\n")
    ours.write_text("source = 'test:'\ntop-k = 3\n")
    done = run("install", "--model", model("a"), "--config", ours)
    assert done.exit_code == 0
    assert (load(config, {}).top_k, load(beside, {}).top_k) == (2, 3)
    assert f"keep {config}, which was edited; compare it with {beside}" in done.output

    # Neither is it touched without one, and uninstall leaves it.
    run("install", "--model", model("a"))
    done = run("uninstall")
    assert f"keep {config}, which was edited" in done.output
    assert load(config, {}).top_k == 2
    assert not beside.exists()
    run("install", "--model", model("a"))
    assert load(config, {}).top_k == 2
    assert run("uninstall", "--purge").exit_code == 0
    assert not config.parent.exists()


def test_an_edited_configuration_is_replaced_where_that_is_asked_for(
    run: Run, device: Device, model: Model, tmp_path: Path
) -> None:
    ours, config = tmp_path / "ours.toml", device.layout.config
    ours.write_text("source = 'test:'\n")
    run("install", "--model", model("a"), "--config", ours)
    config.write_text("source = 'test:'\ntop-k = 2\n")
    ours.write_text("source = 'test:'\ntop-k = 3\n")
    run("install", "--model", model("a"), "--config", ours)
    done = run("install", "--model", model("a"), "--config", ours, "--replace-config")
    assert done.exit_code == 0, done.output
    assert config.read_bytes() == device.layout.written_config.read_bytes() == ours.read_bytes()
    assert not config.with_name("edgekit.toml.new").exists()
    assert device.calls[-1] == "reload edgekit.service"
    done = run("install", "--model", model("a"), "--config", ours, "--replace-config")
    assert "nothing was changed" in done.output

    done = run("install", "--model", model("a"), "--replace-config")
    assert done.exit_code == 2
    assert "--replace-config needs --config FILE" in done.output


def test_a_wrong_configuration_changes_nothing(
    run: Run, device: Device, model: Model, tmp_path: Path
) -> None:
    config = tmp_path / "wrong.toml"
    before = _tree(device.layout.root)
    for text, message in (
        ("sauce = 1\n", "did you mean source?"),
        ("source = '/home/pi/clip.mp4'\n", "the service will not see /home/pi/clip.mp4"),
        ("[http]\ntoken-file = '/tmp/token'\n", "its sandbox hides homes and /tmp"),
    ):
        config.write_text(text)
        done = run("install", "--model", model("a"), "--config", config)
        assert message in str(done.exception)
    done = run("install", "--model", model("a"), "--config", config, "--source", "test:")
    assert "--source is for a configuration made from scratch" in str(done.exception)
    assert _tree(device.layout.root) == before


@pytest.mark.parametrize("place", ["etc/edgekit/token", "etc/credstore/edgekit.http-token"])
def test_a_token_of_an_earlier_version_is_told_before_anything_changes(
    run: Run, device: Device, model: Model, tmp_path: Path, place: str
) -> None:
    config = tmp_path / "listens.toml"
    named = "" if "credstore" in place else f"token-file = '/{place}'\n"
    config.write_text(f"source = 'test:'\n[http]\nlisten = '0.0.0.0:8080'\n{named}")
    token = device.layout.root / place
    token.parent.mkdir(parents=True, exist_ok=True)
    token.write_text("eighteen letters!!\n")
    before = _tree(device.layout.root)
    done = run("install", "--model", model("a"), "--config", config)
    assert f"the http-token in {token} must be 20 ASCII characters or more" in str(done.exception)
    assert _tree(device.layout.root) == before
    token.write_text("twenty letters, see!\n")
    assert run("install", "--model", model("a"), "--config", config).exit_code == 0


def test_a_bad_model_changes_nothing(run: Run, device: Device, tmp_path: Path) -> None:
    before = _tree(device.layout.root)
    bad = tmp_path / "bad.tflite"
    bad.write_text("no model")
    assert "convert it again" in str(run("install", "--model", bad).exception)
    assert _tree(device.layout.root) == before


def test_a_model_for_an_edge_tpu_gets_one(run: Run, device: Device, tmp_path: Path) -> None:
    from tests.tiny import tiny_model

    compiled = tiny_model(tmp_path / "compiled.tflite", compiled=True)
    assert run("install", "--model", compiled, "--no-start").exit_code == 0
    assert load(device.layout.config, {}).delegate == "edgetpu"


def test_a_configuration_that_all_could_read_is_made_private(
    run: Run, device: Device, model: Model
) -> None:
    """What an earlier edgekit installed, and what the user has edited since."""
    run("install", "--model", model("a"), "--source", "test:")
    config, copy = device.layout.config, device.layout.written_config
    for text in (config.read_text(), "source = 'rtsp://admin:hunter2@camera/live'\n"):
        config.write_text(text)
        for path in (config, copy):
            path.chmod(0o644)
            os.chown(path, -1, os.getegid())
        pid = device.state["pid"]
        dry = run("install", "--model", model("a"), "--dry-run").output
        assert f"change the permissions of {config} to 0640" in dry
        assert config.stat().st_mode & 0o777 == 0o644
        assert run("install", "--model", model("a")).exit_code == 0
        assert _access(config) == (0o640, CONFIG_GROUP)
        assert copy.stat().st_mode & 0o777 == 0o600
        assert config.read_text() == text
        assert device.state["pid"] == pid
        assert "nothing was changed" in run("install", "--model", model("a")).output


def test_a_configuration_that_is_a_link_is_left_alone(
    run: Run, device: Device, model: Model, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere.toml"
    elsewhere.write_text("source = 'test:'\n")
    elsewhere.chmod(0o644)
    device.layout.config.parent.mkdir(parents=True)
    device.layout.config.symlink_to(elsewhere)
    done = run("install", "--model", model("a"))
    assert done.exit_code == 0
    assert f"{device.layout.config} is a link" in done.output
    assert elsewhere.stat().st_mode & 0o777 == 0o644


def test_nothing_that_is_printed_holds_a_secret(
    run: Run, device: Device, model: Model, tmp_path: Path
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(
        "# password: hunter2\nsource = 'rtsp://admin:hunter2@camera/live'\n"
        "[webhook]\nurl = 'https://hooks.example/hunter2'\n"
    )
    done = run("install", "--model", model("a"), "--config", config, "--dry-run")
    assert done.exit_code == 0, done.output
    assert 'source = "rtsp://***@camera/live"' in done.output
    assert "hunter2" not in done.output
    done = run("install", "--model", model("a"), "--source", "rtsp://a:hunter2@camera/")
    assert done.exit_code == 0
    assert "everybody on this machine can see the password" in done.stderr
    assert "hunter2" not in done.output
    assert "hunter2" in device.layout.config.read_text()


def test_uninstall_leaves_nothing(run: Run, device: Device, model: Model, quick: Path) -> None:
    before = _tree(device.layout.root)
    run("install", "--model", model("a"), "--config", quick)
    run("upgrade", model("b"))
    note_rollback(device.layout.rolled_back_configs)
    done = run("uninstall")
    assert done.exit_code == 0, done.output
    before["etc/group"] = before["etc/group"].replace(b"edgekit-config:x:990:\n", b"")
    assert _tree(device.layout.root) == before
    assert not device.layout.state.exists()
    assert not device.layout.config.parent.exists()
    assert "disable --now edgekit.service" in device.calls
    assert "nothing was changed" in run("uninstall").output


def test_uninstall_keeps_what_is_not_ours(run: Run, device: Device, model: Model) -> None:
    run("install", "--model", model("a"), "--source", "test:")
    clip = device.layout.state / "clip.mp4"
    override = device.layout.drop_in(UNIT).with_name("override.conf")
    override.parent.mkdir()
    for path in (clip, override):
        path.write_text("")
    output = run("uninstall").output
    assert clip.exists()
    assert override.exists()
    assert f"keep {device.layout.state}: clip.mp4 is not ours" in output


def test_missing_groups_are_made(run: Run, device: Device, model: Model, tmp_path: Path) -> None:
    groups = device.layout.root / "etc/group"
    groups.write_text("video:x:44:\n")
    said = tmp_path / "said"
    program = f'#!/bin/sh\necho "$@" > {said}\necho edgekit-config:x:990: >> {groups}\n'
    fake_command(tmp_path / "bin", "systemd-sysusers", program)
    run("install", "--model", model("a"), "--no-start")
    assert said.read_text() == "edgekit.conf\n"


def test_an_image_is_prepared_offline(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the real systemctl and systemd-sysusers."""
    if not (shutil.which("systemctl") and shutil.which("systemd-sysusers")):
        pytest.skip("needs systemd's programs (apt install systemd)")
    image = tmp_path / "image"
    (image / "etc").mkdir(parents=True)
    arguments = ["install", "--model", str(model("a")), "--source", "test:", "--root", str(image)]
    done = CliRunner().invoke(service, arguments)
    assert done.exit_code == 0, (done.output, done.exception)
    wants = image / "etc/systemd/system/multi-user.target.wants/edgekit.service"
    assert wants.is_symlink()
    assert sha(image / "var/lib/edgekit/model.tflite") == sha(model("a"))
    assert "plugdev:" in (image / "etc/group").read_text()
    assert "nothing was changed" in CliRunner().invoke(service, arguments).output
    arguments[2] = str(model("b"))
    assert CliRunner().invoke(service, arguments).exit_code == 0
    assert sha(image / "var/lib/edgekit/model.tflite") == sha(model("b"))
    done = CliRunner().invoke(service, ["uninstall", "--root", str(image)])
    assert done.exit_code == 0, (done.output, done.exception)
    left = {path.name for path in image.rglob("*") if not path.is_dir()}
    assert left <= {"group", "gshadow", "passwd", "shadow", "group-", "gshadow-", ".pwd.lock"}


def test_an_image_whose_links_lead_out_of_it_is_refused(model: Model, tmp_path: Path) -> None:
    image, elsewhere = tmp_path / "image", tmp_path / "elsewhere"
    for folder in (image / "var", elsewhere):
        folder.mkdir(parents=True)
    (image / "var/lib").symlink_to(elsewhere)
    arguments = ["install", "--model", str(model("a")), "--root", str(image)]
    done = CliRunner().invoke(service, arguments)
    assert "is a link that leads out of the image" in str(done.exception)
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize(
    "arguments", [("install", "--model", "FILE"), ("upgrade", "FILE"), ("uninstall",)]
)
def test_it_needs_root(
    arguments: tuple[str, ...], model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    words = [str(model("a")) if word == "FILE" else word for word in arguments]
    done = CliRunner().invoke(service, words)
    assert isinstance(done.exception, ServiceError)
    assert f"needs root: sudo {sys.prefix}/bin/edgekit" in str(done.exception)


def test_the_command_to_repeat_as_root_may_be_copied(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(sys, "argv", ["edgekit", "service", "upgrade", "my $(models)/a b.tflite"])
    done = CliRunner().invoke(service, ["upgrade", str(model("a"))])
    assert str(done.exception).endswith("bin/edgekit service upgrade 'my $(models)/a b.tflite'")


def test_an_environment_elsewhere_is_named_in_a_drop_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    elsewhere = Path("/srv/my venv/bin/edgekit")
    monkeypatch.setattr(environment, "command", lambda _layout: elsewhere)
    text = (environment.drop_in(Layout(tmp_path), UNIT) or b"").decode()
    assert text.count("ExecStart=\n") == 1
    assert 'ExecStart="/srv/my venv/bin/edgekit" run --config' in text
    assert 'ExecStartPre=-+"/srv/my venv/bin/edgekit" service before-start' in text
    # Taking a key back takes back all of its lines, those without the command as well.
    reloads = [line for line in text.splitlines() if line.startswith("ExecReload=")]
    assert reloads == [
        "ExecReload=",
        'ExecReload=-+"/srv/my venv/bin/edgekit" service before-reload',
        "ExecReload=/bin/sh -c 'kill -HUP $MAINPID'",
    ]
    assert "/opt/edgekit" not in text


@pytest.mark.parametrize("folder", ["/tmp/venv", "/home/pi/venv", "/root/venv", "/var/tmp/x"])
def test_an_environment_that_a_service_should_not_run_from_is_refused(
    folder: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What lies in a home is its owner's to change, and the unit runs it as root."""
    fake_command(tmp_path / "bin", "edgekit", "")
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(environment, "_needed", lambda: [Path("/usr"), Path(folder)])
    with pytest.raises(ServiceError, match=f"{folder}, which no service .* in /opt/edgekit"):
        environment.command(Layout())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_an_environment_that_others_can_change_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Such as an /opt/edgekit that was given to a user, whole or in part."""
    tmp_path = tmp_path / "venv"
    tmp_path.mkdir()
    fake_command(tmp_path / "bin", "edgekit", "")
    module = tmp_path / "lib" / "module.py"
    module.parent.mkdir()
    module.touch()
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(environment, "_HIDDEN", ())
    monkeypatch.setattr(environment, "_needed", lambda: [tmp_path])
    real = environment._is_open
    # /tmp itself is everybody's.
    monkeypatch.setattr(
        environment, "_is_open", lambda path: path.is_relative_to(tmp_path) and real(path)
    )
    assert environment.command(Layout()) == tmp_path / "bin/edgekit"
    changes: tuple[Callable[[Path], None], ...] = (
        lambda path: os.chown(path, 1000, 0),
        lambda path: path.chmod(path.stat().st_mode | 0o002),
        lambda path: (os.chown(path, 0, 1000), path.chmod(0o775))[0],
    )
    for change in changes:
        for path in (module, module.parent, tmp_path / "bin/edgekit", tmp_path):
            mode = path.stat().st_mode
            change(path)
            with pytest.raises(ServiceError, match=f"^{path} can be changed by others than root"):
                environment.command(Layout())
            os.chown(path, 0, 0)
            path.chmod(mode)
    (tmp_path / "lib" / "link").symlink_to("module.py")
    os.chown(tmp_path / "lib" / "link", 1000, 1000, follow_symlinks=False)
    with pytest.raises(ServiceError, match="link can be changed"):
        environment.command(Layout())
    # What a link of root's leads to counts, wherever it lies.
    os.chown(tmp_path / "lib" / "link", 0, 0, follow_symlinks=False)
    theirs = tmp_path.with_name("theirs.py")
    theirs.touch()
    os.chown(theirs, 1000, 1000)
    (tmp_path / "lib" / "other").symlink_to(theirs)
    monkeypatch.setattr(
        environment, "_is_open", lambda path: path.is_relative_to(tmp_path.parent) and real(path)
    )
    with pytest.raises(ServiceError, match=f"{theirs} can be changed"):
        environment.command(Layout())


def test_the_status_tells_what_matters(run: Run, device: Device, model: Model) -> None:
    run("install", "--model", model("a"), "--source", "test:")
    config = device.layout.config
    config.write_text("source = 'test:'\n[http]\nlisten = '127.0.0.1:8080'\n")
    device.set(state="degraded", problems={"camera": "gone"}, restarts=2, read=None)
    done = run("status")
    assert done.exit_code == 0
    assert "service  degraded, since Mon 2026-01-05" in done.output
    assert "rate     5 fps\nproblem  camera: gone\nrestarts 2\n" in done.output
    assert "page     http://127.0.0.1:8080/, on this machine alone" in done.output
    device.store.begin(device.store.add(model("b").read_bytes()))
    assert "not yet confirmed after an upgrade" in run("status").output
    device.set(active="failed", sub="failed", pid=0, result="exit-code", exit=10)
    done = run("status")
    assert done.exit_code == 1
    assert "service  failed: exit code 10, the camera did not come back" in done.output


def test_the_status_tells_drift(run: Run, device: Device, model: Model) -> None:
    run("install", "--model", model("a"), "--source", "test:")
    assert "drift" not in run("status").output
    drift = {
        "since": "2026-01-05T09:00:00Z", "advice": "clean the lens",
        "signs": [{"figure": "sharpness", "text": "more blurred\n\x1b[2Jthan ever"}],
    }  # fmt: skip
    device.set(drift=drift)
    done = run("status")
    assert done.exit_code == 0
    assert "service  running, since " in done.output
    line = "drift    more blurred [2Jthan ever, since 2026-01-05T09:00:00Z: clean the lens\n"
    assert line in done.output
    done = run("status", "--json")
    assert done.exit_code == 0
    assert json.loads(done.output)["daemon"]["health"]["drift"] == drift


def test_the_status_as_json(run: Run, device: Device, model: Model) -> None:
    run("install", "--model", model("a"), "--source", "test:")
    device.set(state="degraded", problems={"camera": "gone"})
    done = run("status", "--json")
    assert done.exit_code == 0
    state = msgspec.json.decode(done.output, type=ServiceState)
    assert (state.unit.active, state.unit.pid) == ("active", device.state["pid"])
    assert state.daemon is not None
    assert state.daemon.health.model_sha256 == sha(model("a"))
    assert state.daemon.problems == {"camera": "gone"}
    device.set(active="failed", sub="failed", pid=0, result="exit-code", exit=10)
    done = run("status", "--json")
    assert done.exit_code == 1
    assert "daemon" not in json.loads(done.output)


def test_no_service_has_a_status_too(run: Run) -> None:
    done = run("status")
    assert done.exit_code == 1
    assert "not installed; edgekit service install --model FILE" in done.output


def test_logs_are_the_journal(tmp_path: Path) -> None:
    fake_command(tmp_path / "bin", "journalctl", '#!/bin/sh\necho "$@"\n')
    program = "from edgekit_device.service.cli import service; service()"
    done = subprocess.run(
        [sys.executable, "-c", program, "logs", "--lines", "5"],
        env=os.environ | {"PATH": str(tmp_path / "bin")}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    units = "--unit edgekit.service --unit edgekit-control.service"
    assert done.stdout == f"{units} --lines 5 --no-hostname --no-pager\n"


def test_the_source_is_what_the_device_has(monkeypatch: pytest.MonkeyPatch, model: Model) -> None:
    layout = Layout(Path("/nowhere"))
    for found, source in ((object(), "picamera2:"), (None, "v4l2:/dev/video0")):
        monkeypatch.setattr(install, "find_spec", lambda _name, found=found: found)
        assert install._choose(layout, model("a"), None, None).settings.source == source
