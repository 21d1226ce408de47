"""`edgekit service configure`: another configuration, and the way back."""

import contextlib
import hashlib
import io
import os
import stat
import sys
from pathlib import Path

import pytest
from edgekit_device.installed import CONFIG_ROLLED_BACK, count_rollbacks
from edgekit_device.service import configure as module
from edgekit_device.service import systemctl
from edgekit_device.service.configure import configure, settle
from edgekit_device.service.durable import locked
from edgekit_device.service.hooks import before_start
from edgekit_device.service.layout import Layout

from edgekit.errors import ConfigurationError, EdgekitError, ServiceError, UpgradeError
from tests.device.service.conftest import QUICK, Device
from tests.device.service.power import count_steps, cut

NEW = QUICK + "top-k = 2\n"


@pytest.fixture
def new(tmp_path: Path) -> Path:
    """Another configuration."""
    path = tmp_path / "new.toml"
    path.write_text(NEW)
    return path


def bring(device: Device, config: Path) -> str:
    """Bring a configuration; what was said last."""
    configure(device.layout, config, device.said.append)
    return device.said[-1]


def left(device: Device) -> dict[str, str]:
    """The files beside the configuration and of it among the models, and what is in them."""
    layout = device.layout
    files = [*layout.config.parent.iterdir(), *layout.state.glob("*.toml*")]
    return {str(path.relative_to(layout.root)): path.read_text() for path in files}


def same(device: Device) -> bool:
    """Whether all is as it was."""
    return left(device) == {"etc/edgekit/edgekit.toml": QUICK}


def test_the_service_follows_it_and_the_one_before_is_kept(running: Device, new: Path) -> None:
    said = bring(running, new)
    sha256 = hashlib.sha256(NEW.encode()).hexdigest()[:12]
    assert said.startswith(f"configuration {sha256} works; the one before is kept: ")
    assert left(running) == {
        "etc/edgekit/edgekit.toml": NEW,
        "etc/edgekit/edgekit.toml.previous": QUICK,
        "var/lib/edgekit/edgekit.toml": NEW,
    }
    assert running.calls == ["reload edgekit.service"]
    # It may hold passwords.
    layout = running.layout
    for path, mode in ((layout.config, 0o640), (layout.previous_config, 0o640),
                       (layout.written_config, 0o600)):  # fmt: skip
        assert stat.S_IMODE(path.stat().st_mode) == mode
        if os.geteuid() == 0:
            assert path.stat().st_gid == (990 if mode == 0o640 else 0)


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("refused", "configuration: no good; going on with the one before"),
        ("away", "the service has a problem that it had not: mqtt: connection refused"),
        ("stalls", "the service is stalled"),
        ("unread", "the service did not read it"),
        ("crashes", "the service ended with it ("),
        ("pauses", "the service was paused while it was tried"),
    ],
)
def test_one_that_the_service_does_not_do_well_with_is_taken_back(
    running: Device, new: Path, how: str, told: str
) -> None:
    running.behaves(new, how)
    with pytest.raises(UpgradeError, match=" was taken back: ") as failure:
        bring(running, new)
    assert told in str(failure.value)
    assert str(failure.value).endswith("the one before works again")
    assert same(running)
    # It is counted, for `/metrics`; and the service follows what is there again.
    assert count_rollbacks(running.layout.state, CONFIG_ROLLED_BACK) == 1
    assert count_rollbacks(running.layout.state) == 0
    assert running.state["state"] == "running"
    assert running.state["problems"] == {}


def test_a_problem_that_there_was_before_is_not_its_fault(running: Device, new: Path) -> None:
    running.set(problems={"mqtt": "no such host", "board": "under-voltage"})
    running.behaves(new, "away")
    assert "works" in bring(running, new)


def test_one_that_was_refused_before_is_no_excuse(running: Device, new: Path) -> None:
    running.set(problems={"configuration": "an earlier mistake"})
    running.behaves(new, "refused")
    with pytest.raises(UpgradeError, match="configuration: no good"):
        bring(running, new)


def test_a_service_that_is_down_because_of_its_configuration_is_started(
    running: Device, new: Path
) -> None:
    running.layout.config.write_text("no = 'such key'\n")
    running.set(active="failed", sub="failed", pid=0, result="exit-code", exit=2)
    assert "works" in bring(running, new)
    assert "restart edgekit.service" in running.calls


