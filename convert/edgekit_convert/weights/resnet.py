"""A torchvision ResNet with the head and the weights of a checkpoint."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from edgekit.errors import CheckpointError
from edgekit.model.architectures import Architecture, find_architecture
from edgekit.text import listed
from edgekit_convert.weights.head import PREFIX, build_head, check_sizes
from edgekit_convert.weights.torchvision_shim import import_torchvision

_ELSE = "export the network to ONNX and pass it with --onnx"


def recognise(state: dict[str, Tensor]) -> Architecture | None:
    """The architecture that the keys of a torchvision state dict belong to, if any."""
    blocks = tuple(
        len({key.split(".")[1] for key in state if key.startswith(f"layer{stage}.")})
        for stage in (1, 2, 3, 4)
    )
    return find_architecture(blocks, bottleneck=any(".conv3." in key for key in state))


def _check_values(state: dict[str, Tensor]) -> None:
    """Refuse tensors that are no float weights, or not finite."""
    for key, value in state.items():
        if key.endswith("batches_tracked"):
            continue
        if not isinstance(value, Tensor) or value.is_quantized or not value.is_floating_point():
            raise CheckpointError(
                f"the checkpoint holds no float weights in {key}: it was quantized; edgekit "
                "quantizes float networks, so save the state dict from before that"
            )
        if not value.isfinite().all():
            raise CheckpointError(f"the checkpoint holds values that are not finite, in {key}")


def _check_stem(state: dict[str, Tensor]) -> None:
    """Refuse first convolutions of other ResNets, whose strides no state dict shows."""
    first = state.get("conv1.weight")
    if first is None or first.ndim != 4:
        return
    _, channels, height, width = first.shape
    if channels != 3:
        raise CheckpointError(
            f"the checkpoint's network takes pictures of {channels} channel{'s'[: channels > 1]}, "
            "not RGB, which is what cameras give; put a layer in front that makes them of RGB, "
            f"and {_ELSE}"
        )
    if (height, width) != (7, 7):
        raise CheckpointError(
            f"the checkpoint's first convolution is {height}x{width} where torchvision's ResNet has"
            " 7x7 (ResNets for small pictures, as CIFAR's, begin so): its stride, and whether max "
            f"pooling follows, are not in a state dict; {_ELSE}"
        )


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
        f"{len(keys)} {what} ({listed(keys, 3)})" for what, keys in problems.items() if keys
    )
    found = recognise(state)
    # All of torchvision's plain ResNets begin with 64 channels.
    block = state.get("layer1.0.conv2.weight")
    widened = block is not None and block.shape[:2] != (64, 64)
    if found and found is not architecture and not widened:
        remedy = f"it fits --arch {found.option}"
    elif found and (widened or not (problems["missing"] or problems["unexpected"])):
        remedy = f"its blocks have other widths, as a wide ResNet's or a ResNeXt's: {_ELSE}"
    else:
        remedy = f"it needs the keys of torchvision's ResNet; {_ELSE}"
    raise CheckpointError(
        f"the checkpoint's keys do not fit {architecture.name}: {details}; {remedy}"
    )


def load(
    architecture: Architecture, state: dict[str, Tensor], head: Sequence[str] | None = None
) -> nn.Module:
    """Build the network that `state` belongs to and load it, in evaluation mode.

    Args:
        architecture: which ResNet.
        state: by torchvision's keys, the head under `fc`.
        head: its layers (`parse_head`), where the user says them.

    Raises:
        CheckpointError: names the keys that do not fit, and the `--arch` that would; or the
            first tensor with values that are not finite.
    """
    _check_values(state)
    resnet = import_torchvision().models.resnet
    block = resnet.Bottleneck if architecture.bottleneck else resnet.BasicBlock
    network: Any = resnet.ResNet(block, architecture.blocks)
    expected = {key: item for key, item in network.state_dict().items() if not _is_head(key)}
    # Counters of training steps, which older checkpoints lack and inference does not use.
    trunk = {key: item.zero_() for key, item in expected.items() if key.endswith("batches_tracked")}
    trunk |= {key: item for key, item in state.items() if not _is_head(key)}
    _check_stem(trunk)
    _check_keys(architecture, trunk, expected)
    network.load_state_dict(trunk, strict=False)
    check_sizes(state, architecture.features)
    network.fc = build_head(state, head)
    module: nn.Module = network.eval().float()
    return module


def _is_head(key: str) -> bool:
    return key.startswith(PREFIX)
