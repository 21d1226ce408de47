"""The model's file is read once, tried, and loaded; what was tried is what runs."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from edgekit_device.config.settings import Settings
from edgekit_device.daemon import models
from edgekit_device.daemon.models import Loaded, check_file, open_model, open_on_cpu
from edgekit_device.trial_protocol import Report

from edgekit.errors import EdgekitError, LabelsError, ModelFileError, SettingsError
from edgekit.files import FileStamp
from edgekit.model.decision import DecisionOverrides, LabelOverrides
from tests.tiny import tiny_model

Tried = list[tuple[str, bytes, bool]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tiny_model(tmp_path / "m.tflite")


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> Tried:
    """What was tried: path, labels, and whether for an accelerator; all of it is good."""
    found: Tried = []

    def try_model(path, content, labels, settings, **how):  # type: ignore[no-untyped-def]
        accelerated = how["accelerated"]
        found.append((path.name, labels.content if labels else b"", accelerated))
        return Report()

    monkeypatch.setattr(models, "try_model", try_model)
    monkeypatch.setattr(models, "_passed", type(models._passed)(maxlen=4))
    return found


def test_only_the_first_trial_gives_way_to_nobody(
    path: Path, tried: Tried, monkeypatch: pytest.MonkeyPatch
) -> None:
    urgent: list[bool] = []

    def try_model(*_: object, **how: bool) -> Report:
        urgent.append(how["urgent"])
        return Report()

    monkeypatch.setattr(models, "try_model", try_model)
    open_model(Settings(model=path))
    path.write_bytes(tiny_model(path.with_name("other.tflite"), labels=b"a\nb\nc\n").read_bytes())
    open_model(Settings(model=path))
    # One that answers may be in use by then.
    assert urgent == [True, False]


def refuse(monkeypatch: pytest.MonkeyPatch, then: Callable[[], object] = lambda: None) -> None:
    def try_model(path, *_: object, **__: object) -> Report:  # type: ignore[no-untyped-def]
        then()
        raise ModelFileError(f"{path} crashes the TFLite runtime")

    monkeypatch.setattr(models, "try_model", try_model)


def test_a_model_is_tried_before_it_is_loaded(
    path: Path, tried: Tried, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert open_model(Settings(model=path)).classifier.labels == ["red", "green", "blue"]
    assert tried == [("m.tflite", b"", False)]

    def load(*_: object, **__: object) -> None:
        raise AssertionError("a runtime met it")

    monkeypatch.setattr(models.Classifier, "load", load)
    path.write_bytes(path.read_bytes() + b"other")
    refuse(monkeypatch)
    with pytest.raises(ModelFileError, match="crashes the TFLite runtime"):
        open_model(Settings(model=path))


def test_the_real_trial_is_what_tries_it(path: Path) -> None:
    logits = tiny_model(path, logits=True)
    with pytest.raises(ModelFileError, match=r"m\.tflite answers no probabilities"):
        open_model(Settings(model=logits))


def test_what_was_tried_is_what_runs(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tried: Tried
) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("a\nb\nc\n")

    def exchange(*_: object, **__: object) -> Report:
        path.write_bytes(b"another file")
        labels.write_bytes(b"other names")
        return Report()

    monkeypatch.setattr(models, "try_model", exchange)
    found = open_model(Settings(model=path, labels=labels))
    assert found.classifier.labels == ["a", "b", "c"]
    # So the exchange is noticed.
    assert found.stamp != FileStamp.of(path)


def test_what_has_passed_is_not_tried_again_unless_something_is_different(
    path: Path, tmp_path: Path, tried: Tried
) -> None:
    settings = Settings(model=path)
    for _ in range(3):
        open_on_cpu(settings)
    assert len(tried) == 1
    (tmp_path / "labels.txt").write_text("a\nb\nc\n")
    for other in (
        Settings(model=path, labels=tmp_path / "labels.txt"),
        Settings(model=path, runtime="litert"),
        Settings(model=path, channels="bgr"),
    ):
        before = len(tried)
        open_on_cpu(other)
        assert len(tried) == before + 1
    path.write_bytes(path.read_bytes() + b"\0")
    open_on_cpu(settings)
    assert len(tried) == 5


def test_what_was_refused_is_tried_again(
    path: Path, tried: Tried, monkeypatch: pytest.MonkeyPatch
) -> None:
    times: list[int] = []
    refuse(monkeypatch, lambda: times.append(1))
    for _ in range(2):
        with pytest.raises(ModelFileError):
            open_model(Settings(model=path))
    assert len(times) == 2


def test_one_for_an_accelerator_and_the_one_that_stands_in_are_both_tried(
    tmp_path: Path, tried: Tried
) -> None:
    tiny_model(tmp_path / "m.tflite")
    path = tiny_model(tmp_path / "m_edgetpu.tflite", compiled=True)
    settings = Settings(model=path, delegate=str(tmp_path / "m.tflite"))
    # No accelerator takes it here, but that is found out behind the trial.
    with pytest.raises(EdgekitError):
        open_model(settings)
    open_on_cpu(settings, "it failed")
    assert tried == [("m_edgetpu.tflite", b"", True), ("m.tflite", b"", False)]


def test_neither_a_model_nor_labels_that_are_a_pipe_keep_anybody(
    path: Path, tmp_path: Path, tried: Tried
) -> None:
    os.mkfifo(tmp_path / "pipe")
    for settings in (Settings(model=tmp_path / "pipe"), Settings(model=path.parent)):
        for open_it in (check_file, open_model, open_on_cpu):
            with pytest.raises(ModelFileError, match=r"cannot read the model .* regular file"):
                open_it(settings)
    with pytest.raises(LabelsError, match=r"the labels .*pipe is a device or a pipe"):
        open_model(Settings(model=path, labels=tmp_path / "pipe"))
    assert tried == []


def test_decision_settings_that_do_not_fit_it_are_refused_before_anything_is_opened(
    path: Path, tmp_path: Path
) -> None:
    own = DecisionOverrides(labels={"gren": LabelOverrides(enter=0.7)})
    with pytest.raises(SettingsError, match=r"m.tflite has no such class; did you mean green\?"):
        check_file(Settings(model=path, decision=own))
    (tmp_path / "names").write_text("red\ngren\nblue\n")
    check_file(Settings(model=path, decision=own, labels=tmp_path / "names"))


def test_a_model_is_tried_again_with_other_decision_settings(path: Path, tried: Tried) -> None:
    for enter in (0.7, 0.8, 0.8):
        own = DecisionOverrides(labels={"red": LabelOverrides(enter=enter)})
        open_on_cpu(Settings(model=path, decision=own))
    assert len(tried) == 2


class FakeTrial:
    """What was begun, and how that ends."""

    def __init__(self, refusal: str = "") -> None:
        self.begun: list[bytes] = []
        self.waits = 0
        self.how: dict[str, object] = {}
        self._refusal = refusal

    def begin(self, path: Path, content: bytes, *_: object, **how: object) -> None:
        self.begun.append(content)
        self.how = how

    def wait(self) -> Report:
        self.waits += 1
        if self._refusal:
            raise ModelFileError(self._refusal)
        return Report()


class TestAhead:
    """The first model is tried while the rest of the daemon is still loading."""

    @pytest.fixture(autouse=True)
    def nothing_begun(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(models, "_begun", type(models._begun)(maxlen=1))

    def test_who_opens_it_waits_for_that_trial(self, path: Path, tried: Tried) -> None:
        trial = FakeTrial()
        check_file(Settings(model=path), trial)  # type: ignore[arg-type]
        assert (trial.begun, trial.waits) == ([path.read_bytes()], 0)
        assert trial.how == {"accelerated": False, "foreign": True, "urgent": True}
        open_model(Settings(model=path))
        assert (trial.waits, tried) == (1, [])
        # It has passed.
        open_model(Settings(model=path))
        assert (trial.waits, tried) == (1, [])

    def test_what_it_refuses_is_not_loaded(
        self, path: Path, tried: Tried, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def load(*_: object, **__: object) -> None:
            raise AssertionError("a runtime met it")

        monkeypatch.setattr(models.Classifier, "load", load)
        trial = FakeTrial("it crashes")
        check_file(Settings(model=path), trial)  # type: ignore[arg-type]
        with pytest.raises(ModelFileError, match="it crashes"):
            open_model(Settings(model=path))
        # Another try is another trial.
        with pytest.raises(AssertionError):
            open_model(Settings(model=path))
        assert (trial.waits, len(tried)) == (1, 1)

    def test_another_model_and_other_settings_are_tried_by_themselves(
        self, path: Path, tried: Tried
    ) -> None:
        trial = FakeTrial("of another one")
        check_file(Settings(model=path), trial)  # type: ignore[arg-type]
        path.write_bytes(tiny_model(path.with_name("b.tflite"), labels=b"a\nb\nc\n").read_bytes())
        open_model(Settings(model=path))
        check_file(Settings(model=path), trial)  # type: ignore[arg-type]
        open_model(Settings(model=path, decision=DecisionOverrides(smoothing=3)))
        assert (trial.waits, len(tried)) == (0, 2)

    def test_a_file_that_is_no_good_is_not_given_to_it(self, path: Path) -> None:
        path.write_bytes(b"no model")
        trial = FakeTrial()
        with pytest.raises(ModelFileError, match="not a usable model"):
            check_file(Settings(model=path), trial)  # type: ignore[arg-type]
        assert trial.begun == []


@pytest.mark.parametrize("open_it", [open_model, open_on_cpu])
def test_since_when_a_model_is_in_its_place_is_known(
    path: Path, tried: Tried, tmp_path: Path, open_it: Callable[[Settings], Loaded]
) -> None:
    os.utime(path, (1, 1))
    assert open_it(Settings(model=path)).since == "1970-01-01T00:00:01Z"
    # Of the service it is the link that changes; its file may be there for long.
    link = tmp_path / "current.tflite"
    link.symlink_to(path)
    os.utime(link, (60, 60), follow_symlinks=False)
    assert open_it(Settings(model=link)).since == "1970-01-01T00:01:00Z"
