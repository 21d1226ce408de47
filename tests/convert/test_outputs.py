"""The files of a conversion: beside each other, and never in the place of what is read."""

from pathlib import Path

import pytest
from edgekit_convert.outputs import Paths, check_paths

from edgekit.errors import OutputError

NAMES = ["m.tflite", "m.report.html", "m.report.json", "m_edgetpu.tflite"]


def test_they_are_named_by_the_model() -> None:
    paths = Paths.beside(Path("out/m.tflite"))
    found = [paths.model, paths.html, paths.json, paths.edgetpu]
    assert found == [Path("out") / name for name in NAMES]


@pytest.mark.parametrize("name", NAMES)
def test_none_may_be_what_is_read(tmp_path: Path, name: str) -> None:
    mine = tmp_path / name
    mine.write_bytes(b"weeks of training")
    with pytest.raises(OutputError, match=f"{mine} is read here, and would be lost"):
        check_paths(tmp_path / "m.tflite", [None, tmp_path, mine], edgetpu=True)
    # Those of an earlier conversion are replaced.
    check_paths(tmp_path / "m.tflite", [None, tmp_path], edgetpu=True)


@pytest.mark.parametrize("name", NAMES)
def test_none_may_be_a_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(OutputError, match=f"{name} is a folder; name a file to write"):
        check_paths(tmp_path / "m.tflite", [], edgetpu=True)


def test_what_is_not_compiled_does_not_matter(tmp_path: Path) -> None:
    mine = tmp_path / "m_edgetpu.tflite"
    mine.touch()
    check_paths(tmp_path / "m.tflite", [mine], edgetpu=False)
