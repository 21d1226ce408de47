"""What a request names is looked for before anything is loaded."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from edgekit_convert.material import check_inputs
from edgekit_convert.request import Request
from edgekit_convert.source_models import Checkpoint, OnnxFile, PublishedWeights

from edgekit.errors import EdgekitError
from edgekit.model.architectures import ARCHITECTURES
from edgekit.model.geometry import Geometry
from edgekit.model.manifest import Normalization


@pytest.fixture
def named(tmp_path: Path) -> dict[str, Any]:
    """Everything that a request may name, and all of it there."""
    for name in ("x.pth", "answers.npz"):
        (tmp_path / name).write_bytes(b"something")
    (tmp_path / "names.txt").write_text("cat\ndog\n")
    for name in ("calibration", "evaluation"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.png").touch()
    return {
        "model": Checkpoint(ARCHITECTURES["18"], tmp_path / "x.pth"),
        "reference": tmp_path / "answers.npz",
        "classes": tmp_path / "names.txt",
        "calibration": tmp_path / "calibration",
        "evaluation": tmp_path / "evaluation",
    }


def _request(named: dict[str, Any], **changed: Any) -> Request:
    fixed: dict[str, Any] = {
        "geometry": Geometry(64, 64, 1.0), "normalization": Normalization((0, 0, 0), (1, 1, 1))
    }  # fmt: skip
    return Request(**(fixed | named | changed))


def _named(option: str, path: str) -> Any:
    return Checkpoint(ARCHITECTURES["18"], Path(path)) if option == "model" else Path(path)


def test_what_is_there_passes(named: dict[str, Any]) -> None:
    check_inputs(_request(named))


def test_published_weights_are_no_named(named: dict[str, Any]) -> None:
    check_inputs(_request(named, model=PublishedWeights(ARCHITECTURES["18"], 1)))


ORDER = ["model", "reference", "classes", "calibration", "evaluation"]


@pytest.mark.parametrize("missing", ORDER)
def test_what_is_missing_is_named(named: dict[str, Any], missing: str) -> None:
    with pytest.raises(EdgekitError, match="/nowhere"):
        check_inputs(_request(named, **{missing: _named(missing, "/nowhere")}))


def test_a_missing_onnx_model_is_called_one(named: dict[str, Any]) -> None:
    with pytest.raises(EdgekitError, match="cannot read the ONNX model /nowhere"):
        check_inputs(_request(named, model=OnnxFile(Path("/nowhere"))))


@pytest.mark.parametrize(("first", "second"), list(pairwise(ORDER)))
def test_of_several_the_first_of_the_command_line_is(
    named: dict[str, Any], first: str, second: str
) -> None:
    with pytest.raises(EdgekitError, match="/first"):
        check_inputs(
            _request(named, **{first: _named(first, "/first"), second: _named(second, "/second")})
        )


def test_a_folder_is_no_checkpoint(named: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(EdgekitError, match="is a folder; name the file in it"):
        check_inputs(_request(named, model=Checkpoint(None, tmp_path)))


@pytest.mark.parametrize("option", ["calibration", "evaluation"])
def test_folders_without_pictures_are_found_at_once(
    named: dict[str, Any], option: str, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(EdgekitError, match=r"no images in .*empty"):
        check_inputs(_request(named, **{option: tmp_path / "empty"}))


def test_label_files_are_read_at_once(named: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("")
    with pytest.raises(EdgekitError, match="holds no class names"):
        check_inputs(_request(named))
