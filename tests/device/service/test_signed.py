"""Root stores signed models alone, where the configuration says who may sign."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from edgekit_device.config.file import load
from edgekit_device.service import durable, environment
from edgekit_device.service.cli import service
from edgekit_device.service.models import add
from edgekit_device.service.signed import check_signed
from edgekit_device.service.upgrade import roll_back, upgrade, use
from edgekit_device.service.verify import Model

from edgekit import child
from edgekit.errors import SignatureError
from edgekit.model.signers import AllowedSigners
from tests.device.service.conftest import QUICK, Device, fake_command, sha
from tests.device.service.conftest import Model as MakeModel
from tests.signing import NAME, NEEDS_SSH_KEYGEN, KeyPair, resigned

pytestmark = NEEDS_SSH_KEYGEN
LINE = 'allowed-signers = "/etc/edgekit/allowed_signers"\n'
Run = Callable[..., Result]


@pytest.fixture
def allowed(key: KeyPair, tmp_path: Path) -> Path:
    return key.allowed(tmp_path / "allowed")


@pytest.fixture
def guarded(running: Device, key: KeyPair) -> Device:
    """A device that runs a model, and takes those of the key from now on."""
    running.layout.config.write_text(LINE + QUICK)
    key.allowed(running.layout.allowed_signers)
    return running


@pytest.fixture
def run(device: Device, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `edgekit service …` on the device, which has what signatures are checked with."""
    monkeypatch.setattr(environment, "_needed", lambda: [Path("/opt/edgekit")])
    monkeypatch.setattr(environment, "command", lambda _layout: environment.COMMAND)
    root = device.layout.root
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/bin/ssh-keygen").touch()
    (root / "etc/nsswitch.conf").write_text("passwd: files systemd\n")

    def run(*arguments: str | Path) -> Result:
        return CliRunner().invoke(service, [*map(str, arguments)], obj=device.layout)

    return run


def _signed(key: KeyPair, path: Path) -> Path:
    return key.signed(path, path.read_bytes())


def _refused(result: Result) -> str:
    assert result.exit_code == 1
    assert isinstance(result.exception, Exception)
    assert "\n" not in str(result.exception)
    return str(result.exception)


def test_a_signer_is_told(model: MakeModel, key: KeyPair, allowed: Path) -> None:
    path = _signed(key, model("a"))
    signers = AllowedSigners.read(allowed)
    assert check_signed(Model.read(path), signers) == f"{NAME}, {key.fingerprint}"
    assert check_signed(Model.read(path), None) is None


@pytest.mark.parametrize("content", [b"", b"junk", bytes(1 << 20)], ids=["empty", "junk", "zeros"])
def test_what_is_no_model_is_refused(allowed: Path, content: bytes) -> None:
    with pytest.raises(SignatureError, match="on standard input"):
        check_signed(Model("the model on standard input", content), AllowedSigners.read(allowed))


def test_a_model_that_was_changed_is_refused_under_its_own_name(
    model: MakeModel, key: KeyPair, allowed: Path
) -> None:
    path = _signed(key, model("a"))
    path.write_bytes(resigned(path, **{"labels.txt": b"x\ny\nz\n"}))
    with pytest.raises(SignatureError, match=rf"^{path} is not what its signature is over"):
        check_signed(Model.read(path), AllowedSigners.read(allowed))


