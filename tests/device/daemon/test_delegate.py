import ctypes
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from edgekit_device.daemon.delegate import Delegate, call_with_timeout, cpu_model, parse

from edgekit.errors import InferenceError, RuntimeUnavailableError, SettingsError
from edgekit.inference.classifier import Classifier
from edgekit.inference.runtimes import installed_runtimes
from tests.tiny import tiny_model

TIMEOUT = 30.0
Open = Callable[..., Classifier]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("tiny") / "tiny.tflite")


@pytest.fixture(params=installed_runtimes())
def open_model(request: pytest.FixtureRequest, model: Path, fake_delegate: Path) -> Iterator[Open]:
    """Open the model with the fake delegate, which is given the options."""
    classifiers = weakref.WeakSet[Classifier]()

    def opened(**options: str) -> Classifier:
        classifier = Classifier.open(
            model,
            runtime=request.param,
            delegate=str(fake_delegate),
            delegate_options=options,
        )
        classifiers.add(classifier)
        return classifier

    yield opened
    for classifier in list(classifiers):
        classifier.close()
    assert open_delegates(fake_delegate) == 0


@pytest.fixture
def frame() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    path = tmp_path / "until"
    os.mkfifo(path)
    return path


def open_delegates(library: Path) -> int:
    return ctypes.c_int.in_dll(ctypes.CDLL(str(library)), "fake_delegate_open_count").value


def end_hang(fifo: Path) -> None:
    """Wait until the delegate hangs, and let it go on."""
    call_with_timeout(lambda: fifo.open("wb"), TIMEOUT, "hang").close()


def test_it_answers_as_the_cpu_does(open_model: Open, model: Path, frame: np.ndarray) -> None:
    classifier = open_model()
    assert classifier.accelerator == "fake"
    alone = Classifier.open(model, runtime=classifier.runtime_name)
    assert np.array_equal(classifier.classify(frame), alone.classify(frame))


def test_one_that_does_not_start_says_why(open_model: Open, fake_delegate: Path) -> None:
    with pytest.raises(RuntimeUnavailableError, match=r"\(no fake accelerator is attached\)"):
        open_model(mode="refuse")
    with pytest.raises(RuntimeUnavailableError, match=r"libfake.so .*\(it gives no reason\)"):
        open_model(mode="mute")
    assert open_delegates(fake_delegate) == 0


def test_one_that_takes_no_graph_says_why(open_model: Open, fake_delegate: Path) -> None:
    with pytest.raises(RuntimeUnavailableError) as refused:
        open_model(mode="unprepared")
    assert "with fake refuses the model: the fake accelerator takes no graph" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert open_delegates(fake_delegate) == 0


def test_one_that_leaves_everything_to_the_cpu_is_refused(
    open_model: Open, fake_delegate: Path
) -> None:
    with pytest.raises(RuntimeUnavailableError, match="fake runs no operator of this model") as no:
        open_model(mode="idle")
    assert open_delegates(fake_delegate) == 0
    assert "\n" not in str(no.value)


