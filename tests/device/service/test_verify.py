"""A model answers once in a process of its own before anything depends on it."""

import os
import sys
from pathlib import Path

import pytest
from edgekit_device.config.settings import Settings
from edgekit_device.service.verify import STANDARD_INPUT, Model, verify

from edgekit import child
from edgekit.errors import ModelFileError
from tests.device.service.conftest import Model as MakeModel
from tests.device.service.conftest import fake_command, sha
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
    with pytest.raises(ModelFileError, match=r"a.tflite gives no answer: .*labels.txt"):
        _verify(model("a"), Settings(labels=labels))


def test_a_damaged_model_is_named_as_the_user_named_it(model: MakeModel, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.tflite"
    damaged.write_bytes(model("a").read_bytes()[:300])
    with pytest.raises(ModelFileError, match=rf"^{damaged} is not a usable model: .*convert it"):
        _verify(damaged)


def test_a_model_is_tried_with_what_the_settings_say_of_it(tmp_path: Path) -> None:
    logits = tiny_model(tmp_path / "l.tflite", logits=True)
    with pytest.raises(ModelFileError, match=r"gives no answer: .*answers no probabilities"):
        _verify(logits)
    _verify(logits, Settings(softmax=True))


def test_nothing_is_imported_from_the_current_folder(
    model: MakeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may stand in a folder that somebody else may write to."""
    planted = "from pathlib import Path\nPath(__file__).with_name('run').touch()\n"
    for name in ("msgspec.py", "numpy.py", "cv2.py"):
        (tmp_path / name).write_text(planted)
    monkeypatch.chdir(tmp_path)
    _verify(model("a"))
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to give up")
def test_a_model_is_tried_without_the_rights_of_root(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.touch(mode=0o600)
    program = (
        "import os, sys\nfrom edgekit_device.service.verify import _confine\n_confine()\n"
        "print(os.getresuid(), os.getresgid(), os.getgroups())\n"
        "for call in (lambda: open(sys.argv[1]), lambda: os.setuid(0)):\n"
        "    try:\n        call()\n    except PermissionError:\n        print('refused')\n"
    )
    done = child.run([sys.executable, "-c", program, str(private)])
    nobody = (65534,) * 3
    assert done.stdout.decode() == f"{nobody} {nobody} []\nrefused\nrefused\n", done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to give up")
def test_no_reader_sees_a_model_before_they_are_given_up() -> None:
    program = (
        "import os\nfrom pathlib import Path\n"
        "from edgekit.inference import classifier\nfrom edgekit.model import container\n"
        "from edgekit_device.service.verify import _try\n"
        "real = container.read_model\n"
        "container.read_model = lambda path: print(path.name, os.getuid()) or real(path)\n"
        "_try(Path('model.tflite'), '', None, None)\n"
    )
    done = child.run([sys.executable, "-c", program])
    assert done.stdout == b"probe.tflite 0\nmodel.tflite 65534\n", done.stderr


def test_a_model_that_takes_more_memory_than_the_service_has_does_no_harm() -> None:
    program = (
        "from edgekit_device.service import verify\nverify._confine()\n"
        "try:\n    bytes(verify._MEMORY)\nexcept MemoryError:\n    print('refused')\n"
    )
    assert child.run([sys.executable, "-c", program]).stdout == b"refused\n"


def test_a_model_that_crashes_the_runtime_is_refused(
    model: MakeModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    crash = fake_command(tmp_path / "bin", "python", "#!/bin/sh\nkill -SEGV $$\n")
    monkeypatch.setattr(sys, "executable", str(crash))
    with pytest.raises(ModelFileError, match=r"crashes the TFLite runtime \(SIGSEGV\)"):
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


def test_a_model_may_come_on_standard_input(
    model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    with model("a").open() as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        checked = Model.read(STANDARD_INPUT)
    assert checked.sha256 == sha(model("a"))
    assert checked.name == "the model on standard input"
