"""The names that others give the tensors of torchvision's ResNet, and what some make of one."""

import re
from collections.abc import Callable
from typing import Any

from torch import Tensor

# Transformers' `ResNetForImageClassification` is the same network by other names, behind whatever
# prefix: a pattern, and torchvision's name for what it matches.
_KINDS = {"convolution": "conv", "normalization": "bn"}
_PLACES = {"convolution": 0, "normalization": 1}
_LAYER = r"encoder\.stages\.(\d+)\.layers\.(\d+)\."
_TRANSFORMERS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (
        re.compile(rf"{_LAYER}layer\.(\d+)\.(convolution|normalization)\."),
        lambda key: f"layer{int(key[1]) + 1}.{key[2]}.{_KINDS[key[4]]}{int(key[3]) + 1}.",
    ),
    (
        re.compile(rf"{_LAYER}shortcut\.(convolution|normalization)\."),
        lambda key: f"layer{int(key[1]) + 1}.{key[2]}.downsample.{_PLACES[key[3]]}.",
    ),
    (
        re.compile(r"embedder\.embedder\.(convolution|normalization)\."),
        lambda key: f"{_KINDS[key[1]]}1.",
    ),
    # A Flatten is in front of its Linear.
    (re.compile(r"classifier\.1\."), lambda key: "classifier."),
)
# What `torch.nn.utils.prune` makes of a weight, until it is removed.
_MASKED, _MASK = "_orig", "_mask"


def in_torchvisions_words(state: dict[str, Any]) -> dict[str, Any]:
    """A state dict of Transformers by torchvision's names; any other as it is."""
    if not any(_TRANSFORMERS[0][0].search(key) for key in state):
        return state
    renamed = {_renamed(key): item for key, item in state.items()}
    return renamed if len(renamed) == len(state) else state


def _renamed(key: str) -> str:
    for pattern, name in _TRANSFORMERS:
        key = pattern.sub(name, key, count=1)
    return key


def merge_masks(state: dict[str, Any]) -> dict[str, Any]:
    """A state dict with pruned weights as they are used: `weight_orig` times `weight_mask`."""
    masked = {
        key.removesuffix(_MASKED)
        for key, item in state.items()
        if key.endswith(_MASKED)
        and isinstance(item, Tensor)
        and isinstance(mask := state.get(key.removesuffix(_MASKED) + _MASK), Tensor)
        and mask.shape == item.shape
    }
    merged = {}
    for key, item in state.items():
        name = key.removesuffix(_MASKED).removesuffix(_MASK)
        if name not in masked:
            merged[key] = item
        elif key.endswith(_MASKED):
            merged[name] = item * state[name + _MASK]
    return merged
