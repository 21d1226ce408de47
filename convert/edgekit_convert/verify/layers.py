"""Each layer's output, float against int8."""

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgekit.inference.interpreter import Interpreter
from edgekit.model.flatbuffer import parse
from edgekit.model.structure import layer_names
from edgekit_convert.answers import decibels
from edgekit_convert.graph.flatbuffer import expose_activations


class Layer(msgspec.Struct, frozen=True):
    """One layer's output, float against int8.

    Attributes:
        name: torchvision's, for example `layer1.0.conv1`, or the operator and its position.
        operator: for example `CONV_2D`.
        low, high: the activation range that 8 bits cover.
        snr_db: signal-to-noise ratio of the layer's output, errors of earlier layers included.
    """

    name: str
    operator: str
    low: float
    high: float
    snr_db: float


def compare_layers(
    flatbuffer: bytes, quantized: bytes, pictures: NDArray[np.uint8], threads: int
) -> list[Layer]:
    """Signal-to-noise ratio of every named layer, errors of earlier layers included.

    Args:
        flatbuffer: the float model that was quantized.
        quantized: the int8 model with int8 input and output.
        pictures: (N, H, W, 3) uint8.
        threads: CPU threads.
    """
    exact = Interpreter(expose_activations(flatbuffer), threads=threads)
    rounded = Interpreter(expose_activations(quantized), threads=threads)
    signal: dict[str, float] = {}
    noise: dict[str, float] = {}
    for index in range(len(pictures)):
        for interpreter in (exact, rounded):
            interpreter.set_input(pictures[index : index + 1])
            interpreter.invoke()
        values = dict(rounded.outputs())
        for name, reference in exact.outputs():
            if name in values and values[name].shape == reference.shape:
                difference = np.square(reference - values[name], dtype=np.float64).sum()
                energy = np.square(reference, dtype=np.float64).sum()
                noise[name] = noise.get(name, 0.0) + float(difference)
                signal[name] = signal.get(name, 0.0) + float(energy)
    graph = parse(quantized)
    layers = []
    for position, layer in layer_names(graph).items():
        operator = graph.operators[position]
        tensor = graph.tensors[operator.outputs[0]]
        ratio = decibels(signal.get(tensor.name, 0.0), noise.get(tensor.name, 0.0))
        if not tensor.scale or ratio is None:
            continue
        scale, zero = tensor.scale[0], tensor.zero_point[0]
        low, high = (-128 - zero) * scale, (127 - zero) * scale
        layers.append(Layer(layer, operator.name, low, high, ratio))
    return layers
