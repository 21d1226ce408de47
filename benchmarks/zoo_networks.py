"""The networks of `benchmarks.zoo`: torchvision's, timm's, and those of others in ../shared.

Weights cannot be downloaded where this runs, so that most are made here, with answers that mean
something. `short`: trained for a few epochs on 1,500 pictures of CIFAR-10. `head`: BatchNorm
statistics of these pictures, and a last layer that is trained on what the random layers before it
make of them.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from edgekit_convert.weights.torchvision_shim import import_torchvision
from torch import Tensor, nn

CLASSES = 10
_EPOCHS, _BATCH, _RATE = 5, 32, 1e-3
# Pictures that statistics are taken of.
_SETTLING = 300
_SHARED = Path("../shared")


@dataclass(frozen=True)
class Network:
    """A network of the table.

    Attributes:
        name: in the table, and on the command line.
        make: the network, with 10 classes, not trained; None for what lies in ../shared.
        training: `short` or `head`, see above; or whose it is.
        size: height and width of its pictures, in pixels.
        onnx: of ../shared.
        pictures: `cifar10` or `photos`.
    """

    name: str
    make: Callable[[], nn.Module] | None
    training: str
    size: int = 64
    onnx: Path | None = None
    pictures: str = "cifar10"


def _torchvision(name: str, training: str, size: int = 64, **options: Any) -> Network:
    def make() -> nn.Module:
        network: nn.Module = import_torchvision().models.get_model(
            name, weights=None, num_classes=CLASSES, **options
        )
        return network

    return Network(name, make, training, size)


def _timm(name: str, training: str, size: int = 64, **options: Any) -> Network:
    def make() -> nn.Module:
        import_torchvision()
        import timm  # type: ignore[import-not-found, unused-ignore]

        network: nn.Module = timm.create_model(name, num_classes=CLASSES, **options)
        return network

    return Network(f"timm {name}", make, training, size)


def _resnet18(untrained: Network) -> nn.Module:
    """With the checkpoint's weights, whose names torchvision and timm share."""
    assert untrained.make is not None
    network = untrained.make()
    file = _SHARED / "checkpoints" / "resnet18_cifar10_64.pth"
    network.load_state_dict(torch.load(file, weights_only=True))
    return network


_NETWORKS = (
    Network("resnet18", lambda: _resnet18(_torchvision("resnet18", "")), "18 epochs"),
    _torchvision("resnet34", "head"),
    _torchvision("resnet50", "head"),
    _torchvision("resnet101", "head"),
    _torchvision("resnet152", "head"),
    _torchvision("resnext50_32x4d", "head"),
    _torchvision("wide_resnet50_2", "head"),
    _torchvision("mobilenet_v2", "head"),
    _torchvision("mobilenet_v3_small", "head"),
    _torchvision("mobilenet_v3_large", "head"),
    _torchvision("efficientnet_b0", "head"),
    _torchvision("efficientnet_v2_s", "head"),
    _torchvision("regnet_x_400mf", "head"),
    _torchvision("regnet_y_400mf", "head"),
    _torchvision("convnext_tiny", "head"),
    _torchvision("squeezenet1_1", "head"),
    _torchvision("densenet121", "head"),
    _torchvision("shufflenet_v2_x1_0", "short"),
    _torchvision("mnasnet1_0", "head"),
    _torchvision("googlenet", "head", aux_logits=False, init_weights=True, transform_input=True),
    _torchvision("inception_v3", "head", 96, aux_logits=False, init_weights=True),
    _torchvision("alexnet", "head", 224),
    _torchvision("vgg11_bn", "head", 224),
    _torchvision("vit_b_16", "head", image_size=64),
    _torchvision("swin_t", "head"),
    _torchvision("swin_v2_t", "head"),
    _torchvision("maxvit_t", "head", 224),
    Network("timm resnet18", lambda: _resnet18(_timm("resnet18", "")), "as resnet18"),
    _timm("resnet50d", "head"),
    _timm("resnetblur18", "head"),
    _timm("resnetaa50d", "head"),
    Network(
        "ResNet-20", None, "CIFAR-10, of others", 32, _SHARED / "models" / "resnet20_cifar10.onnx"
    ),
    Network(
        "EfficientNet-Lite0", None, "ImageNet, of others", 224,
        _SHARED / "models" / "efficientnet_lite0_imagenet.onnx", "photos",
    ),
)  # fmt: skip
NETWORKS = {network.name: network for network in _NETWORKS}