def test_one_with_which_a_service_that_is_down_does_not_start(running: Device, new: Path) -> None:
    running.set(active="inactive", sub="dead", pid=0)
    for config in (new, running.layout.config):
        running.behaves(config, "refused")
    with pytest.raises(UpgradeError, match=r"does not start .*; the one before is back, but the "):
        bring(running, new)
    assert same(running)


def test_the_same_once_more_changes_nothing(running: Device, tmp_path: Path) -> None:
    again = tmp_path / "again.toml"
    again.write_text(QUICK)
    assert bring(running, again).endswith("is in place already, and works")
    assert same(running)
    running.behaves(again, "away")
    with pytest.raises(ServiceError, match=r"is in place already, but .*nothing was changed"):
        bring(running, again)
    assert same(running)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"source = ", "not valid TOML"),
        (b"sauce = 'test:'", "did you mean source?"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"", "has no source"),
        (b"source = 'rtsp://***@porch/'", "write the secret there"),
        (b"source = 'test:'\nlabels = '/home/pi/labels.txt'", "sandbox hides homes"),
        (b"source = 'test:'\n[history]\nfolder = '/srv'", "cannot keep its history"),
        (b"source = 'test:'\n#" + b"x" * (1 << 20), "more than 1048576 bytes"),
    ],
)
def test_what_is_wrong_is_refused_before_anything_changes(
    running: Device, new: Path, text: bytes, told: str
) -> None:
    new.write_bytes(text)
    with pytest.raises(EdgekitError) as failure:
        bring(running, new)
    assert told in str(failure.value)
    assert same(running)
    assert running.calls == []


def test_standard_input_is_read_and_has_an_end(
    running: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    for content, refused in ((NEW.encode(), False), (b"#" * (1 << 20) + b"\n", True)):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        if refused:
            with pytest.raises(ConfigurationError, match="standard input is larger than 1 MiB"):
                bring(running, Path("-"))
        else:
            assert "works" in bring(running, Path("-"))
    assert running.layout.config.read_text() == NEW


@pytest.mark.parametrize(
    ("there", "brought"),
    [
        ("allowed-signers = '/etc/edgekit/allowed_signers'\n", ""),
        ("allowed-signers = '/etc/edgekit/allowed_signers'\n", "allowed-signers = '/etc/mine'\n"),
        ("", "allowed-signers = '/etc/mine'\n"),
        ("", "labels = '/srv/mine.txt'\n"),
        ("allowed-signers = '/etc/a'\n", "allowed-signers = '/etc/a'\nlabels = '/srv/l.txt'\n"),
        ("allowed-signers = '/etc/a'\n", "allowed-signers = '/etc/a'\ndelegate = '/srv/l.so'\n"),
    ],
)
def test_which_models_may_run_stays_as_it_is(
    running: Device, new: Path, there: str, brought: str
) -> None:
    running.layout.config.write_text(there + QUICK)
    new.write_text(brought + NEW)
    with pytest.raises(ServiceError, match="on the device, and decides which models"):
        bring(running, new)
    assert running.layout.config.read_text() == there + QUICK
    # What does not touch that is welcome.
    new.write_text(there + NEW)
    assert "works" in bring(running, new)


def test_root_opens_no_file_that_it_names(running: Device, new: Path) -> None:
    """It may come from somebody who is not root."""
    files = [running.layout.root / name for name in ("token", "password", "model", "cpu", "ca")]
    lines = ["mqtt.host = 'localhost'", "mqtt.user = 'me'", "mqtt.tls = true",
             "http.listen = '127.0.0.1:1'"]  # fmt: skip
    names = ("http.token-file", "mqtt.password-file", "model", "cpu-model", "mqtt.ca-file")
    for file, name in zip(files, names, strict=True):
        os.mkfifo(file)
        lines.append(f"{name} = '/srv/{file.name}'")
    opened: list[str] = []
    real = os.open

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", lambda path, *rest, **more: (
            opened.append(str(path)), real(path, *rest, **more))[1])  # fmt: skip
        new.write_text(QUICK.replace("health", "\n".join(lines) + "\nhealth"))
        assert "works" in bring(running, new)
    assert str(running.layout.config) in opened
    assert not [path for path in opened if path.startswith("/srv/")]


def test_a_broken_one_that_demanded_signatures_is_not_replaced(running: Device, new: Path) -> None:
    running.layout.config.write_text("allowed-signers = '/etc/a'\nsauce = 1\n")
    with pytest.raises(ConfigurationError, match="sauce"):
        bring(running, new)


