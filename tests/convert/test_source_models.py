"""What a user brings is told by its type, and a file's by its first bytes."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnx
import pytest
import torch
from edgekit_convert.source_models import (
    Checkpoint,
    InMemory,
    OnnxFile,
    ProgramFile,
    PublishedWeights,
    find_source,
)
from torch import nn

from edgekit.errors import CheckpointError, ConfigurationError
from edgekit.model.architectures import ARCHITECTURES
from edgekit.model.geometry import Geometry
from edgekit.model.manifest import Normalization
from tests.convert.weights.test_programs import write

NORMALIZATION = Normalization((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def _onnx() -> onnx.ModelProto:
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    return onnx.helper.make_model(onnx.helper.make_graph([node], "small", [], []))


def test_networks_in_memory() -> None:
    module = nn.Linear(2, 2)
    program = torch.export.export(module, (torch.zeros(1, 2),))
    for model in (module, program, _onnx()):
        assert find_source(model) == InMemory(model)


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("x.onnx", b"", OnnxFile),
        ("x.bin", _onnx().SerializeToString(), OnnxFile),
        ("x.pt2", b"", ProgramFile),
        ("x.pth", b"\x80\x02", Checkpoint),
        ("onnx", b"", Checkpoint),
    ],
)
def test_files(tmp_path: Path, name: str, content: bytes, kind: type) -> None:
    (tmp_path / name).write_bytes(content)
    assert isinstance(find_source(tmp_path / name), kind)
    assert isinstance(find_source(str(tmp_path / name)), kind)


def test_a_program_by_any_name(tmp_path: Path) -> None:
    written = write(tmp_path / "x.pt2").rename(tmp_path / "model.pth")
    source = find_source(written)
    assert isinstance(source, ProgramFile)
    found = source.open(NORMALIZATION, Geometry(8, 8))
    assert (found.name, found.source, found.classes) == ("model.pth", "program", 3)
    assert found.notes == []
    with pytest.raises(CheckpointError, match=r"model.pth: the program takes pictures of 8x8"):
        source.open(NORMALIZATION, Geometry(16, 16))


def test_published_weights() -> None:
    found = find_source("imagenet", arch="50")
    assert found == PublishedWeights(ARCHITECTURES["50"], 2)
    with pytest.raises(ConfigurationError, match="imagenet-v1 for --arch 18, not imagenet-v2"):
        find_source("imagenet-v2", arch="18")
    with pytest.raises(ConfigurationError, match="needs --arch"):
        find_source("imagenet")


def test_a_checkpoint_of_no_known_resnet_says_so(tmp_path: Path) -> None:
    state = {f"layer{n}.0.conv1.weight": torch.ones(4, 4, 3, 3) for n in (1, 2, 3, 4)}
    torch.save(state | {"fc.weight": torch.ones(2, 4)}, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match="no ResNet of 18, 34, 50, 101, 152 layers"):
        find_source(tmp_path / "x.pth").open(NORMALIZATION, Geometry(64, 64))


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (None, "NoneType is not a network; pass an nn.Module"),
        (nn.Linear, "Linear is a class, not a network"),
        (nn.Linear(2, 2).state_dict(), "OrderedDict is not a network; load its weights"),
        (SimpleNamespace(model=nn.Linear(2, 2)), r"SimpleNamespace is not a network; pass its .mo"),
    ],
)
def test_what_is_no_network_is_refused(model: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        find_source(model)


@pytest.mark.parametrize("option", ["arch", "head", "weights_key"])
def test_options_of_checkpoints_are_for_these_alone(option: str) -> None:
    value: Any = ("linear",) if option == "head" else "18"
    with pytest.raises(ConfigurationError, match="is for a checkpoint of a ResNet alone"):
        find_source(nn.Linear(2, 2), **{option: value})