def test_options_can_come_from_the_environment(
    open_model: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_DELEGATE_MODE", "refuse")
    with pytest.raises(RuntimeUnavailableError, match="no fake accelerator"):
        open_model()
    open_model(mode="run").warm_up()


def test_one_that_fails_at_work(open_model: Open, frame: np.ndarray) -> None:
    classifier = open_model(after="3")
    for _ in range(3):
        classifier.classify(frame)
    messages = []
    for _ in range(2):
        with pytest.raises(InferenceError) as failed:
            classifier.classify(frame)
        messages.append(str(failed.value))
    reason = "the fake accelerator does not answer; Node number 2 (FakeDelegate) failed to invoke"
    where = f"the inference failed in {classifier.runtime_name} on fake"
    assert messages == [f"{where}: {reason}"] * 2


def test_one_that_fails_at_once_shows_when_warmed_up(open_model: Open) -> None:
    classifier = open_model(after="0")
    with pytest.raises(InferenceError, match="does not answer"):
        classifier.warm_up()


def test_hardware_that_was_unplugged_works_again_once_all_have_let_go_of_it(
    open_model: Open, fake_delegate: Path, tmp_path: Path
) -> None:
    device = tmp_path / "device"
    with pytest.raises(RuntimeUnavailableError, match="no fake accelerator is attached"):
        open_model(device=str(device))
    device.touch()
    first = open_model(device=str(device))
    first.warm_up()
    device.unlink()
    with pytest.raises(InferenceError):
        first.warm_up()
    device.touch()
    second = open_model(device=str(device))
    with pytest.raises(InferenceError) as kept:
        second.warm_up()
    first.close()
    second.close()
    assert open_delegates(fake_delegate) == 0
    open_model(device=str(device)).warm_up()
    assert kept.value.__traceback__ is not None


def test_python_goes_on_while_one_hangs_at_work(
    open_model: Open, frame: np.ndarray, fifo: Path
) -> None:
    classifier = open_model(after="1", then="hang", until=str(fifo))
    expected = classifier.classify(frame)
    answers: list[np.ndarray] = []
    thread = threading.Thread(target=lambda: answers.append(classifier.classify(frame)))
    thread.start()
    # That this returns shows it: only a delegate that hangs has the other end open.
    end_hang(fifo)
    thread.join(TIMEOUT)
    assert np.array_equal(answers[0], expected)


def test_python_goes_on_while_one_hangs_as_it_starts(
    open_model: Open, fake_delegate: Path, fifo: Path
) -> None:
    def load() -> None:
        open_model(mode="stuck", until=str(fifo))

    with pytest.raises(RuntimeUnavailableError, match=r"^loading it did not end within 0.1 s; "):
        call_with_timeout(load, 0.1, "loading it")
    left = [thread for thread in threading.enumerate() if thread.name == "loading it"]
    end_hang(fifo)
    for thread in left:
        thread.join(TIMEOUT)
    assert open_delegates(fake_delegate) == 0


def test_the_process_ends_when_one_stops_all_of_python(
    model: Path, fake_delegate: Path, fifo: Path
) -> None:
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from edgekit.inference.classifier import Classifier\n"
        "from edgekit_device.daemon import delegate\n"
        "delegate._GRACE = 0.1\n"
        "def load():\n"
        "    Classifier.open(Path(sys.argv[1]), delegate=sys.argv[2],\n"
        "                    delegate_options={'mode': 'frozen', 'until': sys.argv[3]})\n"
        "delegate.call_with_timeout(load, 1, 'loading it')\n"
    )
    command = [sys.executable, "-c", program, str(model), str(fake_delegate), str(fifo)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].strip()
    assert "Timeout (" in done.stderr
    assert "in load" in done.stderr


def test_a_call_that_ends_in_time_is_as_without() -> None:
    assert call_with_timeout(lambda: 7, TIMEOUT, "counting") == 7
    with pytest.raises(TimeoutError, match="its own"):
        call_with_timeout(_fail, TIMEOUT, "failing")


def _fail() -> None:
    raise TimeoutError("its own")


def test_an_error_that_is_kept_does_not_keep_the_accelerator(
    open_model: Open, fake_delegate: Path
) -> None:
    def load() -> Classifier:
        classifier = open_model(after="0")
        classifier.warm_up()
        return classifier

    with pytest.raises(InferenceError) as kept:
        call_with_timeout(load, TIMEOUT, "loading it")
    assert open_delegates(fake_delegate) == 0
    assert "does not answer" in str(kept.value)


def test_a_setting_names_a_delegate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert parse("none") is None
    assert parse("edgetpu") == Delegate("libedgetpu.so.1")
    assert parse("edgetpu:usb") == Delegate("libedgetpu.so.1", {"device": "usb"})
    assert parse("edgetpu:pci") == Delegate("libedgetpu.so.1", {"device": "pci"})
    assert Delegate("libedgetpu.so.1").name == "edgetpu"
    assert parse("libvx_delegate.so") == Delegate("libvx_delegate.so")
    library = tmp_path / "mine.so"
    library.touch()
    assert parse(str(library)) == Delegate(str(library))
    monkeypatch.chdir(tmp_path)
    assert parse("mine.so") == Delegate(str(library))


@pytest.mark.parametrize("spec", ["", "cpu", "edgetpu:", "edgetpu:0", "/no/libmine.so", "/", "."])
def test_anything_else_is_refused(spec: str) -> None:
    with pytest.raises(SettingsError, match="none, edgetpu, edgetpu:usb, edgetpu:pci, or the path"):
        parse(spec)


def test_the_model_for_the_cpu(tmp_path: Path) -> None:
    compiled, plain, other = (
        tmp_path / name for name in ("a_edgetpu.tflite", "a.tflite", "b.tflite")
    )
    assert cpu_model(compiled, None) == compiled
    plain.touch()
    assert cpu_model(compiled, None) == plain
    assert cpu_model(compiled, other) == other
    assert cpu_model(plain, None) == plain