def test_not_while_another_change_is_at_work_or_nobody_looks(running: Device, new: Path) -> None:
    with locked(running.layout.lock), pytest.raises(ServiceError, match="another change"):
        bring(running, new)
    running.set(state="paused")
    with pytest.raises(ServiceError, match="the service is paused"):
        bring(running, new)
    running.set(state="running", silent=True)
    with pytest.raises(ServiceError, match="does not say how it is"):
        bring(running, new)
    assert same(running)


def test_without_a_service(device: Device, new: Path) -> None:
    with pytest.raises(ServiceError, match="no service is installed here"):
        bring(device, new)
    assert not device.layout.config.exists()


def test_without_one_to_go_back_to(running: Device, new: Path) -> None:
    running.layout.config.unlink()
    with pytest.raises(ServiceError, match="to which to go back"):
        bring(running, new)


class Killed(BaseException):
    """The power goes, or the process does."""


def cut_short(running: Device, new: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The power goes while the configuration is on probation."""

    def gone(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(systemctl, "call", gone)
        patch.setattr(module._Trial, "_take_back", lambda *_: None)
        patch.setattr(
            module,
            "observe",
            lambda _: module.ServiceState.join(
                systemctl.Unit.parse("ActiveState=active\nMainPID=100"), running.layout.runtime
            ),
        )
        with pytest.raises(Killed):
            bring(running, new)
    assert running.layout.config.read_text() == NEW


def test_a_power_cut_brings_the_one_before_back(
    running: Device, new: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    systemctl.show()  # The service leaves its status.
    cut_short(running, new, monkeypatch)
    before_start(running.layout, running.said.append)
    assert "a change of the configuration was cut short; back to the one before" in running.said
    assert same(running)
    assert count_rollbacks(running.layout.state, CONFIG_ROLLED_BACK) == 1


@pytest.mark.parametrize("reason", [None, "no good"])
def test_the_power_goes_at_any_moment(
    running: Device, monkeypatch: pytest.MonkeyPatch, reason: str | None
) -> None:
    layout, root = running.layout, running.layout.root
    trial = module._Trial(layout, module.Probation(0.0), running.said.append)
    monkeypatch.setattr(trial.__class__, "_apply", lambda *_: reason)
    monkeypatch.setattr(trial.__class__, "_recover", lambda *_: None)
    before = module.ServiceState(systemctl.Unit.parse(""))

    def work() -> None:
        with contextlib.suppress(UpgradeError):
            trial.run(NEW.encode(), QUICK.encode(), before)

    steps = count_steps(root, work)
    assert steps > 10
    seen = set()
    for step in range(steps):
        layout.config.write_text(QUICK)
        layout.pending_config.unlink(missing_ok=True)
        assert cut(root, work, step)
        settle(layout)
        seen.add(layout.config.read_text())
        assert not layout.pending_config.exists()
    # Whole in any case, and the new one only where it was found good.
    assert seen == ({QUICK, NEW} if reason is None else {QUICK})


def test_an_edit_after_a_power_cut_stays(
    running: Device, new: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    systemctl.show()
    cut_short(running, new, monkeypatch)
    running.layout.config.write_text(QUICK + "# by hand\n")
    assert settle(running.layout) is None
    assert left(running) == {"etc/edgekit/edgekit.toml": QUICK + "# by hand\n"}
    assert count_rollbacks(running.layout.state, CONFIG_ROLLED_BACK) == 0


@pytest.mark.parametrize("content", [b"", b"{", b'{"new": 1}', b"\xff" * 9])
def test_a_worn_card_says_anything(running: Device, content: bytes) -> None:
    running.layout.pending_config.write_bytes(content)
    assert settle(running.layout) is None
    assert same(running)


def test_an_interruption_takes_it_back(
    running: Device, new: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module._Trial, "_watch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        bring(running, new)
    assert same(running)
    # The service has read the new one, and reads the one before again.
    assert running.calls == ["reload edgekit.service"] * 2


def test_a_card_that_is_full_changes_nothing(
    running: Device, new: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ServiceError, match="No space left on device"):
        bring(running, new)
    assert same(running)


def test_an_image_knows_where_they_lie(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    assert layout.previous_config.parent == layout.config.parent
    assert layout.pending_config.parent == layout.written_config.parent
