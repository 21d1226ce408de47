"""The classification head: what a state dict says of it, and what only its owner can say.

Linear and BatchNorm layers leave tensors behind. Activations and Dropout leave none, only gaps in
the numbering of a Sequential: which they are is said by `--head`, or guessed and told.
"""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from edgekit.errors import CheckpointError
from edgekit_convert.weights.head_layers import BATCHNORM, INSTEAD, LINEAR, WEIGHTED, WEIGHTLESS

PREFIX = "fc."
# What torchmetrics count in.
_OF_METRICS = re.compile(r".*\.(?:tp|fp|tn|fn|confmat|correct|total|count|preds|target|mean_value)")
# What a training keeps beside its network: weights of the loss, figures.
_OF_TRAINING = re.compile(
    r"(?:.*[._])?(?:criterion|loss\w*|metrics?|acc|accuracy|class_weights?|pos_weight)(?:[._].*)?"
)


def find_head(rest: dict[str, Any]) -> tuple[dict[str, Tensor], list[str]]:
    """What is beside the trunk of a ResNet: its head, and what belongs to the training.

    Args:
        rest: by the names that the checkpoint gives it.

    Returns:
        the head's tensors under `fc.`, and the names of what is left out: counters, weights of a
        loss.
    """
    left_out = [
        key
        for key, item in rest.items()
        if not key.endswith("num_batches_tracked")
        and (
            not isinstance(item, Tensor)
            or (item.ndim == 0 and not item.is_floating_point())
            or (item.ndim < 2 and _OF_TRAINING.fullmatch(key))
            or (not item.is_floating_point() and _OF_METRICS.fullmatch(key))
        )
    ]
    kept = {key: item for key, item in rest.items() if key not in left_out}
    modules = list(dict.fromkeys(key.rpartition(".")[0] for key in kept))
    parents = [name.split(".")[:-1] for name in modules]
    levels = zip(*parents, strict=False)
    shared = len(list(itertools.takewhile(lambda level: len(set(level)) == 1, levels)))
    if len(modules) == 1 and not modules[0].rpartition(".")[2].isdigit():
        shared += 1
    return {
        f"{PREFIX}{'.'.join(key.split('.')[shared:])}": item for key, item in kept.items()
    }, left_out


@dataclass(frozen=True)
class _Weighted:
    """A layer of the state dict: its name in the head, `linear` or `batchnorm`, its tensors."""

    name: str
    kind: str
    tensors: dict[str, Tensor]

    @property
    def position(self) -> int | None:
        """In its Sequential, where it is in one."""
        return int(self.name) if self.name.isdigit() else None

    @property
    def shown(self) -> str:
        """Its name in the state dict."""
        return f"{PREFIX}{self.name}".rstrip(".")

    def build(self) -> nn.Module:
        weight = self.tensors["weight"]
        layer: nn.Module
        if self.kind == LINEAR:
            layer = nn.Linear(weight.shape[1], weight.shape[0], bias="bias" in self.tensors)
        else:
            layer = nn.BatchNorm1d(len(weight))
        # Without the number of training steps, which older checkpoints lack too.
        layer.load_state_dict(self.tensors, strict=False)
        return layer


def _weighted(state: dict[str, Tensor]) -> list[_Weighted]:
    """The layers of the head that have tensors, in their order."""
    found: dict[str, dict[str, Tensor]] = {}
    for key, tensor in state.items():
        if key.startswith(PREFIX):
            name, _, leaf = key.removeprefix(PREFIX).rpartition(".")
            found.setdefault(name, {})[leaf] = tensor
    if not found:
        raise CheckpointError(
            "the checkpoint has no classification head (no Linear layer beside the ResNet's own); "
            "save the whole network's state dict"
        )
    layers = [_Weighted(name, _kind(name, tensors), tensors) for name, tensors in found.items()]
    return sorted(layers, key=lambda layer: layer.position or 0)


def _kind(name: str, tensors: dict[str, Tensor]) -> str:
    shapes = {leaf: tensor.ndim for leaf, tensor in tensors.items()}
    if shapes in ({"weight": 2}, {"weight": 2, "bias": 1}):
        return LINEAR
    counted = {leaf: ndim for leaf, ndim in shapes.items() if leaf != "num_batches_tracked"}
    if counted == {"weight": 1, "bias": 1, "running_mean": 1, "running_var": 1}:
        return BATCHNORM
    held = ", ".join(f"{name}.{leaf}".lstrip(".") for leaf in list(tensors)[:3])
    raise CheckpointError(
        f"beside the ResNet's own layers the checkpoint holds {held}, which is not a Linear layer; "
        f"heads are made of Linear, BatchNorm1d and activations; {INSTEAD}"
    )


def check_sizes(state: dict[str, Tensor], features: int) -> None:
    """Check that the layers of the head take what the ones before them give.

    Args:
        state: holds the head under `fc`.
        features: channels that reach it.

    Raises:
        CheckpointError: names the layer that does not, or a head of a single value.
    """
    for layer in _weighted(state):
        taken = layer.tensors["weight"].shape[-1]
        if taken != features:
            raise CheckpointError(
                f"the head's layer {layer.shown} takes {taken} values where {features} arrive: it "
                "belongs to another network, is one of several heads, or takes more than the mean "
                f"of the features, as fastai's does; {INSTEAD}"
            )
        features = len(layer.tensors["weight"])
    if features < 2:
        raise CheckpointError(
            "the checkpoint tells no classes apart: its head gives a single value; train it with "
            "two classes or more, and a softmax"
        )


