"""Train the demo's ResNet-18 from scratch: about a minute and a half on two cores."""

import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from edgekit_convert.weights.imagenet import IMAGENET_MEAN, IMAGENET_STD
from edgekit_convert.weights.torchvision_shim import import_torchvision
from edgekit_convert.weights.trained import normalize
from numpy.typing import NDArray
from torch import Tensor, nn

from demo.scene import CLASSES, random_picture
from edgekit.model.geometry import Geometry
from edgekit.model.manifest import Normalization
from edgekit.vision.preprocess import prepare

GEOMETRY = Geometry(height=64, width=64, crop=1.0)
NORMALIZATION = Normalization(mean=IMAGENET_MEAN, std=IMAGENET_STD)
_BATCH = 64


def _pictures(per_class: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Rendered pictures as the model takes them (N, 64, 64, 3), and their class indices."""
    rng = np.random.default_rng(seed)
    indices = np.repeat(np.arange(len(CLASSES)), per_class)
    tensors = [prepare(random_picture(CLASSES[i], rng), GEOMETRY) for i in indices]
    return np.concatenate(tensors), indices


def _input(pictures: NDArray[np.uint8]) -> Tensor:
    # Channels last in memory, which is the faster order here.
    values = torch.from_numpy(normalize(pictures, NORMALIZATION))
    return values.to(memory_format=torch.channels_last)


def _accuracy(network: nn.Module, pictures: NDArray[np.uint8], truth: NDArray[np.int64]) -> float:
    network.eval()
    with torch.inference_mode():
        answers = torch.cat(
            [network(part).argmax(1) for part in torch.split(_input(pictures), _BATCH)]
        )
    return float((answers.numpy() == truth).mean())


def train(
    checkpoint: Path,
    network: nn.Module | None = None,
    per_class: int = 160,
    epochs: int = 6,
    seed: int = 7,
) -> float:
    """Train and save a state dict; the same seed gives the same weights on the same machine.

    Args:
        checkpoint: file to write.
        network: an untrained ResNet with as many classes as the demo; a ResNet-18 by default.
        per_class: rendered pictures of each class.
        epochs: over all pictures.
        seed: of pictures, weights and order.

    Returns:
        accuracy on held-out rendered pictures, in [0, 1].
    """
    torch.manual_seed(seed)
    start = time.monotonic()
    pictures, truth = _pictures(per_class, seed)
    held_out = _pictures(40, seed + 1)
    if network is None:
        network = import_torchvision().models.resnet18(num_classes=len(CLASSES))
    assert network is not None
    steps = epochs * (len(pictures) // _BATCH)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.05, total_steps=steps)
    order = torch.Generator().manual_seed(seed)
    for epoch in range(epochs):
        network.train()
        for batch in torch.split(torch.randperm(len(pictures), generator=order), _BATCH):
            if len(batch) < _BATCH:
                continue
            rows = batch.numpy()
            loss = F.cross_entropy(network(_input(pictures[rows])), torch.from_numpy(truth[rows]))
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            schedule.step()
        elapsed = time.monotonic() - start
        print(f"  epoch {epoch + 1}/{epochs}: loss {loss.item():.3f}, {elapsed:.0f} s", flush=True)
    accuracy = _accuracy(network, *held_out)
    temporary = checkpoint.with_suffix(".part")
    torch.save(network.state_dict(), temporary)
    temporary.replace(checkpoint)
    return accuracy
