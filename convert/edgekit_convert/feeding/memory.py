"""What a network of any kind remembers of its training."""

import numpy as np
import onnx

from edgekit.errors import ConversionError
from edgekit.model.geometry import Geometry
from edgekit_convert.feeding.of_onnx import onnx_memory
from edgekit_convert.feeding.statistics import Memory
from edgekit_convert.weights.trained import Network


def find_memory(network: Network, geometry: Geometry) -> Memory:
    """The BatchNorm layers of a network that takes pictures of a geometry, if it has any.

    Raises:
        ConversionError: a layer's variance is below 0, or its statistics are not finite.
    """
    if isinstance(network, onnx.ModelProto):
        memory = onnx_memory(network)
    else:
        # Loads torch, which an ONNX model does without.
        from edgekit_convert.feeding.of_pytorch import pytorch_memory

        memory = pytorch_memory(network, geometry.height, geometry.width)
    for norm in memory.norms:
        mean, variance = norm.remembered
        if not (np.isfinite(mean).all() and np.isfinite(variance).all() and variance.min() >= 0):
            raise ConversionError(
                f"the statistics of the BatchNorm layer {norm.name} are damaged: a variance is "
                "below 0, or a value is not finite; save the network again"
            )
    return memory
