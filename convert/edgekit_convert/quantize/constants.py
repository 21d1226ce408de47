"""Write the constants of an int8 model: its weights, its biases, and their scales."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgekit.model.manifest import Recipe
from edgekit_convert.graph.flatbuffer import FlatbufferEditor
from edgekit_convert.quantize.activations import Activation
from edgekit_convert.quantize.bias_correction import bias_correction
from edgekit_convert.quantize.gptq import gptq
from edgekit_convert.quantize.rounding import MAXIMUM, nearest

# Ways to round weights (R, C) with scales (R, 1), given a sample (S, C) of what they multiply.
Rounding: TypeAlias = Callable[
    [NDArray[np.float64], NDArray[np.float64], NDArray[np.float32]], NDArray[Any]
]
ROUNDINGS: dict[str, Rounding] = {"nearest": nearest, "error-feedback": gptq}

# Below it a channel counts as one without weights, and gets the scale of a channel of this size.
_MINIMUM_WEIGHT = 1e-9
# A bias has 32 bits; the scale of its channel grows where it would not fit in half of them.
_BIAS_LIMIT = 2.0**30
_BIAS_MAXIMUM = 2.0**31 - 1

# Rounded weights by layer, rounding and scales, so that GPTQ, which takes seconds, is done once
# for all recipes that share them.
Rounded: TypeAlias = dict[tuple[int, str, bytes], NDArray[np.int8]]


def weight_scales(
    weights: NDArray[np.float64],
    biases: NDArray[np.float64],
    input_scale: float,
    *,
    one_for_all: bool,
) -> NDArray[np.float64]:
    """Scale of each output channel's weights, (outputs,), to float32 precision as the file has it.

    The largest weight of a channel becomes 127; a bias, whose scale is that of the weights times
    that of the input, stays below 2^30.

    Args:
        weights: (outputs, positions in the kernel, inputs).
        biases: (outputs,).
        input_scale: of the layer's input.
        one_for_all: give all channels the largest of their scales.
    """
    largest = np.abs(weights).max(axis=(1, 2))
    scales = np.maximum(largest, _MINIMUM_WEIGHT) / MAXIMUM
    scales = np.maximum(scales, np.abs(biases) / (input_scale * _BIAS_LIMIT))
    if one_for_all:
        scales = np.full(len(scales), scales.max())
    return np.asarray(scales.astype(np.float32), dtype=np.float64)


def write_constants(
    exact: FlatbufferEditor,
    model: FlatbufferEditor,
    activations: dict[str, Activation],
    rounded: Rounded,
    recipe: Recipe,
) -> None:
    """Give an int8 model the weights and biases of the float model it was made from.

    Args:
        exact: the float model.
        model: the int8 model; the scales of its activations are used, its weights and biases
            replaced.
        activations: of the float model.
        rounded: what earlier calls for the same float model rounded; added to.
        recipe: its rounding, and whether biases are corrected.
    """
    for source, target in zip(exact.weighted(), model.weighted(), strict=True):
        _write_layer(exact, source, model, target, activations, rounded, recipe)


def _write_layer(
    exact: FlatbufferEditor,
    source: Any,
    model: FlatbufferEditor,
    target: Any,
    activations: dict[str, Activation],
    known: Rounded,
    recipe: Recipe,
) -> None:
    kind = exact.kind(source)
    depthwise, dense = kind == "DEPTHWISE_CONV_2D", kind == "FULLY_CONNECTED"
    stored = exact.constant(source.inputs[1]).astype(np.float64)
    # (outputs, positions in the kernel, inputs); a depthwise layer has (1, height, width, outputs),
    # a dense one may flatten what it reads: then its rows are kernels of the whole picture.
    weights = np.moveaxis(stored, -1, 0) if depthwise else stored
    inputs = 1 if depthwise else stored.shape[-1]
    if dense:
        inputs = min(inputs, int(exact.graph.tensors[source.inputs[0]].shape[-1]))
    weights = weights.reshape(len(weights), -1, inputs)
    bias_index = exact.bias(source)
    biases: NDArray[np.float64] = np.zeros(len(weights))
    if bias_index is not None:
        biases = exact.constant(bias_index).astype(np.float64)
    input_scale = float(model.graph.tensors[target.inputs[0]].quantization.scale[0])
    # TFLite before 2024, and the Edge TPU's compiler, know no scale for each channel of a dense
    # layer.
    scales = weight_scales(weights, biases, input_scale, one_for_all=dense)
    activation = activations.get(exact.name(source.inputs[0]))
    key = (int(source.inputs[1]), recipe.rounding, scales.tobytes())
    if key not in known:
        # The channels of a depthwise layer do not add up: there is nothing to make up with.
        sample = activation.sample if activation is not None and not depthwise else None
        known[key] = _round(weights, scales, sample, recipe.rounding)
    rounded = known[key]
    if recipe.bias_corrected and activation is not None:
        mean = activation.sample.mean(axis=0, dtype=np.float64)
        back = rounded * scales.reshape(-1, 1, 1)
        biases = biases + bias_correction(weights, back, mean)
    integers = np.moveaxis(rounded[..., 0], 0, -1) if depthwise else rounded
    model.set_constant(target.inputs[1], integers.reshape(stored.shape))
    written = scales[:1] if dense else scales
    _set_scales(model.graph.tensors[target.inputs[1]], written)
    if bias_index is not None:
        _set_scales(model.graph.tensors[target.inputs[2]], input_scale * written)
        bias = np.clip(np.rint(biases / (input_scale * scales)), -_BIAS_MAXIMUM, _BIAS_MAXIMUM)
        model.set_constant(int(target.inputs[2]), bias.astype(np.int32))


def _round(
    weights: NDArray[np.float64],
    scales: NDArray[np.float64],
    sample: NDArray[np.float32] | None,
    rounding: str,
) -> NDArray[np.int8]:
    """Weights (outputs, positions, inputs) in units of their scales; nearest without a sample.

    A sample (S, n x inputs) belongs to n groups, each of a part of the outputs.
    """
    outputs, positions, inputs = weights.shape
    rows, units = weights.reshape(-1, inputs), np.repeat(scales, positions).reshape(-1, 1)
    if sample is None:
        rounded = nearest(rows, units)
    else:
        groups = sample.shape[1] // inputs
        parts = (np.split(part, groups) for part in (rows, units))
        samples = np.split(sample, groups, axis=1)
        found = map(ROUNDINGS[rounding], *parts, samples)
        rounded = np.concatenate(list(found))
    return rounded.astype(np.int8).reshape(outputs, positions, inputs)


def _set_scales(tensor: Any, scales: NDArray[np.float64]) -> None:
    tensor.quantization.scale = scales.astype(np.float32)
    tensor.quantization.zeroPoint = np.zeros(len(scales), np.int64)
