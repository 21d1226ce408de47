"""The daemon runs, and changes to, models of those who may sign, where that is set."""

import queue
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from edgekit_device.config.settings import Settings
from edgekit_device.daemon import hot_swap, models
from edgekit_device.daemon.daemon import Daemon
from edgekit_device.daemon.hot_swap import ModelWatch
from edgekit_device.daemon.models import Loaded, check_file, model_settings, open_on_cpu

from edgekit.errors import ModelFileError, SignatureError
from edgekit.model.container import ModelFile
from edgekit.model.signers import Signer
from tests.device.fakes import FakeSource
from tests.signing import NAME, NEEDS_SSH_KEYGEN, KeyPair, resigned
from tests.tiny import tiny_model

pytestmark = NEEDS_SSH_KEYGEN


@pytest.fixture
def settings(key: KeyPair, tmp_path: Path) -> Settings:
    """A signed model is set, and who may sign."""
    model = key.signed(tmp_path / "model.tflite")
    return Settings(model=model, allowed_signers=key.allowed(tmp_path / "allowed"))


def test_what_runs_says_who_signed_it(settings: Settings, key: KeyPair) -> None:
    def signer(settings: Settings) -> str:
        return open_on_cpu(settings).signer

    assert signer(settings) == f"{NAME}, {key.fingerprint}"
    anybody = msgspec.structs.replace(settings, allowed_signers=None)
    assert signer(anybody) == f"{key.fingerprint}, not checked"
    assert settings.model is not None
    tiny_model(settings.model)
    assert signer(anybody) == "unsigned"


def test_an_unsigned_model_is_refused_before_anything_is_opened(settings: Settings) -> None:
    check_file(settings)
    assert settings.model is not None
    tiny_model(settings.model)
    for use in (check_file, open_on_cpu):
        with pytest.raises(SignatureError, match="is not signed"):
            use(settings)


def test_an_unsigned_model_meets_no_runtime(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert settings.model is not None
    tiny_model(settings.model)
    monkeypatch.setattr(models, "Classifier", None)
    with pytest.raises(SignatureError):
        open_on_cpu(settings)


def test_the_model_for_the_cpu_has_to_be_signed_too(
    settings: Settings, key: KeyPair, tmp_path: Path
) -> None:
    other = tiny_model(tmp_path / "cpu.tflite")
    fallback = msgspec.structs.replace(settings, delegate="edgetpu", cpu_model=other)
    with pytest.raises(SignatureError, match=r"cpu\.tflite is not signed"):
        open_on_cpu(fallback, "the delegate failed")
    key.signed(other)
    assert open_on_cpu(fallback, "the delegate failed").signer.startswith(NAME)


def test_a_model_that_is_exchanged_once_it_was_checked_does_not_run(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, checked = models.check_signer, []

    def check(model: ModelFile, settings: Settings) -> Signer | None:
        checked.append(model.sha256)
        found = real(model, settings)
        tiny_model(model.path)
        return found

    monkeypatch.setattr(models, "check_signer", check)
    try:
        loaded = open_on_cpu(settings)
    except ModelFileError:
        return
    assert loaded.classifier.sha256 == checked[0]


def test_other_keys_are_other_settings_of_the_model(settings: Settings) -> None:
    anybody = msgspec.structs.replace(settings, allowed_signers=None)
    assert model_settings(settings) != model_settings(anybody)


class Watch:
    """A watch over a model, whose thread is this one's."""

    def __init__(self, settings: Settings) -> None:
        self.inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self.used: list[Loaded] = []
        self.said: list[str] = []
        self.loaded = open_on_cpu(settings)
        self.watch = ModelWatch(settings, self.inbox.put, self.used.append, self.said.append)

    def until_told(self) -> str:
        """Look until something was loaded, or refused."""
        while self.inbox.empty():
            self.watch.look(self.loaded, probe=False)
        self.inbox.get(timeout=30)()
        return self.said[-1]


def _exchange(path: Path, content: bytes) -> None:
    beside = path.with_name("new")
    beside.write_bytes(content)
    beside.replace(path)


def test_the_daemon_changes_to_nothing_else(
    settings: Settings, key: KeyPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hot_swap, "LOOK_EVERY", 0.0)
    path = settings.model
    assert path is not None
    watch = Watch(settings)
    _exchange(path, resigned(path, **{"labels.txt": b"x\ny\nz\n"}))
    assert "changed after it was signed" in watch.until_told()
    assert watch.watch.problem == watch.said[-1].removeprefix("model: ")
    assert watch.watch.problem.endswith("; going on with the one before")
    assert watch.used == []
    _exchange(path, tiny_model(tmp_path / "other.tflite").read_bytes())
    assert "is not signed" in watch.until_told()
    assert watch.used == []
    _exchange(path, key.signed(tmp_path / "other.tflite").read_bytes())
    assert "runs from the next frame on" in watch.until_told()
    assert watch.watch.problem is None


def test_a_key_that_is_taken_away_shows_when_the_settings_are_followed_again(
    settings: Settings, tmp_path: Path
) -> None:
    watch = Watch(settings)
    KeyPair.make(tmp_path, "other").allowed(tmp_path / "allowed")
    watch.watch.follow(settings)
    assert "does not vouch" in watch.until_told()
    assert watch.watch.problem


def test_settings_that_ask_for_no_signature_load_nothing_when_they_are_followed_again(
    settings: Settings,
) -> None:
    watch = Watch(msgspec.structs.replace(settings, allowed_signers=None))
    watch.watch.follow(msgspec.structs.replace(settings, allowed_signers=None))
    watch.watch.look(watch.loaded, probe=False)
    assert watch.watch._load is None


def test_a_reload_asks_again_who_may_sign_though_the_settings_are_the_same(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed: list[Settings] = []
    monkeypatch.setattr(ModelWatch, "follow", lambda _, settings: followed.append(settings))
    settings = msgspec.structs.replace(settings, source="test:")
    daemon = Daemon(settings, lambda _: FakeSource(), lambda: settings, lambda _: None)
    daemon.request_reload()
    daemon._turn()
    assert followed == [settings]
