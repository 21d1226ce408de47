"""Which of the tensors in a checkpoint are a ResNet's, whatever keys it keeps them under."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from edgekit.errors import CheckpointError
from edgekit_convert.weights.formats import Content
from edgekit_convert.weights.head_layers import INSTEAD
from edgekit_convert.weights.key_names import in_torchvisions_words, merge_masks

# Every ResNet has a key such as `layer1.0.conv1.weight`, after whatever prefixes its wrappers add;
# where it went through nn.Sequential(*resnet.children()) stages go by their position.
_FIRST_BLOCK = re.compile(r"((?:.*\.)?)(layer1|4)\.0\.conv1\..+")
_STAGES = {f"layer{stage}": f"layer{stage}" for stage in (1, 2, 3, 4)}
_NAMES = {
    "layer1": {"conv1": "conv1", "bn1": "bn1"} | _STAGES,
    "4": {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4"},
}
# Moving averages of the weights: those that a training is evaluated with.
_AVERAGED = re.compile(r"(?:.*[._])?(?:ema|swa|avg|averaged?)(?:[._].*)?", re.IGNORECASE)
_STATE_DICT = "state_dict"  # of the network that was trained, as most call it
_DEPTH = 5  # dictionaries in dictionaries


@dataclass(frozen=True)
class Found:
    """A ResNet's tensors.

    Attributes:
        key: where they were, for example `state_dict_ema`; empty for a bare state dict.
        trunk: all but the head's, by torchvision's names.
        rest: everything else beside them, by the names it has there without the trunk's prefix.
    """

    key: str
    trunk: dict[str, Tensor]
    rest: dict[str, Any]


def choose(content: Content, path: Path, wanted: str | None) -> tuple[Found, str | None]:
    """The ResNet in a checkpoint; of several the one `wanted`, else an averaged one, or the first.

    Args:
        content: what the file holds.
        path: of the file, for messages.
        wanted: its key, or the end of its key.

    Returns:
        it, and in words which one was taken where nobody said it.

    Raises:
        CheckpointError: there is none, or none that is `wanted`.
    """
    found = list(_find(content.value, ()))
    if not found:
        raise CheckpointError(f"{path} {content.refusal or _what_it_holds(content.value)}")
    keys = ", ".join(one.key or "the state dict itself" for one in found)
    if wanted is not None:
        fitting = [one for one in found if f".{one.key}".endswith(f".{wanted}")]
        if len(fitting) != 1:
            raise CheckpointError(
                f"--weights-key {wanted} names {len(fitting) or 'none'} of the state dicts in "
                f"{path}; it holds: {keys}"
            )
        return fitting[0], None
    chosen = next((one for one in found if _AVERAGED.fullmatch(one.key)), found[0])
    if content.has_networks and chosen.key and _STATE_DICT not in chosen.key:
        # It may be a teacher's, beside the network itself.
        raise CheckpointError(
            f"{path} {content.refusal}; to take the state dict in it: --weights-key {chosen.key}"
        )
    if len(found) == 1:
        return chosen, None
    averaged = ", moving averages of the weights" if _AVERAGED.fullmatch(chosen.key) else ""
    return chosen, (
        f"{path} holds several state dicts ({keys}): {chosen.key or 'the first'}{averaged}, was "
        "taken; --weights-key NAME takes another"
    )


def _find(value: Any, keys: tuple[str, ...]) -> Iterator[Found]:
    if not isinstance(value, Mapping) or len(keys) > _DEPTH:
        return
    named = {key: item for key, item in value.items() if isinstance(key, str)}
    yield from _networks(merge_masks(in_torchvisions_words(named)), keys)
    for key, item in value.items():
        yield from _find(item, (*keys, str(key)))


def _networks(state: dict[str, Any], keys: tuple[str, ...]) -> Iterator[Found]:
    """Every ResNet in one state dict: a training may keep a teacher, or an average, beside it."""
    prefixes: dict[str, dict[str, str]] = {}
    for key, tensor in state.items():
        if isinstance(tensor, Tensor) and (match := _FIRST_BLOCK.fullmatch(key)):
            prefixes.setdefault(match[1], _NAMES[match[2]])
    trunks = {prefix: _trunk(state, prefix, names) for prefix, names in prefixes.items()}
    for prefix in _distinct(state, trunks):
        own = set(trunks[prefix].values())
        rest = {
            key.removeprefix(prefix): item
            for key, item in state.items()
            if key not in own and _belongs(key, prefix, list(trunks))
        }
        inside = prefix.rstrip(".").split(".") if len(trunks) > 1 and prefix else ()
        tensors = {name: state[key] for name, key in trunks[prefix].items()}
        yield Found(".".join((*keys, *inside)), tensors, rest)


def _trunk(state: dict[str, Any], prefix: str, names: dict[str, str]) -> dict[str, str]:
    """Keys of the trunk's tensors, by torchvision's name for each."""
    found = {}
    for key in state:
        module, dot, tensor = key.removeprefix(prefix).partition(".")
        if key.startswith(prefix) and dot and module in names:
            found[f"{names[module]}.{tensor}"] = key
    return found


def _distinct(state: dict[str, Any], trunks: dict[str, dict[str, str]]) -> list[str]:
    """Prefixes of trunks that differ: a network may hold the same layers by two names.

    Of the same ones the name under which there is most counts, the head too.
    """
    kept: list[str] = []
    for prefix in sorted(trunks, key=lambda one: -sum(key.startswith(one) for key in state)):
        if not any(_same(state, trunks[prefix], trunks[other]) for other in kept):
            kept.append(prefix)
    return [prefix for prefix in trunks if prefix in kept]


def _same(state: dict[str, Any], one: dict[str, str], other: dict[str, str]) -> bool:
    return one.keys() == other.keys() and all(
        state[key].shape == state[other[name]].shape and torch.equal(state[key], state[other[name]])
        for name, key in one.items()
        if isinstance(state[key], Tensor)
    )


def _belongs(key: str, prefix: str, prefixes: list[str]) -> bool:
    """Whether what is no trunk's belongs to the network whose trunk has this prefix."""
    around = [other for other in prefixes if other != prefix and prefix.startswith(other)]
    beside = [other for other in prefixes if other != prefix and other not in around]
    if around and not key.startswith(prefix):
        return False
    return not any(key.startswith(other) for other in beside)


def _what_it_holds(loaded: Any) -> str:
    """Words for a file without a ResNet."""
    state = _largest(loaded, 0)
    if state:
        return (
            f"holds no ResNet with the keys of torchvision's (its state dict begins with "
            f"{', '.join(list(state)[:3])}); {INSTEAD}"
        )
    held = ", ".join(map(str, list(loaded)[:5])) if isinstance(loaded, Mapping) else "none"
    return (
        f"holds no state dict (its keys: {held or 'none'}); save one: "
        "torch.save(model.state_dict(), FILE)"
    )


def _largest(value: Any, depth: int) -> dict[str, Tensor]:
    """The most tensors by name in one dictionary."""
    if not isinstance(value, Mapping) or depth > _DEPTH:
        return {}
    own = {str(key): item for key, item in value.items() if isinstance(item, Tensor)}
    return max([own, *(_largest(item, depth + 1) for item in value.values())], key=len)
