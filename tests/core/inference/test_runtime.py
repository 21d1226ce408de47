import sys
import threading
import types
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from numpy.typing import NDArray

from edgekit.commands.options import runtime_options
from edgekit.errors import InferenceError, RuntimeUnavailableError
from edgekit.inference import interpreter as interpreter_module
from edgekit.inference import runtimes
from edgekit.inference.classifier import Classifier
from edgekit.inference.external_delegate import ExternalDelegate, name_of
from edgekit.inference.interpreter import Interpreter
from edgekit.inference.runtimes import Runtime, installed_runtimes
from edgekit.model.container import read_model
from edgekit.model.geometry import Geometry
from tests.tiny import COLOURS, SIZE, tiny_model

each_runtime = pytest.mark.parametrize("runtime", installed_runtimes())


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("tiny") / "tiny.tflite")


@each_runtime
def test_it_answers_on_the_cpu(model: Path, runtime: str) -> None:
    classifier = Classifier.open(model, runtime=runtime)
    classifier.warm_up()
    assert classifier.labels == list(COLOURS)
    assert (classifier.runtime_name, classifier.accelerator) == (runtime, "cpu")
    for index in range(3):
        frame = np.full((48, 64, 3), 40, np.uint8)
        frame[:, :, index] = 200
        scores = classifier.classify(frame)
        assert scores.argmax() == index
        assert scores[index] > 0.9


def test_a_model_without_a_manifest_sees_what_torchvisions_evaluation_keeps(model: Path) -> None:
    assert Classifier.open(model).geometry == Geometry(SIZE, SIZE, crop=224 / 256)


@each_runtime
def test_a_tensor_of_another_shape_is_an_inference_error(model: Path, runtime: str) -> None:
    classifier = Classifier.open(model, runtime=runtime)
    with pytest.raises(InferenceError, match=f"failed in {runtime} on cpu: .*[Dd]imension"):
        classifier.invoke(np.zeros((1, SIZE, SIZE + 1, 3), np.uint8))
    classifier.warm_up()


@each_runtime
def test_an_output_that_was_never_computed_is_an_inference_error(model: Path, runtime: str) -> None:
    interpreter = Interpreter(read_model(model).flatbuffer, runtime=runtime)
    interpreter._output_details[0]["index"] = 99
    with pytest.raises(InferenceError):
        interpreter.output()


@each_runtime
def test_a_model_for_an_edge_tpu_is_named_as_such(tmp_path: Path, runtime: str) -> None:
    compiled = tiny_model(tmp_path / "tiny_edgetpu.tflite", compiled=True)
    with pytest.raises(RuntimeUnavailableError, match="was compiled for an Edge TPU"):
        Classifier.open(compiled, runtime=runtime)


def test_a_closed_one_has_let_go_of_the_interpreter(model: Path) -> None:
    classifier = Classifier.open(model)
    classifier.close()
    assert classifier._interpreter._interpreter is None


