"""What a request names is looked for before anything is loaded, and then read."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from edgekit_convert import material
from edgekit_convert.feeding.candidates import NORMALIZATIONS, Way
from edgekit_convert.feeding.check import FITS, Finding
from edgekit_convert.given.pictures import GivenPictures
from edgekit_convert.material import Material, check_feeding, check_inputs, gather
from edgekit_convert.progress import Reporter
from edgekit_convert.request import Request
from edgekit_convert.source_models import Checkpoint, InMemory, OnnxFile, PublishedWeights
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from edgekit.errors import ConfigurationError, EdgekitError, MisfitError
from edgekit.model.architectures import ARCHITECTURES
from edgekit.model.geometry import Geometry
from edgekit.model.manifest import Normalization
from edgekit.vision.view import Region
from tests.convert.feeding.networks import AT_64, network, prepared, untouched_pictures


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


class TestGiven:
    """Pictures that come from Python, as a network that remembers its training was fed."""

    TO_1 = NORMALIZATIONS["pixels from 0 to 1"]
    HALF = NORMALIZATIONS["pixels from -1 to 1"]

    def _gather(
        self, trained: nn.Module, calibration: Any, evaluation: Any, asked: Way = AT_64
    ) -> tuple[Material, Finding, list[str]]:
        request = Request(
            model=InMemory(trained),
            geometry=asked.geometry,
            normalization=asked.normalization,
            calibration=GivenPictures(calibration, "calibration"),
            evaluation=GivenPictures(evaluation, "evaluate"),
            classes=["a", "b", "c"],
        )
        check_inputs(request)
        reporter = Reporter()
        material = gather(request, reporter)
        return material, check_feeding(request, material, reporter), reporter.notes

    def test_loaders_of_normalized_tensors_fit_the_network_that_they_trained(self) -> None:
        pictures, others = (prepared(AT_64, untouched_pictures(64, seed)) for seed in (1000, 5000))
        loaders = [
            DataLoader(TensorDataset(torch.from_numpy(AT_64.feed(some)), torch.arange(64) % 3), 16)
            for some in (pictures, others)
        ]
        material, finding, notes = self._gather(network(way=AT_64), *loaders)
        assert finding.summary.verdict == FITS
        assert np.array_equal(material.calibration.tensors, pictures)
        assert material.evaluation is not None and material.evaluation.truth is not None
        assert np.array_equal(material.evaluation.tensors, others)
        assert material.evaluation.truth.tolist() == [number % 3 for number in range(64)]
        (note,) = (note for note in notes if note.startswith("calibration: "))
        assert "have the model's size already" in note

    @pytest.mark.parametrize("true", ["TO_1", "HALF"])
    def test_the_networks_memory_contradicts_what_pixels_alone_do_not(self, true: str) -> None:
        way = Way(AT_64.geometry, getattr(self, true))
        pictures = prepared(AT_64, untouched_pictures())
        values = pictures.astype(np.float32) / 255
        with pytest.raises(MisfitError, match=r"--mean 0(,0,0|\.5,0\.5,0\.5) --std") as error:
            self._gather(network(way=way), values, pictures[::-1] // 2)
        assert "--size" not in str(error.value)

    def test_the_same_pictures_are_not_both(self) -> None:
        pictures = prepared(AT_64, untouched_pictures())
        with pytest.raises(EdgekitError, match="are the same pictures; evaluate on pictures that"):
            self._gather(network(way=AT_64), pictures, pictures)

    def test_what_is_no_picture_is_refused_before_the_model_is_opened(self) -> None:
        pictures = np.zeros((4, 64, 64, 1), np.uint8)
        with pytest.raises(EdgekitError, match="is grey"):
            self._gather(nn.Identity(), pictures, pictures[1:])


def test_a_region_is_of_the_pictures_that_are_read(
    named: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def spy(*arguments: object, **_: object) -> None:
        asked.append(arguments[-1])
        raise EdgekitError("seen")

    region = Region(0.5, 0, 0.5, 1)
    monkeypatch.setattr(material, "load_calibration", spy)
    monkeypatch.setattr(material, "load_evaluation", spy)
    for evaluation in (None, named["evaluation"]):
        request = _request(
            {"model": InMemory(network(way=AT_64)), "calibration": named["calibration"]},
            classes=["a", "b", "c"], evaluation=evaluation, region=region,
        )  # fmt: skip
        with pytest.raises(EdgekitError, match="seen"):
            gather(request, Reporter())
    assert asked == [region, region]


def test_a_region_without_pictures_of_files_is_refused(named: dict[str, Any]) -> None:
    region = Region(0.5, 0, 0.5, 1)
    nothing = _request(named, calibration=None, evaluation=None, region=region)
    with pytest.raises(ConfigurationError, match="view_region is of pictures"):
        check_inputs(nothing)
    arrays = GivenPictures(prepared(AT_64, untouched_pictures()), "calibration")
    with pytest.raises(ConfigurationError, match="cut the pictures of calibration yourself"):
        check_inputs(_request(named, calibration=arrays, region=region))
