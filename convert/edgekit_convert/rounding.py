"""Write the weights and biases of an int8 model: rounding and bias correction."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit_convert.activations import Activation
from edgekit_convert.flatbuffer import Model

# Rounds rows (R, C) of weights by steps (R, 1), given samples (S, C) of what they multiply.
_DAMPING = 0.05
_BLOCK = 64
_LARGEST = 127
# A bias has 32 bits; the scale of its channel grows where it would not fit in half of them.
_BIAS_LIMIT = 2.0**30


def _nearest(rows: NDArray[np.float64], steps: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.clip(np.rint(rows / steps), -_LARGEST, _LARGEST), np.float64)


def _error_feedback(
    rows: NDArray[np.float64], steps: NDArray[np.float64], sample: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Round one input channel after the other, and let the rest make up for the error so far.

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
    upper = np.linalg.cholesky((inverse + inverse.T) / 2).T
    left = rows[:, order]
    rounded = np.empty_like(left)
    for start in range(0, channels, _BLOCK):
        stop = min(start + _BLOCK, channels)
        errors = np.empty((len(left), stop - start))
        for column in range(start, stop):
            rounded[:, column : column + 1] = _nearest(left[:, column : column + 1], steps)
            error = left[:, column] - rounded[:, column] * steps[:, 0]
            errors[:, column - start] = error / upper[column, column]
            left[:, column:stop] -= np.outer(errors[:, column - start], upper[column, column:stop])
        left[:, stop:] -= errors @ upper[start:stop, stop:]
    restored = np.empty_like(rounded)
    restored[:, order] = rounded
    return restored


def write_constants(
    flatbuffer: bytes,
    quantised: bytes,
    activations: dict[str, Activation],
    *,
    feedback: bool,
    correct_bias: bool,
) -> bytes:
    """Give an int8 model the weights and biases of the float model it was made from.

    Bias correction adds to each bias what rounding the weights took from the layer's mean output,
    (W - W') E[x] (Nagel et al. 2019, arXiv:1906.04721, section 4.2).

    Args:
        flatbuffer: the float model.
        quantised: the int8 model; its scales are used, its weights and biases replaced.
        activations: of the float model.
        feedback: round with error feedback instead of to the nearest.
        correct_bias: apply bias correction.
    """
    exact, model = Model(flatbuffer), Model(quantised)
    for source, target in zip(exact.weighted(), model.weighted(), strict=True):
        _write_layer(exact, source, model, target, activations, feedback, correct_bias)
    return model.pack()


def _write_layer(
    exact: Model,
    source: Any,
    model: Model,
    target: Any,
    activations: dict[str, Activation],
    feedback: bool,
    correct_bias: bool,
) -> None:
    weight = exact.constant(source.inputs[1]).astype(np.float64)
    depthwise = exact.kind(source) == "DEPTHWISE_CONV_2D"
    dense = exact.kind(source) == "FULLY_CONNECTED"
    # Rows of one output channel and tap each, over input channels.
    rows = np.moveaxis(weight, -1, 0).reshape(-1, 1) if depthwise else weight
    rows = rows.reshape(-1, 1 if depthwise else weight.shape[-1])
    outputs = weight.shape[-1] if depthwise else weight.shape[0]
    taps = len(rows) // outputs
    tensor = model.graph.tensors[target.inputs[1]]
    scales = np.broadcast_to(np.asarray(tensor.quantization.scale, np.float64), (outputs,))
    bias_index = exact.bias(source)
    entry = model.graph.tensors[target.inputs[0]].quantization.scale[0]
    bias = np.zeros(outputs)
    if bias_index is not None:
        bias = exact.constant(bias_index).astype(np.float64)
        scales = np.maximum(scales, np.abs(bias) / (float(entry) * _BIAS_LIMIT))
    if dense:
        # TFLite before 2024, and the Edge TPU's compiler, know no scale for each channel here.
        scales = np.full(outputs, scales.max())
    steps = np.repeat(scales, taps).reshape(-1, 1)
    activation = activations.get(exact.name(source.inputs[0]))
    if feedback and activation is not None and not depthwise:
        rounded = _error_feedback(rows, steps, activation.sample)
    else:
        rounded = _nearest(rows, steps)
    if correct_bias and activation is not None:
        mean = activation.sample.mean(axis=0, dtype=np.float64)
        lost = (rows - rounded * steps).reshape(outputs, taps, -1).sum(axis=1)
        bias = bias + ((lost[:, 0] * mean) if depthwise else lost @ mean)
    integers = rounded.reshape(outputs, *weight.shape[:-1]) if depthwise else rounded
    if depthwise:
        integers = np.moveaxis(integers, 0, -1)
    model.set_constant(target.inputs[1], integers.reshape(weight.shape).astype(np.int8))
    kept = slice(1) if dense else slice(None)
    tensor.quantization.scale = scales.astype(np.float32)[kept]
    tensor.quantization.zeroPoint = np.zeros(outputs, np.int64)[kept]
    if bias_index is not None:
        described = model.graph.tensors[target.inputs[2]]
        steps_of_bias = float(entry) * scales.astype(np.float32)
        described.quantization.scale = steps_of_bias.astype(np.float32)[kept]
        described.quantization.zeroPoint = np.zeros(outputs, np.int64)[kept]
        limit = 2.0**31 - 1
        levels = np.clip(np.rint(bias / steps_of_bias), -limit, limit)
        model.set_constant(int(target.inputs[2]), levels.astype(np.int32))