def test_a_runtime_that_is_missing_is_named(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(runtimes.RUNTIMES, "tflite", Runtime("no_such_runtime", "tflite-runtime"))
    with pytest.raises(RuntimeUnavailableError, match="no_such_runtime"):
        Classifier.open(model, runtime="tflite")
    monkeypatch.setitem(
        runtimes.RUNTIMES, "litert", Runtime("no_such_either", "lite", "on Sundays")
    )
    with pytest.raises(
        RuntimeUnavailableError, match=r"; install lite on Sundays, or tflite-runtime$"
    ):
        Classifier.open(model)


class FakeInterpreter:
    """A runtime's interpreter that gives what the test says, whatever it is asked.

    Attributes:
        dtype: of the input.
        given: the tensor that was set last.
        answer: (1, classes), the raw output.
        quantization: its scale and zero point; a scale of 0 for none.
    """

    dtype: type = np.uint8
    given: NDArray[Any]
    answer: NDArray[Any] = np.float32([[0, 0, 1]])
    quantization: tuple[float, int] = (0.0, 0)

    def __init__(self, **_: object) -> None:
        pass

    def allocate_tensors(self) -> None:
        pass

    def get_input_details(self) -> list[dict[str, object]]:
        return [{"index": 0, "dtype": self.dtype}]

    def get_output_details(self) -> list[dict[str, object]]:
        return [{"index": 1, "name": "scores", "quantization": self.quantization}]

    def set_tensor(self, index: int, values: NDArray[Any]) -> None:
        assert index == 0
        type(self).given = values

    def invoke(self) -> None:
        pass

    def get_tensor(self, index: int) -> NDArray[Any]:
        assert index == 1
        return self.answer


@pytest.fixture
def another(monkeypatch: pytest.MonkeyPatch) -> type[FakeInterpreter]:
    """The interpreter of one more runtime, called `another`."""

    class Fresh(FakeInterpreter):
        pass

    module = types.ModuleType("another_runtime")
    module.Interpreter = Fresh  # type: ignore[attr-defined]
    module.OpResolverType = types.SimpleNamespace(AUTO=0, BUILTIN_REF=1)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(runtimes.RUNTIMES, "another", Runtime(module.__name__, "another-runtime"))
    return Fresh


def test_a_runtime_is_added_in_one_place(model: Path, another: type[FakeInterpreter]) -> None:
    assert installed_runtimes()[-1] == "another"
    classifier = Classifier.open(model, runtime="another")
    assert classifier.runtime_name == "another"
    assert classifier.classify(np.zeros((48, 64, 3), np.uint8)).tolist() == [0, 0, 1]
    command = click.command("x")(runtime_options(lambda **values: None))
    (option,) = (one for one in command.params if one.name == "runtime")
    assert "another" in option.type.choices


@pytest.mark.parametrize(
    ("dtype", "wanted"),
    [
        (np.uint8, [0, 127, 128, 255]),
        (np.int8, [-128, -1, 0, 127]),
        (np.float32, [0, 127, 128, 255]),
    ],
)
def test_pixels_are_given_in_the_models_own_type(
    another: type[FakeInterpreter], dtype: type, wanted: list[int]
) -> None:
    another.dtype = dtype
    pixels = np.uint8([0, 127, 128, 255])
    Interpreter(b"", runtime="another").set_input(pixels)
    assert another.given.dtype == dtype
    assert another.given.tolist() == wanted
    assert pixels.tolist() == [0, 127, 128, 255]


def test_scores_are_dequantized(another: type[FakeInterpreter]) -> None:
    another.quantization = (0.25, -3)
    another.answer = np.int8([[-3, 1, -128]])
    assert Interpreter(b"", runtime="another").output().tolist() == [0, 1, -31.25]


def test_what_a_runtime_says_is_told_on_one_line_and_once() -> None:
    failed = "no answerNode number 2 (Fake) failed to invoke."
    assert (
        interpreter_module._reason(RuntimeError(f"{failed}{failed}\n"))
        == "no answer; Node number 2 (Fake) failed to invoke"
    )
    assert interpreter_module._reason(RuntimeError("")) == "it gives no reason"


@pytest.mark.parametrize(
    ("library", "name"),
    [
        ("libedgetpu.so.1", "edgetpu"),
        ("/usr/lib/libvx_delegate.so", "vx_delegate"),
        ("other.so.2.0", "other"),
    ],
)
def test_a_delegate_is_called_after_its_library(library: str, name: str) -> None:
    assert name_of(library) == name


def test_a_library_that_is_no_delegate(model: Path, tmp_path: Path) -> None:
    for library in ("libnone.so.1", str(tmp_path / "libnone.so")):
        with pytest.raises(RuntimeUnavailableError, match=r"cannot be loaded \(libnone|/libnone"):
            Classifier.open(model, delegate=library)
    text = tmp_path / "libtext.so"
    text.write_text("not a library")
    with pytest.raises(RuntimeUnavailableError, match="cannot be loaded"):
        Classifier.open(model, delegate=str(text))
    if sys.platform == "linux":
        with pytest.raises(RuntimeUnavailableError, match="is not a TFLite delegate"):
            ExternalDelegate("libc.so.6", {})


def test_two_models_answer_side_by_side(model: Path) -> None:
    classifiers = [Classifier.open(model) for _ in range(2)]
    frame = np.full((48, 64, 3), 90, np.uint8)
    expected = classifiers[0].classify(frame)
    answers: list[bool] = []

    def answer(classifier: Classifier) -> None:
        for _ in range(200):
            answers.append(np.array_equal(classifier.classify(frame), expected))

    threads = [threading.Thread(target=answer, args=(c,)) for c in classifiers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [True] * 400
