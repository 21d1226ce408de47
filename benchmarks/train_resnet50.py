"""Train a ResNet-50 with a head of two layers for 224 px on the demo's pictures.

`python -m benchmarks.train_resnet50` writes build/resnet50: a checkpoint, and pictures to calibrate
and evaluate with, and prints the `edgekit convert` line that measures them. Training takes about
eight minutes on two cores: most of it at 64 px, where a picture costs a twelfth, the end at larger
sizes.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from edgekit_convert.weights.torchvision_shim import import_torchvision
from edgekit_convert.weights.trained import normalize
from numpy.typing import NDArray
from torch import Tensor, nn

from demo.scene import CLASSES, random_picture, write_pictures
from demo.train import NORMALIZATION, train
from edgekit.model.geometry import Geometry
from edgekit.vision.preprocess import prepare

_FOLDER = Path("build/resnet50")
# Size in pixels, batch and steps of what follows the training at 64 px.
_LARGER = ((128, 32, 40), (224, 16, 40))
_RATE = 0.01


def _pictures(
    count: int, size: int, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Rendered pictures (count, size, size, 3), and their class indices."""
    geometry = Geometry(height=size, width=size, crop=1.0)
    truth = rng.integers(len(CLASSES), size=count)
    tensors = [prepare(random_picture(CLASSES[index], rng), geometry) for index in truth]
    return np.concatenate(tensors), truth


def _input(pictures: NDArray[np.uint8]) -> Tensor:
    values = torch.from_numpy(normalize(pictures, NORMALIZATION))
    return values.to(memory_format=torch.channels_last)


def _continue(network: nn.Module, size: int, batch: int, steps: int) -> None:
    """Train on at another size, each picture seen once, with a rate that falls to 0."""
    rng = np.random.default_rng(size)
    optimiser = torch.optim.SGD(network.parameters(), _RATE, momentum=0.9, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1, 0, total_iters=steps)
    network.train()
    for _ in range(steps):
        pictures, truth = _pictures(batch, size, rng)
        loss = F.cross_entropy(network(_input(pictures)), torch.from_numpy(truth))
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        schedule.step()
    print(f"  {steps} steps at {size} px: loss {loss.item():.3f}", flush=True)


def _accuracy(network: nn.Module, size: int) -> float:
    network.eval()
    pictures, truth = _pictures(140, size, np.random.default_rng(0))
    with torch.inference_mode():
        answers = torch.cat([network(part).argmax(1) for part in torch.split(_input(pictures), 20)])
    return float((answers.numpy() == truth).mean())


def main() -> None:
    """Write the checkpoint and the pictures."""
    _FOLDER.mkdir(parents=True, exist_ok=True)
    write_pictures(_FOLDER / "calibration", per_class=60, seed=300)
    write_pictures(_FOLDER / "evaluation", per_class=80, seed=400)
    torch.manual_seed(0)
    # Blocks that begin as the identity learn sooner.
    network: nn.Module = import_torchvision().models.resnet50(zero_init_residual=True)
    network.fc = nn.Sequential(
        nn.Linear(2048, 1000), nn.ReLU(), nn.Dropout(0.5), nn.Linear(1000, len(CLASSES))
    )
    checkpoint = _FOLDER / "resnet50.pth"
    train(checkpoint, network, epochs=10)
    for size, batch, steps in _LARGER:
        _continue(network, size, batch, steps)
    torch.save(network.state_dict(), checkpoint)
    size = _LARGER[-1][0]
    print(f"{_accuracy(network, size):.1%} of held-out pictures right at {size} px; next: edgekit "
          f"convert --arch 50 --int8 --weights {checkpoint} --calibration "
          f"{_FOLDER / 'calibration'} --evaluate {_FOLDER / 'evaluation'}")  # fmt: skip


if __name__ == "__main__":
    main()
