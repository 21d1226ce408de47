"""What a checkpoint may look like, and which heads are understood."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from edgekit_convert.weights.checkpoint import load_file
from edgekit_convert.weights.resnet import build_head, describe_head, load
from edgekit_convert.weights.torchvision_shim import import_torchvision
from torch import nn

from edgekit.errors import CheckpointError
from edgekit.model.architectures import ARCHITECTURES

State = dict[str, torch.Tensor]


def network(option: str, head: nn.Module | None = None) -> nn.Module:
    """An untrained ResNet of torchvision's own, with a head of the test's."""
    torch.manual_seed(0)
    built: Any = getattr(import_torchvision().models, f"resnet{option}")(num_classes=3)
    if head is not None:
        built.fc = head
    module: nn.Module = built.eval()
    return module


@pytest.fixture(scope="module")
def state() -> State:
    return network("18").state_dict()


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 7},
        lambda state: {"model": state, "optimizer": {"lr": 0.1}},
        lambda state: {"model_state_dict": state},
        lambda state: {f"module.{key}": value for key, value in state.items()},
        lambda state: {"state_dict": {f"model.{key}": value for key, value in state.items()}},
    ],
)
def test_state_dicts_are_found_in_what_training_scripts_save(
    state: State, wrap: Callable[[State], Any], tmp_path: Path
) -> None:
    torch.save(wrap(state), tmp_path / "x.pth")
    found = load_file(tmp_path / "x.pth").state
    assert found.keys() == state.keys()
    assert all(torch.equal(found[key], state[key]) for key in state)


def test_safetensors_are_read(state: State, tmp_path: Path) -> None:
    safetensors.torch.save_file(state, tmp_path / "x.safetensors")
    assert load_file(tmp_path / "x.safetensors").state.keys() == state.keys()


@pytest.mark.parametrize("content", [b"", b"\x08\x00\x00\x00\x00\x00\x00\x00{}", b"x" * 100])
def test_damaged_safetensors_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"x\.safetensors"):
        load_file(tmp_path / "x.safetensors")


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, [1, 2], {"model": {"epoch": 1}}, 5])
def test_a_file_without_a_state_dict_says_what_it_holds(content: Any, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match="holds no state dict"):
        load_file(tmp_path / "x.pth")


HEADS = [
    (nn.Linear(512, 10), "Linear(512, 10)"),
    (nn.Linear(512, 10, bias=False), "Linear(512, 10)"),
    (
        nn.Sequential(nn.Linear(512, 1000), nn.ReLU(), nn.Dropout(0.5), nn.Linear(1000, 7)),
        "Linear(512, 1000) - ReLU - Dropout - Linear(1000, 7)",
    ),
    (
        nn.Sequential(nn.Dropout(0.5), nn.Linear(512, 64), nn.Dropout(0.5), nn.ReLU(),
                      nn.Linear(64, 7)),
        "Dropout - Linear(512, 64) - ReLU - Dropout - Linear(64, 7)",
    ),
    (
        nn.Sequential(nn.Linear(512, 20), nn.ReLU(), nn.Linear(20, 20), nn.ReLU(),
                      nn.Linear(20, 2)),
        "Linear(512, 20) - ReLU - Linear(20, 20) - ReLU - Linear(20, 2)",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("head", "words"), HEADS)
def test_a_head_is_inferred_from_its_weights(head: nn.Module, words: str) -> None:
    original = network("18", head)
    state = original.state_dict()
    rebuilt = load(ARCHITECTURES["18"], state)
    assert describe_head(rebuilt.get_submodule("fc")) == words
    pictures = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert torch.equal(rebuilt(pictures), original(pictures))


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (nn.Sequential(nn.Linear(512, 8), nn.BatchNorm1d(8), nn.Linear(8, 2)), "fc.1"),
        (nn.Sequential(nn.Conv1d(512, 8, 1)), "not a Linear layer"),
        (nn.ModuleDict({"first": nn.Linear(512, 2)}), "name them by their position"),
        (nn.Identity(), "no classification head"),
        (nn.Linear(512, 1), "tells no classes apart"),
        (nn.Linear(100, 2), "takes 100 values where 512 arrive"),
        (nn.Sequential(nn.Linear(512, 8), nn.ReLU(), nn.Linear(9, 2)), "takes 9 values where 8"),
    ],
)
def test_other_heads_are_refused(head: nn.Module, message: str) -> None:
    state = network("18", head).state_dict()
    with pytest.raises(CheckpointError, match=message):
        load(ARCHITECTURES["18"], state)


def test_checkpoints_without_batch_counters_are_loaded(state: State) -> None:
    old = {key: value for key, value in state.items() if not key.endswith("batches_tracked")}
    assert isinstance(build_head(old), nn.Linear)
    load(ARCHITECTURES["18"], old)
