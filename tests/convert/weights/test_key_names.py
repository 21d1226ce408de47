"""The same network by other names."""

import re
from pathlib import Path

import pytest
import torch
from edgekit_convert.weights.checkpoint import load_file
from edgekit_convert.weights.key_names import in_torchvisions_words, merge_masks
from edgekit_convert.weights.resnet import load
from torch.nn.utils import prune

from edgekit.model.architectures import ARCHITECTURES
from tests.convert.weights.test_checkpoint import network

# As `ResNetForImageClassification.state_dict()` of Transformers 5.24 has them.
TRANSFORMERS = {
    "resnet.embedder.embedder.convolution.weight": "resnet.conv1.weight",
    "resnet.embedder.embedder.normalization.running_mean": "resnet.bn1.running_mean",
    "resnet.encoder.stages.0.layers.0.layer.0.convolution.weight":
        "resnet.layer1.0.conv1.weight",
    "resnet.encoder.stages.0.layers.1.layer.1.normalization.bias": "resnet.layer1.1.bn2.bias",
    "resnet.encoder.stages.2.layers.22.layer.2.convolution.weight":
        "resnet.layer3.22.conv3.weight",
    "resnet.encoder.stages.3.layers.0.shortcut.convolution.weight":
        "resnet.layer4.0.downsample.0.weight",
    "resnet.encoder.stages.3.layers.0.shortcut.normalization.running_var":
        "resnet.layer4.0.downsample.1.running_var",
    "classifier.1.weight": "classifier.weight",
}  # fmt: skip


@pytest.mark.parametrize("prefix", ["", "model."])
def test_transformers_names_become_torchvisions(prefix: str) -> None:
    state = {f"{prefix}{key}": number for number, key in enumerate(TRANSFORMERS)}
    expected = {f"{prefix}{name}": number for number, name in enumerate(TRANSFORMERS.values())}
    assert in_torchvisions_words(state) == expected


def test_others_are_left_as_they_are() -> None:
    state = {"layer1.0.conv1.weight": 1, "classifier.1.weight": 2}
    assert in_torchvisions_words(state) == state


def test_two_keys_never_become_one() -> None:
    state = dict.fromkeys(TRANSFORMERS, 1) | {"resnet.conv1.weight": 2}
    assert in_torchvisions_words(state) == state


def test_pruned_weights_are_multiplied_with_their_masks() -> None:
    original, mask = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 0.0, 1.0])
    merged = merge_masks({"a.weight_orig": original, "a.weight_mask": mask, "a.bias": mask})
    assert list(merged) == ["a.weight", "a.bias"]
    assert merged["a.weight"].tolist() == [1, 0, 3]


@pytest.mark.parametrize(
    "state",
    [
        {"a.weight_orig": torch.ones(3), "a.weight_u": torch.ones(3)},
        {"a.weight_orig": torch.ones(3), "a.weight_mask": torch.ones(2)},
        {"a.weight_orig": torch.ones(3), "a.weight_mask": None},
        {"a.weight_mask": torch.ones(3)},
    ],
)
def test_what_has_no_mask_of_its_own_is_left(state: dict[str, object]) -> None:
    assert merge_masks(state) == state


def _of_transformers(key: str) -> str:
    """The name that Transformers has for a key of torchvision's."""
    kinds = {"conv": "convolution", "bn": "normalization"}
    if key.startswith("fc."):
        return key.replace("fc.", "classifier.1.")
    if match := re.match(r"(conv|bn)1\.", key):
        return key.replace(match[0], f"resnet.embedder.embedder.{kinds[match[1]]}.")
    stage, block, name, rest = key.split(".", 3)
    within = f"resnet.encoder.stages.{int(stage[-1]) - 1}.layers.{block}"
    if name == "downsample":
        place, leaf = rest.split(".")
        return f"{within}.shortcut.{list(kinds.values())[int(place)]}.{leaf}"
    return f"{within}.layer.{int(name[-1]) - 1}.{kinds[name[:-1]]}.{rest}"


@pytest.mark.parametrize("option", ["18", "50"])
def test_a_whole_network_of_transformers_is_torchvisions(option: str, tmp_path: Path) -> None:
    original = network(option)
    state = {_of_transformers(key): item for key, item in original.state_dict().items()}
    torch.save(state, tmp_path / "pytorch_model.bin")
    loaded = load(ARCHITECTURES[option], load_file(tmp_path / "pytorch_model.bin").state)
    pictures = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert torch.equal(loaded(pictures), original(pictures))


def test_pruned_weights_compute_what_they_did(tmp_path: Path) -> None:
    original = network("18")
    prune.l1_unstructured(original.get_submodule("layer1.0.conv1"), "weight", 0.5)
    prune.l1_unstructured(original.get_submodule("fc"), "weight", 0.5)
    torch.save(original.state_dict(), tmp_path / "pruned.pth")
    loaded = load(ARCHITECTURES["18"], load_file(tmp_path / "pruned.pth").state)
    pictures = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert torch.equal(loaded(pictures), original(pictures))
