"""Small networks, lowered once."""

import numpy as np
import onnx
import pytest
from edgekit_convert.activations import observe
from edgekit_convert.architectures import IMAGENET_MEAN, IMAGENET_STD
from edgekit_convert.export import lowering
from edgekit_convert.flatbuffer import separate_constants
from edgekit_convert.fold import fold
from edgekit_convert.pictures import load_calibration
from edgekit_convert.quantize import FloatModel
from numpy.typing import NDArray

from demo.fixtures import Material
from demo.train import GEOMETRY
from edgekit.manifest import Normalisation

NORMALISATION = Normalisation(mean=IMAGENET_MEAN, std=IMAGENET_STD)


@pytest.fixture(scope="session")
def pictures(material: Material) -> NDArray[np.uint8]:
    """Calibration pictures of the demo (N, 64, 64, 3) uint8."""
    return load_calibration(material.calibration, GEOMETRY, lambda done: None).tensors


@pytest.fixture(scope="session")
def float_model(exported: onnx.ModelProto, pictures: NDArray[np.uint8]) -> FloatModel:
    """The demo's network as float32 TFLite, with its activations."""
    folded = fold(exported, NORMALISATION, 64, 64, centre=False)
    with lowering() as onnx2tf:
        onnx2tf.start(folded, pictures)
        flatbuffer = separate_constants(onnx2tf.result())
    activations = observe(flatbuffer, pictures[:100], 2, 0, lambda done: None)
    return FloatModel.prepare(flatbuffer, activations)
