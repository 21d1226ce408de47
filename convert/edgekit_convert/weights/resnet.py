"""A torchvision ResNet with the head and the weights of a checkpoint."""

import re
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from edgekit.errors import CheckpointError
from edgekit.model.architectures import Architecture, find_architecture
from edgekit.text import listed
from edgekit_convert.weights.head import PREFIX, build_head, check_sizes
from edgekit_convert.weights.head_layers import INSTEAD
from edgekit_convert.weights.torchvision_shim import import_torchvision

# Keys of what is not torchvision's network, or not its plain weights: a pattern that one of them
# has, what that is, and what to do.
_OTHERS = (
    (r"\.lora_[AB]\.|\.base_layer\.", "a LoRA adapter that is not merged into its weights",
     "model = model.merge_and_unload(); torch.save(model.state_dict(), FILE)"),
    (r"fake_quant|activation_post_process|observer", "what another quantization observed",
     "edgekit quantizes float networks: save the state dict from before that was prepared"),
    (r"\.parametrizations\.", "weights that are computed from others (parametrizations)",
     "for each of these layers torch.nn.utils.parametrize.remove_parametrizations(layer, 'weight'),"
     " then save the state dict"),
    (r"\.weight_[guv]$", "weights that are computed from others (weight_norm or spectral_norm)",
     "for each of these layers torch.nn.utils.remove_weight_norm(layer), or remove_spectral_norm, "
     "then save the state dict"),
    (r"\.filt$", "filters that blur before it strides (antialiased)", INSTEAD),
    (r"(?:^|\.)conv1\.\d+\.weight$", "a stem of several convolutions (ResNet-C or -D)", INSTEAD),
    (r"\.downsample\.2\.", "average pooling in its shortcuts (ResNet-D)", INSTEAD),
    (r"layer\d\.\d+\.(?:se|eca|attn|attention)\b", "attention in its blocks (as SE-ResNet)",
     INSTEAD),
)  # fmt: skip


def recognise(state: dict[str, Tensor]) -> Architecture | None:
    """The architecture that the keys of a torchvision state dict belong to, if any."""
    blocks = tuple(
        len({key.split(".")[1] for key in state if key.startswith(f"layer{stage}.")})
        for stage in (1, 2, 3, 4)
    )
    return find_architecture(blocks, bottleneck=any(".conv3." in key for key in state))


def _check_others(state: dict[str, Tensor]) -> None:
    """Refuse what shows by a key that it is not torchvision's network, or not its plain weights."""
    for pattern, what, remedy in _OTHERS:
        if found := next((key for key in state if re.search(pattern, key)), None):
            raise CheckpointError(f"the checkpoint holds {what}, as in {found}; {remedy}")


def _is_plain(value: object) -> bool:
    """Whether it is a tensor of real numbers that are there."""
    return isinstance(value, Tensor) and not (
        value.layout is not torch.strided or value.is_meta or value.is_complex()
    )


def _check_statistics(state: dict[str, Tensor]) -> None:
    """Refuse a trunk without BatchNorm's statistics."""
    if not any(key.endswith(".running_mean") for key in state if not _is_head(key)):
        raise CheckpointError(
            "the checkpoint's normalization layers keep no statistics: they are GroupNorm, or only "
            f"parameters were saved, where model.state_dict() has the statistics too; {INSTEAD}"
        )


def _check_values(state: dict[str, Tensor]) -> None:
    """Refuse tensors that are no float weights, or not finite."""
    for key, value in state.items():
        if key.endswith("batches_tracked"):
            continue
        if not _is_plain(value):
            raise CheckpointError(
                f"the checkpoint holds no plain tensor of numbers in {key}: save the state dict of "
                "the trained network, each tensor in one piece"
            )
        # Floats of 8 bits are quantized, too.
        whole = value.is_floating_point() and value.element_size() > 1
        if value.is_quantized or not whole:
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
            f"and {INSTEAD}"
        )
    if (height, width) != (7, 7):
        raise CheckpointError(
            f"the checkpoint's first convolution is {height}x{width} where torchvision's ResNet has"
            " 7x7 (ResNets for small pictures, as CIFAR's, begin so): its stride, and whether max "
            f"pooling follows, are not in a state dict; {INSTEAD}"
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
        remedy = f"its blocks have other widths, as a wide ResNet's or a ResNeXt's: {INSTEAD}"
    else:
        remedy = f"it needs the keys of torchvision's ResNet; {INSTEAD}"
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
    _check_others(state)
    _check_values(state)
    _check_statistics(state)
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
