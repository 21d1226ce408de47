"""The examples of docs/python.md run, in their order, in one program."""

import inspect
import re
import shutil
from pathlib import Path
from typing import Any

import edgekit_convert
import msgspec
import pytest
from edgekit_convert.outputs import Conversion, refusal
from edgekit_convert.progress import Reporter
from edgekit_convert.source_models import find_source
from edgekit_convert.verify.fidelity import Gate

from demo.fixtures import Material
from demo.scene import CLASSES
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE)
# What a test demands of a network whose training nobody looked at.
LENIENT = {"min_kept": 0.5, "min_agreement": 0.5, "min_snr": 3.0, "max_score_change": 0.5}


def _some(folder: Path, target: Path, per_class: int) -> None:
    for label in CLASSES:
        (target / label).mkdir(parents=True)
        for picture in sorted((folder / label).iterdir())[:per_class]:
            shutil.copy(picture, target / label)


@pytest.fixture
def files(material: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the page speaks of, as the working directory."""
    _some(material.calibration, tmp_path / "photos", 10)
    _some(material.evaluation, tmp_path / "held-out", 6)
    shutil.copy(material.checkpoint, tmp_path / "mine.pth")
    shutil.copy(next((material.evaluation / "key").iterdir()), tmp_path / "hall.jpg")
    for name in ("mine.onnx", "mine.pt2"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _network(checkpoint: Path) -> Any:
    import torch
    from edgekit_convert.weights.torchvision_shim import import_torchvision

    network = import_torchvision().models.resnet18(num_classes=len(CLASSES))
    network.load_state_dict(torch.load(checkpoint))
    return network


class Convert:
    """`edgekit_convert.convert`, of which only the first call converts, small and leniently.

    The others have their arguments and their files looked at, show progress, and have its result.
    """

    def __init__(self) -> None:
        self._real = edgekit_convert.convert
        self._first: Conversion | None = None

    def __call__(self, model: Any, **arguments: Any) -> Conversion:
        inspect.signature(self._real).bind(model, **arguments)
        if self._first is None:
            self._first = self._real(model, **{**arguments, "size": 64, **LENIENT})
            return self._first
        find_source(model, arch=str(arguments.get("arch") or "") or None).check()
        progress = arguments.get("progress")
        reporter = progress if isinstance(progress, Reporter) else Reporter(progress)
        with reporter.step("calibrating", 2) as advance:
            advance(1)
        if arguments.get("min_snr", 0) > 60:
            gate = Gate(False, "stage tflite-int8 has 30.0 dB, less than 90 dB", 0.99, 0.95)
            report = msgspec.structs.replace(self._first.report, written=False, gate=gate)
            raise refusal(report)
        return self._first


def test_every_example_runs(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(edgekit_convert, "convert", Convert())
    program: dict[str, Any] = {"model": _network(files / "mine.pth"), "names": CLASSES}
    for number, example in enumerate(EXAMPLES):
        exec(compile(example, f"example {number} of docs/python.md", "exec"), program)
    for name in ("door.tflite", "door.report.html", "door.report.json", "held-out.html"):
        assert (files / name).stat().st_size > 1000
    assert program["answer"].label in CLASSES
    assert not program["report"].written
    shown = capsys.readouterr()
    assert "agrees with pytorch on " in shown.out
    assert "less than 90 dB; no model was written" in shown.out
    assert "calibrating" in shown.err


def test_the_page_begins_with_three_lines() -> None:
    assert len([line for line in EXAMPLES[0].splitlines() if line]) == 3
    assert len(EXAMPLES) >= 8