def train(network: nn.Module, pictures: Tensor, truth: Tensor, training: str) -> None:
    """Give a network weights and statistics, in place.

    Args:
        network: with random weights.
        pictures: (N, 3, H, W) float32, normalized.
        truth: (N,) class indices.
        training: `short` or `head`; anything else is trained already.
    """
    if training == "short":
        _train_all(network, pictures, truth)
    elif training == "head":
        _calm(network)
        _settle(network, pictures)
        _train_head(network, pictures[::3], truth[::3])
    network.eval()


def export(network: nn.Module, size: int, file: Path) -> None:
    """Write it as ONNX, as PyTorch's own exporter does by default."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        example = (torch.zeros(1, 3, size, size),)
        torch.onnx.export(
            network.eval(), example, str(file), dynamo=True, external_data=False, verbose=False
        )


def _train_all(network: nn.Module, pictures: Tensor, truth: Tensor) -> None:
    steps = _EPOCHS * (len(pictures) // _BATCH)
    optimiser = torch.optim.AdamW(network.parameters(), _RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=steps)
    network.train()
    for _ in range(_EPOCHS):
        order = torch.randperm(len(pictures))[: len(pictures) // _BATCH * _BATCH]
        for part in order.split(_BATCH):
            batch = pictures[part]
            if torch.rand(()) < 0.5:
                batch = batch.flip(3)
            shift = torch.randint(-4, 5, (2,)).tolist()
            loss = F.cross_entropy(network(batch.roll(shift, (2, 3))), truth[part])
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            schedule.step()
    # Averages over the last steps are of other weights each; these are of the last ones.
    _settle(network, pictures)


def _calm(network: nn.Module) -> None:
    """Let most values pass each ReLU, and blocks count.

    Random layers with half of their values cut off are chaotic: small differences, such as those of
    int8, grow from layer to layer, unlike in a trained network.
    """
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.constant_(module.bias, 1.0)
        if isinstance(getattr(module, "layer_scale", None), nn.Parameter):
            nn.init.constant_(module.layer_scale, 0.1)


def _settle(network: nn.Module, pictures: Tensor) -> None:
    """Take BatchNorm's statistics from the pictures, as means over batches."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
    network.train()
    for module in network.modules():
        if isinstance(module, nn.Dropout) or type(module).__name__ == "StochasticDepth":
            module.eval()
    with torch.no_grad():
        for part in pictures[:: len(pictures) // _SETTLING].split(50):
            network(part)
    network.eval()


def _train_head(network: nn.Module, pictures: Tensor, truth: Tensor) -> None:
    """Fit the last layer to its inputs by logistic regression."""
    layers = [one for one in network.modules() if isinstance(one, (nn.Linear, nn.Conv2d))]
    head = next(one for one in reversed(layers) if len(one.weight) == CLASSES)
    seen: list[Tensor] = []
    hook = head.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        for part in pictures.split(50):
            network(part)
    hook.remove()
    features = torch.cat(seen)
    convolved = features.ndim == 4  # SqueezeNet: the mean over the picture is behind it
    features = features.mean((2, 3)) if convolved else features
    mean, deviation = features.mean(0), features.std(0) + 1e-3
    features = (features - mean) / deviation
    weight = torch.zeros(CLASSES, features.shape[1], requires_grad=True)
    bias = torch.zeros(CLASSES, requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=100)

    def loss() -> Tensor:
        optimiser.zero_grad()
        fit = F.cross_entropy(F.linear(features, weight, bias), truth)
        value = fit + 0.05 * weight.square().sum()
        torch.autograd.backward(value)
        return value

    optimiser.step(loss)  # type: ignore[arg-type]
    with torch.no_grad():
        head.weight.copy_((weight / deviation).reshape(head.weight.shape))
        assert head.bias is not None
        # Behind SqueezeNet's is a ReLU, which is to cut off little; a softmax sees no difference.
        shift = -F.linear(features, weight, bias).min() if convolved else 0
        head.bias.copy_(bias - F.linear(mean / deviation, weight) + shift)
