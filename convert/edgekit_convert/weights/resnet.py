"""A torchvision ResNet with the head and the weights of a checkpoint."""

from collections import OrderedDict
from typing import Any

from torch import Tensor, nn

from edgekit.errors import CheckpointError
from edgekit.model.architectures import Architecture, find_architecture
from edgekit_convert.weights.torchvision_shim import import_torchvision

_HEAD = "fc."


def recognise(state: dict[str, Tensor]) -> Architecture | None:
    """The architecture that the keys of a torchvision state dict belong to, if any."""
    blocks = tuple(
        len({key.split(".")[1] for key in state if key.startswith(f"layer{stage}.")})
        for stage in (1, 2, 3, 4)
    )
    return find_architecture(blocks, bottleneck=any(".conv3." in key for key in state))


def build_head(state: dict[str, Tensor]) -> nn.Module:
    """The head `fc` of a state dict: a Linear, or a Sequential of Linear, ReLU and Dropout.

    ReLU and Dropout leave no weights behind, only gaps in the numbering. Two Linear layers with a
    gap in between have a ReLU there: without one they would be a single Linear. Other gaps are
    Dropout, which does nothing at inference; nor would a ReLU before the first Linear, as its
    input, a mean of ReLU outputs, is not negative.

    Raises:
        CheckpointError: there is no head, or it holds layers of another kind.
    """
    keys = [key.removeprefix(_HEAD) for key in state if key.startswith(_HEAD)]
    if not keys:
        raise CheckpointError(
            "the checkpoint has no classification head (no key starts with 'fc.'); save the whole "
            "network's state dict"
        )
    names = list(dict.fromkeys(key.rpartition(".")[0] for key in keys))
    linears: dict[str, nn.Module] = {}
    for name in names:
        prefix = f"{_HEAD}{name}." if name else _HEAD
        weight, bias = state.get(f"{prefix}weight"), state.get(f"{prefix}bias")
        kinds = {key.removeprefix(f"{name}.") for key in keys if key.rpartition(".")[0] == name}
        if weight is None or weight.ndim != 2 or not kinds <= {"weight", "bias"}:
            raise CheckpointError(
                f"the head's layer {prefix[:-1]} is not a Linear layer; heads are made of Linear, "
                "ReLU and Dropout"
            )
        linears[name] = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    if names == [""]:
        return linears[""]
    if not all(name.isdigit() for name in names):
        raise CheckpointError(
            f"the head's layers are called {', '.join(names)}; name them by their position, as "
            "torch.nn.Sequential(...) does"
        )
    positions = sorted(map(int, names))
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for position in range(positions[-1] + 1):
        if position in positions:
            layers[str(position)] = linears[str(position)]
        elif position - 1 in positions:
            layers[str(position)] = nn.ReLU()
        else:
            layers[str(position)] = nn.Dropout()
    return nn.Sequential(layers)


def _check_sizes(head: nn.Module, features: int) -> None:
    for linear in [module for module in head.modules() if isinstance(module, nn.Linear)]:
        if linear.in_features != features:
            raise CheckpointError(
                f"a layer of the head takes {linear.in_features} values where {features} arrive; "
                "the checkpoint's head does not belong to its network"
            )
        features = linear.out_features
    if features < 2:
        raise CheckpointError(
            "the checkpoint tells no classes apart: its head gives a single value; train it with "
            "two classes or more, and a softmax"
        )


def describe_head(head: nn.Module) -> str:
    """For example `Linear(512, 1000) - ReLU - Dropout - Linear(1000, 10)`."""
    layers = list(head) if isinstance(head, nn.Sequential) else [head]
    return " - ".join(
        f"Linear({layer.in_features}, {layer.out_features})"
        if isinstance(layer, nn.Linear)
        else type(layer).__name__
        for layer in layers
    )


def _list(keys: list[str]) -> str:
    return f"{', '.join(keys[:3])}{', …' if len(keys) > 3 else ''}"


def _check_keys(
    architecture: Architecture, state: dict[str, Tensor], expected: dict[str, Tensor]
) -> None:
    problems = {
        "missing": [key for key in expected if key not in state],
        "unexpected": [key for key in state if key not in expected],
        "of another shape": [
            key for key in expected if key in state and expected[key].shape != state[key].shape
        ],
    }
    if not any(problems.values()):
        return
    details = "; ".join(
        f"{len(keys)} {what} ({_list(keys)})" for what, keys in problems.items() if keys
    )
    found = recognise(state)
    if found and found is not architecture:
        remedy = f"it fits --arch {found.option}"
    else:
        remedy = "it needs the keys of torchvision's ResNet"
    raise CheckpointError(
        f"the checkpoint's keys do not fit {architecture.name}: {details}; {remedy}"
    )


def load(architecture: Architecture, state: dict[str, Tensor]) -> nn.Module:
    """Build the network that `state` belongs to and load it, in evaluation mode.

    Raises:
        CheckpointError: names the keys that do not fit, and the `--arch` that would; or the
            first tensor with values that are not finite.
    """
    resnet = import_torchvision().models.resnet
    block = resnet.Bottleneck if architecture.bottleneck else resnet.BasicBlock
    network: Any = resnet.ResNet(block, architecture.blocks)
    network.fc = build_head(state)
    expected = network.state_dict()
    # Counters of training steps, which older checkpoints lack and inference does not use.
    state = {
        key: value.zero_() for key, value in expected.items() if key.endswith("batches_tracked")
    } | state
    _check_keys(architecture, state, expected)
    _check_sizes(network.fc, architecture.features)
    for key, value in state.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise CheckpointError(f"the checkpoint holds values that are not finite, in {key}")
    network.load_state_dict(state)
    module: nn.Module = network.eval().float()
    return module
