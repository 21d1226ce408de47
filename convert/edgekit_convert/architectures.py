"""The ResNets that can be converted, by torchvision's names."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from edgekit.errors import CheckpointError
from edgekit_convert.torchvision_shim import import_torchvision

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
# torchvision evaluates the V1 weights on the central 224 of 256 pixels.
IMAGENET_CROP = 224 / 256


@dataclass(frozen=True)
class Architecture:
    """One ResNet.

    Attributes:
        name: torchvision's builder, for example `resnet18`.
        weights: name of torchvision's published weights.
        blocks: residual blocks in each of the four stages.
        bottleneck: whether a block is 1x1, 3x3, 1x1 rather than two 3x3 convolutions.
    """

    name: str
    weights: str
    blocks: tuple[int, int, int, int]
    bottleneck: bool

    def build(self, classes: int) -> nn.Module:
        """The untrained network with `classes` outputs."""
        models = import_torchvision().models
        network: nn.Module = getattr(models, self.name)(weights=None, num_classes=classes)
        return network

    def published(self) -> Any:
        """torchvision's weights entry: `.url`, `.meta["categories"]`, `.get_state_dict()`."""
        return import_torchvision().models.get_weight(self.weights)


ARCHITECTURES = {
    "18": Architecture("resnet18", "ResNet18_Weights.IMAGENET1K_V1", (2, 2, 2, 2), False),
    "50": Architecture("resnet50", "ResNet50_Weights.IMAGENET1K_V1", (3, 4, 6, 3), True),
}


def recognise(state: dict[str, Tensor]) -> str | None:
    """Which `--arch` the keys of a torchvision state dict belong to, if any."""
    blocks = tuple(
        len({key.split(".")[1] for key in state if key.startswith(f"layer{stage}.")})
        for stage in (1, 2, 3, 4)
    )
    bottleneck = any(".conv3." in key for key in state)
    for option, architecture in ARCHITECTURES.items():
        if architecture.blocks == blocks and architecture.bottleneck == bottleneck:
            return option
    return None


def load(architecture: Architecture, state: dict[str, Tensor]) -> nn.Module:
    """Build the network that `state` belongs to and load it, in evaluation mode.

    Raises:
        CheckpointError: names the keys that do not fit, and the `--arch` that would.
    """
    head = state.get("fc.weight")
    classes = head.shape[0] if head is not None and head.ndim == 2 else 1000
    network = architecture.build(classes)
    expected = network.state_dict()
    missing = [key for key in expected if key not in state]
    strange = [key for key in state if key not in expected]
    misshapen = [
        key for key in expected if key in state and expected[key].shape != state[key].shape
    ]
    if missing or strange or misshapen:
        details = "; ".join(
            f"{len(keys)} {what} ({', '.join(keys[:3])}{', …' if len(keys) > 3 else ''})"
            for what, keys in (
                ("missing", missing),
                ("unexpected", strange),
                ("of another shape", misshapen),
            )
            if keys
        )
        option = recognise(state)
        if option and ARCHITECTURES[option] is not architecture:
            remedy = f"it fits --arch {option}"
        else:
            remedy = "it needs the keys of torchvision's ResNet, with a plain fc layer"
        raise CheckpointError(
            f"the checkpoint's keys do not fit {architecture.name}: {details}; {remedy}"
        )
    broken = [
        key
        for key, value in state.items()
        if value.is_floating_point() and not value.isfinite().all()
    ]
    if broken:
        raise CheckpointError(f"the checkpoint holds values that are not finite, in {broken[0]}")
    network.load_state_dict(state)
    return network.eval()
