"""Write the weights and biases of an int8 model: rounding and bias correction."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgekit_convert.graph.flatbuffer import Model
from edgekit_convert.quantize.activations import Activation

_DAMPING = 0.05
_BLOCK = 64
_LARGEST = 127
_LEAST_PEAK = 1e-9
# A bias has 32 bits; the scale of its channel grows where it would not fit in half of them.
_BIAS_LIMIT = 2.0**30
_MOST_LEVELS = 2.0**31 - 1

# Rounded weights by layer, way and steps, so that error feedback, which takes seconds, is done once
# for all recipes that share them.
Rounded: TypeAlias = dict[tuple[int, bool, bytes], NDArray[np.int8]]


def _nearest(values: NDArray[Any], steps: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(np.clip(np.rint(values / steps), -_LARGEST, _LARGEST))


def _error_feedback(
    rows: NDArray[np.float64], steps: NDArray[np.float64], sample: NDArray[np.float32]
) -> NDArray[Any]:
    """Round one input channel after the other, and let the rest make up for the error so far.

    Rows (R, C) of weights, their steps (R, 1), and samples (S, C) of what they multiply.

    This is GPTQ (Frantar et al. 2022, arXiv:2210.17323) with the covariance of the channels at
    one position instead of that of whole patches: the same for all taps, and small.
    """
    centred = sample.astype(np.float64) - sample.mean(axis=0, dtype=np.float64)
    covariance = centred.T @ centred / len(centred)
    channels = len(covariance)
    mean = float(np.trace(covariance)) / channels
    if mean <= 0:
        return _nearest(rows, steps)
    covariance[np.diag_indices(channels)] += _DAMPING * mean
    # The loudest channels first, while there are most others left to correct them.
    order = np.argsort(-np.diag(covariance), kind="stable")
    inverse = np.linalg.inv(covariance[order][:, order])
    upper = np.linalg.cholesky((inverse + inverse.T) / 2).T.astype(np.float32)
    # Channel by channel, so with the channels first in memory.
    left = np.ascontiguousarray(rows.T[order], dtype=np.float32)
    step = steps[:, 0].astype(np.float32)
    rounded = np.empty_like(left)
    for start in range(0, channels, _BLOCK):
        stop = min(start + _BLOCK, channels)
        errors = np.empty((stop - start, len(step)), np.float32)
        for channel in range(start, stop):
            rounded[channel] = _nearest(left[channel], step)
            errors[channel - start] = left[channel] - rounded[channel] * step
            errors[channel - start] /= upper[channel, channel]
            rest = slice(channel + 1, stop)
            left[rest] -= np.outer(upper[channel, rest], errors[channel - start])
        left[stop:] -= upper[start:stop, stop:].T @ errors
    restored = np.empty((len(rows), channels), np.float32)
    restored[:, order] = rounded.T
    return restored


def write_constants(
    exact: Model,
    model: Model,
    activations: dict[str, Activation],
    rounded: Rounded,
    *,
    feedback: bool,
    correct_bias: bool,
) -> None:
    """Give an int8 model the weights and biases of the float model it was made from.

    Bias correction adds to each bias what rounding the weights took from the layer's mean output,
    (W - W') E[x] (Nagel et al. 2019, arXiv:1906.04721, section 4.2).

    Args:
        exact: the float model.
        model: the int8 model; the scales of its activations are used, its weights and biases
            replaced.
        activations: of the float model.
        rounded: what earlier calls for the same float model rounded; added to.
        feedback: round with error feedback instead of to the nearest.
        correct_bias: apply bias correction.
    """
    for source, target in zip(exact.weighted(), model.weighted(), strict=True):
        _write_layer(exact, source, model, target, activations, rounded, feedback, correct_bias)


def _write_layer(
    exact: Model,
    source: Any,
    model: Model,
    target: Any,
    activations: dict[str, Activation],
    known: Rounded,
    feedback: bool,
    correct_bias: bool,
) -> None:
    kind = exact.kind(source)
    depthwise = kind == "DEPTHWISE_CONV_2D"
    weight = exact.constant(source.inputs[1]).astype(np.float64)
    # (outputs, taps, inputs) of a convolution; a depthwise one has (1, height, width, outputs).
    rows = np.moveaxis(weight, -1, 0) if depthwise else weight
    rows = rows.reshape(len(rows), -1, 1 if depthwise else weight.shape[-1])
    bias_index = exact.bias(source)
    bias = np.zeros(len(rows))
    if bias_index is not None:
        bias = exact.constant(bias_index).astype(np.float64)
    entry = float(model.graph.tensors[target.inputs[0]].quantization.scale[0])
    scales = _scales(rows, bias, entry, common=kind == "FULLY_CONNECTED")
    activation = activations.get(exact.name(source.inputs[0]))
    key = (int(source.inputs[1]), feedback, scales.tobytes())
    if key not in known:
        sample = activation.sample if feedback and activation and not depthwise else None
        known[key] = _round(rows, scales, sample)
    rounded = known[key]
    if correct_bias and activation is not None:
        mean = activation.sample.mean(axis=0, dtype=np.float64)
        lost = (rows - rounded * scales.reshape(-1, 1, 1)).sum(axis=1)
        bias = bias + (lost[:, 0] * mean if depthwise else lost @ mean)
    integers = np.moveaxis(rounded[..., 0], 0, -1) if depthwise else rounded
    model.set_constant(target.inputs[1], integers.reshape(weight.shape))
    stored = scales[:1] if kind == "FULLY_CONNECTED" else scales
    _set_scales(model.graph.tensors[target.inputs[1]], stored)
    if bias_index is not None:
        _set_scales(model.graph.tensors[target.inputs[2]], entry * stored)
        levels = np.clip(np.rint(bias / (entry * scales)), -_MOST_LEVELS, _MOST_LEVELS)
        model.set_constant(int(target.inputs[2]), levels.astype(np.int32))


def _scales(
    rows: NDArray[np.float64], bias: NDArray[np.float64], entry: float, *, common: bool
) -> NDArray[np.float64]:
    """Scale of each output channel's weights, to float32 precision as the file has it."""
    peaks = np.abs(rows).max(axis=(1, 2))
    scales = np.maximum(peaks, _LEAST_PEAK) / _LARGEST
    scales = np.maximum(scales, np.abs(bias) / (entry * _BIAS_LIMIT))
    if common:
        # TFLite before 2024, and the Edge TPU's compiler, know no scale for each channel of a
        # dense layer.
        scales = np.full(len(scales), scales.max())
    return scales.astype(np.float32).astype(np.float64)


def _round(
    rows: NDArray[np.float64], scales: NDArray[np.float64], sample: NDArray[np.float32] | None
) -> NDArray[np.int8]:
    """Weights (outputs, taps, inputs) in steps of their scales; with feedback, given a sample."""
    outputs, taps, inputs = rows.shape
    flat, steps = rows.reshape(-1, inputs), np.repeat(scales, taps).reshape(-1, 1)
    rounded = _nearest(flat, steps) if sample is None else _error_feedback(flat, steps, sample)
    return rounded.astype(np.int8).reshape(outputs, taps, inputs)


def _set_scales(tensor: Any, scales: NDArray[np.float64]) -> None:
    tensor.quantization.scale = scales.astype(np.float32)
    tensor.quantization.zeroPoint = np.zeros(len(scales), np.int64)