def test_a_process_that_is_killed_is_no_yes(
    model: MakeModel, key: KeyPair, allowed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _signed(key, model("a"))
    crash = [child.sys.executable, "-c", "import os; print('yes', flush=True); os.abort()"]
    monkeypatch.setattr(child, "python_command", lambda *_: crash)
    with pytest.raises(SignatureError, match="cannot be checked: SIGABRT"):
        check_signed(Model.read(path), AllowedSigners.read(allowed))


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone has rights to give up")
def test_root_looks_into_no_model_with_its_own_rights(
    model: MakeModel, key: KeyPair, allowed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _signed(key, model("a"))
    # Not in a folder of pytest's, which root alone may enter.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        fake_command(Path(folder), "ssh-keygen", "#!/bin/sh\nid -u\n").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        signer = check_signed(Model.read(path), AllowedSigners.read(allowed))
    assert signer == f"65534, {key.fingerprint}"


def test_an_upgrade_to_a_signed_model_goes_as_ever(
    guarded: Device, model: MakeModel, key: KeyPair
) -> None:
    path = _signed(key, model("new"))
    upgrade(guarded.layout, Model.read(path), guarded.said.append)
    assert guarded.store.current == sha(path)


def test_an_upgrade_to_anything_else_stores_nothing(
    guarded: Device, model: MakeModel, key: KeyPair, tmp_path: Path
) -> None:
    old = sha(model("old"))
    other = KeyPair.make(tmp_path, "other")
    changed = _signed(key, model("changed"))
    changed.write_bytes(resigned(changed, **{"note.md": b"other"}))
    for path, reason in (
        (model("unsigned"), "is not signed"),
        (_signed(other, model("other")), "does not vouch"),
        (changed, "changed after it was signed"),
    ):
        with pytest.raises(SignatureError, match=reason):
            upgrade(guarded.layout, Model.read(path), guarded.said.append)
        assert guarded.store.current == old
        assert not guarded.store.path(sha(path)).exists()
        assert guarded.calls == []


def test_a_model_that_is_not_signed_is_not_even_tried(
    guarded: Device, model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgekit_device.service.signed.verify", None)
    with pytest.raises(SignatureError):
        upgrade(guarded.layout, Model.read(model("new")), guarded.said.append)


def test_a_model_that_was_kept_before_signatures_counted_neither_comes_back_nor_is_added(
    guarded: Device, model: MakeModel
) -> None:
    store = guarded.store
    unsigned = model("unsigned")
    store.name(store.add(unsigned.read_bytes()), "unsigned")
    durable.link(store.folder / "previous.tflite", f"models/{sha(unsigned)}.tflite")
    for work in (
        lambda: roll_back(guarded.layout, guarded.said.append),
        lambda: use(guarded.layout, "unsigned", guarded.said.append),
        lambda: add(guarded.layout, model("other"), None, guarded.said.append),
    ):
        with pytest.raises(SignatureError, match="is not signed"):
            work()
    assert store.current == sha(model("old"))
    assert list(store.names) == ["unsigned"]
    assert guarded.calls == []


def test_install_puts_the_signers_in_place_and_sets_them(
    run: Run, device: Device, model: MakeModel, key: KeyPair, allowed: Path
) -> None:
    path = _signed(key, model("a"))
    words = ("install", "--model", path, "--source", "test:", "--allowed-signers", allowed)
    done = run(*words)
    assert done.exit_code == 0, done.output
    assert f"is sound, signed by {NAME}, {key.fingerprint}: {path}" in done.output
    layout = device.layout
    assert layout.allowed_signers.read_bytes() == allowed.read_bytes()
    assert layout.allowed_signers.stat().st_mode & 0o777 == 0o644
    assert load(layout.config, {}).allowed_signers == Path("/etc/edgekit/allowed_signers")
    assert "nothing was changed" in run(*words).output
    assert "nothing was changed" in run("install", "--model", path).output
    run("uninstall")
    assert not layout.allowed_signers.exists()


def test_install_refuses_a_model_that_nobody_signed_and_changes_nothing(
    run: Run, device: Device, model: MakeModel, allowed: Path
) -> None:
    done = run("install", "--model", model("a"), "--source", "test:", "--allowed-signers", allowed)
    assert "is not signed" in _refused(done)
    assert not device.layout.unit.exists()
    assert not device.layout.allowed_signers.exists()


def test_install_puts_the_line_in_front_of_a_configuration_that_is_given(
    run: Run, device: Device, model: MakeModel, key: KeyPair, allowed: Path, tmp_path: Path
) -> None:
    config = tmp_path / "mine.toml"
    config.write_text(f"# mine\n{QUICK}[http]\nlisten = '127.0.0.1:8080'\n")
    words = ("install", "--model", _signed(key, model("a")), "--allowed-signers", allowed)
    assert run(*words, "--config", config).exit_code == 0
    assert device.layout.config.read_text() == LINE + config.read_text()
    config.write_text(f"allowed-signers = '/etc/others'\n{QUICK}")
    assert "has other allowed-signers already" in _refused(run(*words, "--config", config))


def test_install_sets_signers_on_a_device_that_is_installed(
    run: Run, device: Device, model: MakeModel, key: KeyPair, allowed: Path
) -> None:
    path = _signed(key, model("a"))
    run("install", "--model", path, "--source", "test:")
    before = device.layout.config.read_text()
    done = run("install", "--model", path, "--allowed-signers", allowed)
    assert done.exit_code == 0, done.output
    assert device.layout.config.read_text() == LINE + before
    assert "reload edgekit.service" in device.calls


def test_a_configuration_that_was_edited_is_asked_for_the_line(
    run: Run, device: Device, model: MakeModel, key: KeyPair, allowed: Path
) -> None:
    path = _signed(key, model("a"))
    run("install", "--model", path, "--source", "test:")
    edited = device.layout.config.read_text() + "# edited\n"
    device.layout.config.write_text(edited)
    words = ("install", "--model", path, "--allowed-signers", allowed)
    assert f"put {LINE.strip()} into its first line" in _refused(run(*words))
    assert not device.layout.allowed_signers.exists()
    device.layout.config.write_text(LINE + edited)
    done = run(*words)
    assert done.exit_code == 0, done.output
    assert device.layout.config.read_text() == LINE + edited
    assert device.layout.allowed_signers.exists()
    run("uninstall")
    assert device.layout.allowed_signers.exists()


def test_install_does_not_let_all_models_run_again_by_the_way(
    run: Run, device: Device, model: MakeModel, key: KeyPair, allowed: Path, tmp_path: Path
) -> None:
    path = _signed(key, model("a"))
    run("install", "--model", path, "--source", "test:", "--allowed-signers", allowed)
    config = tmp_path / "mine.toml"
    config.write_text(QUICK)
    for words in (("--source", "v4l2:/dev/video1"), ("--config", config)):
        done = run("install", "--model", path, *words)
        assert "models that nobody signed would run again" in _refused(done)
    assert "is not signed" in _refused(run("install", "--model", model("b")))


@pytest.mark.parametrize("missing", ["usr/bin/ssh-keygen", "etc/nsswitch.conf"])
def test_install_refuses_what_the_service_could_not_check(
    run: Run, device: Device, model: MakeModel, key: KeyPair, allowed: Path, missing: str
) -> None:
    (device.layout.root / missing).unlink()
    path = _signed(key, model("a"))
    done = run("install", "--model", path, "--source", "test:", "--allowed-signers", allowed)
    assert _refused(done).startswith("signatures could not be checked: the")
    assert "; sudo apt install" in _refused(done)
    assert not device.layout.unit.exists()


def test_a_dry_run_shows_the_signers(
    run: Run, device: Device, model: MakeModel, key: KeyPair, allowed: Path
) -> None:
    allowed.write_bytes(b"# \xff\n" + allowed.read_bytes())
    words = ("install", "--model", _signed(key, model("a")), "--source", "test:")
    done = run(*words, "--allowed-signers", allowed, "--dry-run")
    assert done.exit_code == 0, done.output
    assert key.public in done.output
    assert not device.layout.allowed_signers.exists()


def test_status_says_who_signed(run: Run, device: Device, model: MakeModel) -> None:
    run("install", "--model", model("a"), "--source", "test:")
    assert "signer   unsigned" in run("status").output
