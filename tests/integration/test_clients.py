"""Programs that know nothing of edgekit use a model file that it wrote."""

import ctypes.util
import json
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from demo.fixtures import Material
from edgekit.inference.classifier import Classifier
from tests.conftest import ROOT

_MEDIAPIPE = "mediapipe==1.2.2"
# Systems that this version has a wheel for; there is no source distribution.
_WHEELS = {
    ("Linux", "x86_64"),
    ("Linux", "aarch64"),
    ("Darwin", "arm64"),
    ("Windows", "AMD64"),
}
_STEP = 1 / 256  # of the output, which is uint8

MediaPipe = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="session")
def mediapipe() -> MediaPipe:
    """Run `mediapipe_client.py` in an environment made on first use, kept in build/mediapipe."""
    system = platform.system(), platform.machine()
    if system not in _WHEELS:
        pytest.skip(f"{_MEDIAPIPE} has no wheel for {' '.join(system)}")
    for library in ("EGL", "GLESv2"):
        if system[0] == "Linux" and ctypes.util.find_library(library) is None:
            pytest.skip(f"MediaPipe loads lib{library}, which is not installed")
    python = _environment(ROOT / "build" / "mediapipe")

    def run(*arguments: str | Path) -> list[dict[str, Any]]:
        client = Path(__file__).with_name("mediapipe_client.py")
        command = [str(python), "-I", str(client), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    return run


def _environment(folder: Path) -> Path:
    """The interpreter of a virtual environment with MediaPipe."""
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    # Written last, so that it stands for a whole environment, of this version and interpreter.
    stamp, wanted = folder / "installed.txt", f"{_MEDIAPIPE}\n{sys.version}\n"
    if stamp.is_file() and stamp.read_text() == wanted:
        return python
    for command in (
        [sys.executable, "-m", "venv", "--clear", str(folder)],
        [str(python), "-m", "pip", "install", "--quiet", "--only-binary=:all:", _MEDIAPIPE],
    ):
        done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stderr}"
    stamp.write_text(wanted)
    return python


@pytest.fixture(scope="session")
def classifier(converted: Path) -> Classifier:
    """The model file as edgekit opens it."""
    return Classifier.open(converted, runtime="litert")


@pytest.fixture(scope="session")
def pictures(classifier: Classifier, material: Material) -> NDArray[np.uint8]:
    """Four pictures of every class (N, H, W, 3) uint8 RGB, at the model's own size."""
    tensors = []
    for folder in sorted(material.evaluation.iterdir()):
        for file in sorted(folder.iterdir())[:4]:
            frame = cv2.imread(str(file))
            assert frame is not None
            tensors.append(classifier.prepare(np.ascontiguousarray(frame[..., ::-1])))
    return np.concatenate(tensors)


def test_mediapipe_reads_the_description(mediapipe: MediaPipe, converted: Path) -> None:
    (described,) = mediapipe("describe", converted)
    assert described.pop("name")
    assert described.pop("description")
    (graph,) = described.pop("subgraphMetadata")
    assert described == {"minParserVersion": "1.0.0"}
    (image,), (probability,) = graph.pop("inputTensorMetadata"), graph.pop("outputTensorMetadata")
    assert not graph
    assert image.pop("description")
    assert image == {
        "name": "image",
        "content": {"contentPropertiesType": 2, "contentProperties": {"colorSpace": 1}},
        "processUnits": [{"optionsType": 1, "options": {"mean": [0.0], "std": [1.0]}}],
        "stats": {"max": [255.0], "min": [0.0]},
    }
    assert probability.pop("description")
    (labels,) = probability.pop("associatedFiles")
    assert labels.pop("description")
    assert labels == {"name": "labels.txt", "type": 2}
    assert probability == {
        "name": "probability",
        "content": {"contentPropertiesType": 1, "contentProperties": {}},
        "stats": {"max": [1.0], "min": [0.0]},
    }


def test_mediapipe_answers_as_edgekit_does(
    mediapipe: MediaPipe,
    converted: Path,
    classifier: Classifier,
    pictures: NDArray[np.uint8],
    tmp_path: Path,
) -> None:
    file = tmp_path / "pictures.npy"
    np.save(file, pictures)
    answers = mediapipe("classify", converted, file)
    assert len(answers) == len(pictures)
    for answer, picture in zip(answers, pictures, strict=True):
        scores = classifier.invoke(picture[None])
        second, best = np.sort(scores)[-2:]
        assert answer["name"] == classifier.label(answer["index"])
        assert answer["score"] == pytest.approx(best, abs=_STEP * 1.001)
        # MediaPipe brings a runtime of its own; where rounding decides, either answer is right.
        if best - second > 2 * _STEP:
            assert answer["index"] == scores.argmax()
        else:
            assert scores[answer["index"]] >= best - 2 * _STEP
    assert len({answer["name"] for answer in answers}) > 1


@pytest.mark.skipif(not shutil.which("unzip"), reason="unzip is not installed")
def test_unzip_prints_the_labels(converted: Path, classifier: Classifier) -> None:
    done = subprocess.run(
        ["unzip", "-p", str(converted), "labels.txt"], capture_output=True, check=False
    )
    assert done.stdout.decode() == "".join(f"{label}\n" for label in classifier.labels)


@pytest.mark.skipif(not shutil.which("unzip"), reason="unzip is not installed")
def test_the_documented_code_answers_as_edgekit_does(
    converted: Path,
    classifier: Classifier,
    pictures: NDArray[np.uint8],
    capsys: pytest.CaptureFixture[str],
) -> None:
    manual = (ROOT / "docs" / "model-file.md").read_text(encoding="utf-8")
    match = re.search(r"^## Without edgekit\n.*?^```python\n(.*?)^```$", manual, re.DOTALL | re.M)
    assert match is not None
    code = match[1].replace('"model.tflite"', repr(str(converted)))
    assert code != match[1]
    program = compile(code, "docs/model-file.md", "exec")
    for picture in pictures[::4]:
        exec(program, {"pixels": picture[None]})
        printed = capsys.readouterr().out.strip()
        assert printed == classifier.label(int(classifier.invoke(picture[None]).argmax()))
