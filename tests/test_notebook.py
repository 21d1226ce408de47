"""docs/notebook.ipynb in a real kernel, from training to a model that answers."""

import nbformat
import pytest
from nbclient import NotebookClient

import edgekit
from demo.fixtures import Material
from demo.scene import CLASSES
from tests.conftest import ROOT
from tests.test_python_page import LENIENT

PATH = ROOT / "docs" / "notebook.ipynb"
# A torchvision for CUDA beside a torch for the CPU needs help to be imported, and how the training
# falls out is not what is tested.
BEFORE = f"""
import functools
import edgekit_convert
from edgekit_convert.weights.torchvision_shim import import_torchvision
import_torchvision()
edgekit_convert.convert = functools.partial(edgekit_convert.convert, **{LENIENT})
"""


def test_it_is_kept_without_outputs() -> None:
    for cell in nbformat.read(PATH, nbformat.NO_CONVERT).cells:
        assert not cell.get("outputs") and not cell.get("execution_count")


@pytest.fixture(scope="module")
def run(material: Material) -> list[nbformat.NotebookNode]:
    """Its cells with what they show."""
    notebook = nbformat.read(PATH, nbformat.NO_CONVERT)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(BEFORE))
    resources = {"metadata": {"path": str(PATH.parent)}}
    NotebookClient(notebook, timeout=600, resources=resources).execute()
    return list(notebook.cells)


def _shown(run: list[nbformat.NotebookNode], kind: str) -> list[str]:
    outputs = [output for cell in run for output in cell.get("outputs", [])]
    return [output.data[kind] for output in outputs if kind in output.get("data", {})]


def test_it_runs_and_shows_reports_an_answer_and_pictures(
    run: list[nbformat.NotebookNode],
) -> None:
    conversion, answer, evaluation = _shown(run, "text/html")
    assert conversion.startswith("<iframe sandbox ") and evaluation.startswith("<iframe sandbox ")
    assert answer.startswith("<table>")
    assert len(_shown(run, "image/png")) == 1


def test_what_is_shown_as_text_is_short(run: list[nbformat.NotebookNode]) -> None:
    assert all(len(text) < 1000 for text in _shown(run, "text/plain"))


def test_the_file_that_it_writes_answers(
    run: list[nbformat.NotebookNode], material: Material
) -> None:
    model = ROOT / "build" / "notebook" / "toys.tflite"
    picture = next((material.evaluation / "key").iterdir())
    assert edgekit.Classifier(model)(picture).label in CLASSES
