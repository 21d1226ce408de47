"""Small networks, lowered once."""

import numpy as np
import onnx
import pytest
from edgekit_convert.graph.export import lowering, to_onnx
from edgekit_convert.graph.flatbuffer import separate_constants
from edgekit_convert.graph.fold import fold
from edgekit_convert.pictures import load_calibration
from edgekit_convert.quantize.activations import observe
from edgekit_convert.quantize.quantizer import FloatModel
from edgekit_convert.weights.checkpoint import load_file
from edgekit_convert.weights.imagenet import IMAGENET_MEAN, IMAGENET_STD
from edgekit_convert.weights.resnet import load
from numpy.typing import NDArray

from demo.fixtures import Material
from demo.train import GEOMETRY
from edgekit.model.architectures import ARCHITECTURES
from edgekit.model.manifest import Normalization

NORMALIZATION = Normalization(mean=IMAGENET_MEAN, std=IMAGENET_STD)


@pytest.fixture(scope="session")
def pictures(material: Material) -> NDArray[np.uint8]:
    """Calibration pictures of the demo (N, 64, 64, 3) uint8."""
    return load_calibration(material.calibration, GEOMETRY, lambda done: None).tensors


@pytest.fixture(scope="session")
def float_model(exported: onnx.ModelProto, pictures: NDArray[np.uint8]) -> FloatModel:
    """The demo's network as float32 TFLite, with its activations."""
    return _lowered(exported, pictures)


@pytest.fixture(scope="session")
def two_layer_head(material: Material, pictures: NDArray[np.uint8]) -> FloatModel:
    """The same with an untrained head of two layers."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    network = load(ARCHITECTURES["18"], load_file(material.checkpoint).state)
    network.fc = nn.Sequential(nn.Linear(512, 100), nn.ReLU(), nn.Linear(100, 7))
    return _lowered(to_onnx(network.eval(), 64, 64), pictures)


def _lowered(exported: onnx.ModelProto, pictures: NDArray[np.uint8]) -> FloatModel:
    folded = fold(exported, NORMALIZATION, 64, 64, centre=False)
    with lowering() as onnx2tf:
        onnx2tf.start(folded, pictures)
        flatbuffer = separate_constants(onnx2tf.result())
    activations = observe(flatbuffer, pictures[:100], 2, 0, lambda done: None)
    return FloatModel.prepare(flatbuffer, activations)