def build_head(state: dict[str, Tensor], layers: Sequence[str] | None = None) -> nn.Module:
    """The head `fc` of a state dict, with its weights.

    Args:
        state: holds the head under `fc`.
        layers: of the head in their order (`parse_head`), where the user says them. Otherwise a gap
            behind a Linear is a ReLU (without one, two Linear layers would be a single one), and
            other gaps are Dropout, which does nothing at inference; see `guess`.

    Raises:
        CheckpointError: there is no head, it holds layers of another kind, `layers` are not its
            own, or are needed.
    """
    weighted = _weighted(state)
    if layers is not None:
        return _as_told(weighted, layers)
    if len(weighted) == 1 and weighted[0].position is None:
        return weighted[0].build()
    other = next((layer for layer in weighted if layer.kind != LINEAR), None)
    if other and not _is_normalized_linear(weighted):
        raise CheckpointError(
            f"the head's layer {other.shown} is a BatchNorm1d, and the state dict does not say "
            f"where its activations are; {_ask(weighted)}"
        )
    if any(layer.position is None for layer in weighted):
        raise CheckpointError(
            f"the head's layers are called {_names(weighted)}, which does not say what lies "
            f"between them; {_ask(weighted)}"
        )
    numbered = {layer.position: layer.build() for layer in weighted}
    gaps = _gaps(weighted)
    return nn.Sequential(
        *(
            numbered[place] if place in numbered else getattr(nn, gaps[place])()
            for place in range(len(numbered) + len(gaps))
        )
    )


def _is_normalized_linear(weighted: list[_Weighted]) -> bool:
    """Whether it is a BatchNorm and the Linear behind it, with nothing between them."""
    kinds = [layer.kind for layer in weighted]
    return kinds == [BATCHNORM, LINEAR] and _adjacent(*weighted)


def _adjacent(layer: _Weighted, following: _Weighted) -> bool:
    """Whether nothing is between two layers of a Sequential."""
    return layer.position is not None and following.position == layer.position + 1


def guess(state: dict[str, Tensor]) -> str | None:
    """What `build_head` guesses where nobody says the layers, in words; None where it need not."""
    weighted = _weighted(state)
    gaps = _gaps(weighted)
    for layer, following in itertools.pairwise(weighted):
        if layer.kind == following.kind == LINEAR and _adjacent(layer, following):
            return (
                f"nothing is between {layer.shown} and {following.shown} of the head, as its "
                "numbering has it, so that the two compute what one Linear would; where there is "
                "an activation, say what your network has with --head, or compare with its own "
                "answers by --reference"
            )
    if not gaps:
        return None
    names = ", ".join(f"{PREFIX}{place}" for place in gaps)
    return (
        f"the state dict does not say what {names} of the head {'is' if len(gaps) == 1 else 'are'}:"
        f" taken for {', '.join(gaps.values())}; say what your network has with --head, or compare "
        "with its own answers by --reference"
    )


def _gaps(weighted: list[_Weighted]) -> dict[int, str]:
    """Layers without weights, by their position in the Sequential, as they are guessed."""
    places = [layer.position for layer in weighted if layer.position is not None]
    missing = set(range(max(places, default=-1))) - set(places)
    return {
        place: WEIGHTLESS["relu" if place - 1 in places else "dropout"] for place in sorted(missing)
    }


def _names(weighted: list[_Weighted]) -> str:
    return ", ".join(f"{layer.shown} ({layer.kind})" for layer in weighted)


def _ask(weighted: list[_Weighted]) -> str:
    kinds = ", ".join(layer.kind for layer in weighted)
    return f'name all layers in their order with --head: "{kinds}" with what lies between them'


def _as_told(weighted: list[_Weighted], layers: Sequence[str]) -> nn.Module:
    places = [place for place, layer in enumerate(layers) if layer in WEIGHTED]
    if [layers[place] for place in places] != [layer.kind for layer in weighted]:
        raise CheckpointError(
            f"--head says {', '.join(layers[place] for place in places)} where the checkpoint has "
            f"{_names(weighted)}"
        )
    for place, layer in zip(places, weighted, strict=True):
        if layer.position not in (None, place):
            raise CheckpointError(
                f"--head has the layer {layer.shown} at position {place}, counted from 0; name "
                "every layer, dropout too (identity for one that does nothing)"
            )
    numbered = {place: layer.build() for place, layer in zip(places, weighted, strict=True)}
    return nn.Sequential(
        *(
            numbered[place] if place in numbered else getattr(nn, WEIGHTLESS[layer])()
            for place, layer in enumerate(layers)
        )
    )


def describe_head(head: nn.Module) -> str:
    """For example `Linear(512, 1000) - ReLU - Dropout - Linear(1000, 10)`."""
    layers = list(head) if isinstance(head, nn.Sequential) else [head]
    return " - ".join(map(_describe, layers))


def _describe(layer: nn.Module) -> str:
    if isinstance(layer, nn.Linear):
        return f"Linear({layer.in_features}, {layer.out_features})"
    return type(layer).__name__
