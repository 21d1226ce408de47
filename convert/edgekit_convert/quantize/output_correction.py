"""Output correction: let the last layer's bias make up for the mean error of the logits.

Bias correction foresees what rounding the weights of one layer does. What the rounding and cutting
off of activations does to the mean, from layer to layer, shows in the answers to the calibration
pictures only: the empirical form of bias correction (Nagel et al. 2021, arXiv:2106.08295, section
3.3), for the layer that decides between classes.
"""

import numpy as np
from numpy.typing import NDArray

from edgekit_convert.graph.flatbuffer import FlatbufferEditor
from edgekit_convert.quantize.activations import Activation


def correct_output(
    flatbuffer: bytes, activations: dict[str, Activation], answered: NDArray[np.float32]
) -> tuple[bytes, NDArray[np.float32]] | None:
    """The int8 model with the mean logits of the float model, over the same pictures.

    Args:
        flatbuffer: the int8 model.
        activations: of the float model.
        answered: the int8 model's logits for the same pictures (N, classes).

    Returns:
        it, and its logits for the pictures, but for the rounding of the output; none where the
        logits do not come from a layer, or from one with an activation.
    """
    model = FlatbufferEditor(flatbuffer)
    softmax = [op for op in model.graph.operators if model.kind(op) == "SOFTMAX"][-1]
    logits = int(softmax.inputs[0])
    layers = [op for op in model.weighted() if int(op.outputs[0]) == logits]
    if not layers or layers[0].builtinOptions.fusedActivationFunction:
        return None
    bias = model.bias(layers[0])
    assert bias is not None
    lost = activations[model.name(logits)].sample.mean(axis=0) - answered.mean(axis=0)
    step = model.graph.tensors[bias].quantization.scale
    steps = np.rint(lost / step)
    integers = model.constant(bias, np.int32) + steps
    limit = np.iinfo(np.int32).max
    model.set_constant(bias, np.clip(integers, -limit, limit).astype(np.int32))
    return model.pack(), (answered + steps * step).astype(np.float32)
