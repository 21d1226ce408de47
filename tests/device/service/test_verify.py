"""A model answers once in a process of its own before anything depends on it."""

import os
import sys
from pathlib import Path

import pytest
from edgekit_device import trial
from edgekit_device.config.settings import Settings
from edgekit_device.service.verify import STANDARD_INPUT, Model, verify

from edgekit.errors import LabelsError, ModelFileError
from tests.device.service.conftest import Model as MakeModel
from tests.device.service.conftest import sha
from tests.tiny import tiny_model


def _verify(path: Path, settings: Settings | None = None) -> Model:
    model = Model.read(path)
    verify(model, settings or Settings())
    return model


def test_a_model_that_answers(model: MakeModel) -> None:
    checked = _verify(model("a"))
    assert checked.sha256 == sha(model("a"))
    assert checked.content == model("a").read_bytes()


def test_a_model_and_its_labels_may_be_named_from_the_current_folder(
    model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = model("a").parent
    monkeypatch.chdir(folder)
    (folder / "labels.txt").write_text("red\ngreen\nblue\n")
    _verify(Path("a.tflite"), Settings(labels=Path("labels.txt")))


def test_labels_that_do_not_fit(model: MakeModel, tmp_path: Path) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("one\n")
    with pytest.raises(LabelsError, match=r"labels\.txt has 1 class names, but"):
        _verify(model("a"), Settings(labels=labels))


def test_a_damaged_model_is_named_as_the_user_named_it(model: MakeModel, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.tflite"
    damaged.write_bytes(model("a").read_bytes()[:300])
    with pytest.raises(ModelFileError, match=rf"^{damaged} is not a usable model: .*convert it"):
        _verify(damaged)


def test_a_model_is_tried_with_what_the_settings_say_of_it(tmp_path: Path) -> None:
    logits = tiny_model(tmp_path / "l.tflite", logits=True)
    with pytest.raises(ModelFileError, match=r"l\.tflite answers no probabilities"):
        _verify(logits)
    _verify(logits, Settings(softmax=True))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to give up")
def test_no_reader_sees_a_model_before_the_rights_of_root_are_given_up(
    model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = (
        "import os\nfrom edgekit.model import container\n"
        "from edgekit_device import trial_process\n"
        "real = container.parse_model\n"
        "def parse(path, content):\n"
        "    if os.getuid() == 0 and path.name != 'a model of ours':\n        os.abort()\n"
        "    return real(path, content)\n"
        "container.parse_model = parse\n"
        "trial_process._main()\n"
    )
    command = [sys.executable, "-c", program]
    monkeypatch.setattr(trial.child, "python_command", lambda _, *given: [*command, *given])
    _verify(model("a"))


def test_a_model_for_an_accelerator_answers_to_the_service_alone(
    model: MakeModel, tmp_path: Path
) -> None:
    _verify(tiny_model(tmp_path / "compiled.tflite", compiled=True), Settings(delegate="edgetpu"))
    damaged = tmp_path / "damaged.tflite"
    damaged.write_bytes(model("a").read_bytes()[:300])
    with pytest.raises(ModelFileError, match="is not a usable model"):
        _verify(damaged, Settings(delegate="edgetpu"))


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name in ("pipe", "loop", "none"):
        with pytest.raises(ModelFileError, match=f"cannot read the model .*{name}"):
            Model.read(tmp_path / name)
    with pytest.raises(ModelFileError, match="cannot read the model /dev/zero"):
        Model.read(Path("/dev/zero"))
    with pytest.raises(LabelsError, match=r"the labels .*pipe is a device or a pipe"):
        verify(Model("m", b""), Settings(labels=tmp_path / "pipe"))


def test_a_model_may_come_on_standard_input(
    model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    with model("a").open() as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        checked = Model.read(STANDARD_INPUT)
    assert checked.sha256 == sha(model("a"))
    assert checked.name == "the model on standard input"
