"""A small network that goes the whole way from PyTorch to float32 TFLite, once."""

import numpy as np
import pytest
from edgekit_convert.graph.export import lowering, to_onnx
from edgekit_convert.graph.flatbuffer import separate_constants
from edgekit_convert.graph.fold import fold
from edgekit_convert.graph.rewrite import rewrite
from edgekit_convert.quantize.activations import observe
from edgekit_convert.quantize.quantizer import FloatModel
from numpy.typing import NDArray

from edgekit.model.manifest import Normalization
from tests.convert.toys import noise

NORMALIZATION = Normalization(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
SIZE = 32


@pytest.fixture(scope="session")
def pictures() -> NDArray[np.uint8]:
    """Random squares of 8 x 8 pixels (60, 32, 32, 3) uint8: noise would be averaged away."""
    return noise(60, 4, 4, 3).repeat(8, axis=1).repeat(8, axis=2)


@pytest.fixture(scope="session")
def float_model(pictures: NDArray[np.uint8]) -> FloatModel:
    """A ResNet of two blocks, not trained, as float32 TFLite with its activations.

    It has what a ResNet-18 has: a stem whose border is folded, a padded max pooling, an identity
    and a 1x1 convolution as shortcuts, BatchNorm with uneven channels, a global mean.
    """
    import torch
    from torch import nn

    torch.manual_seed(0)

    class Block(nn.Module):
        def __init__(self, inputs: int, outputs: int, stride: int) -> None:
            super().__init__()
            self.body = nn.Sequential(
                nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(),
                nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
                nn.BatchNorm2d(outputs),
            )
            self.shortcut: nn.Module = nn.Identity()
            if stride > 1:
                self.shortcut = nn.Sequential(
                    nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
                )

        def forward(self, values: torch.Tensor) -> torch.Tensor:
            return torch.relu(self.body(values) + self.shortcut(values))

    network = nn.Sequential(
        nn.Conv2d(3, 16, 7, stride=2, padding=3, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2, padding=1),
        Block(16, 16, 1),
        Block(16, 24, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(24, 5),
    ).eval()
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.weight, 0.2, 2)
            nn.init.normal_(norm.bias)
    folded = fold(to_onnx(network, SIZE, SIZE), NORMALIZATION, SIZE, SIZE, centre=False)
    with lowering() as onnx2tf:
        onnx2tf.start(folded, pictures)
        flatbuffer = rewrite(separate_constants(onnx2tf.result()))
    activations = observe(flatbuffer, pictures[:40], 2, 0, lambda done: None)
    return FloatModel.prepare(flatbuffer, activations)
