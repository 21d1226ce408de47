"""Train a ResNet-50 with a head of two layers on the demo's pictures, for `benchmarks.fidelity`.

`python -m benchmarks.train_resnet50` writes build/resnet50: a checkpoint, and pictures to calibrate
and evaluate with. Training takes eight minutes on two cores.
"""

from pathlib import Path

import torch
from edgekit_convert.torchvision_shim import import_torchvision
from torch import nn

from demo.scene import CLASSES, write_pictures
from demo.train import train

_FOLDER = Path("build/resnet50")


def main() -> None:
    """Write the checkpoint and the pictures."""
    _FOLDER.mkdir(parents=True, exist_ok=True)
    write_pictures(_FOLDER / "calibration", per_class=60, seed=300)
    write_pictures(_FOLDER / "evaluation", per_class=280, seed=400)
    torch.manual_seed(0)
    network: nn.Module = import_torchvision().models.resnet50()
    network.fc = nn.Sequential(
        nn.Linear(2048, 1000), nn.ReLU(), nn.Dropout(0.5), nn.Linear(1000, len(CLASSES))
    )
    accuracy = train(_FOLDER / "resnet50.pth", network, epochs=10)
    print(f"{accuracy:.1%} of held-out pictures right; next: python -m benchmarks.fidelity "
          f"--arch 50 --weights {_FOLDER / 'resnet50.pth'} --calibration "
          f"{_FOLDER / 'calibration'} --evaluate {_FOLDER / 'evaluation'}")  # fmt: skip


if __name__ == "__main__":
    main()
