"""Rules that choose the range of each activation, the part of the real line that 8 bits cover."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgekit_convert.graph.flatbuffer import RELU, Model
from edgekit_convert.quantize.activations import Activation

Ranges: TypeAlias = dict[str, tuple[float, float]]
Error: TypeAlias = Callable[[float, float], float]

# These only move values, so that input and output share their quantization.
_MOVING = ("CONCATENATION", "MAX_POOL_2D", "PAD", "RESHAPE", "TRANSPOSE")
# One level for each pixel value: quantizing the input loses nothing.
_PIXELS = (0.0, 255.0)
# Values that the error of a range is computed from.
_VALUES = 100_000
# Values that a percentile is taken of; 25 of them lie beyond the 99.99th.
_RANKED = 250_000
_SHRINK = (1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55, 0.5, 0.4, 0.3, 0.2)


def _min_max(activation: Activation, error: Error) -> tuple[float, float]:
    return activation.low, activation.high


def _percentile(part: float) -> "Rule":
    def choose(activation: Activation, error: Error) -> tuple[float, float]:
        spread = max(1, activation.sample.size // _RANKED)
        low, high = np.percentile(activation.sample[::spread], (100 - part, part))
        return min(0.0, float(low)), max(0.0, float(high))

    return choose


def _least_error(activation: Activation, error: Error) -> tuple[float, float]:
    """Shrink the ends of the range in turn, as long as the error falls."""
    low, high = activation.low, activation.high
    for _ in range(2):
        high = min((f * activation.high for f in _SHRINK), key=lambda end: error(low, end))
        if low < 0:
            low = min((f * activation.low for f in _SHRINK), key=lambda end: error(end, high))
    return low, high


Rule: TypeAlias = Callable[[Activation, Error], tuple[float, float]]
RULES: dict[str, Rule] = {
    "min-max": _min_max,
    "percentile-99.99": _percentile(99.99),
    "percentile-99.9": _percentile(99.9),
    "mse": _least_error,
}


def levels_of(low: float, high: float) -> tuple[float, int]:
    """Distance of the 256 levels of a range that includes 0, and which of them, from 0, is 0."""
    scale = max(high - low, 1e-9) / 255
    return scale, round(-low / scale)


def fake_quantize(values: NDArray[np.float32], low: float, high: float) -> NDArray[np.float32]:
    """Round values to the levels of a range."""
    scale, zero = levels_of(low, high)
    levels = np.clip(np.rint(values / scale) + zero, 0, 255)
    return np.asarray((levels - zero) * scale, dtype=np.float32)


def choose_ranges(flatbuffer: bytes, activations: dict[str, Activation], rule: str) -> Ranges:
    """Range of every activation of a float model by one of `RULES`.

    For the rule `mse` the error is the mean square of what rounding changes; for a tensor that is
    only added to another, that of the sum, behind its ReLU: what a ReLU cuts off anyway needs no
    levels.
    """
    model = Model(flatbuffer)
    ranges: Ranges = {}
    entry = int(model.graph.inputs[0])
    for name in _moved(model, entry)[0]:
        ranges[name] = _PIXELS
    for operator in model.graph.operators:
        tensor = int(operator.outputs[0])
        if model.name(tensor) in ranges or model.name(tensor) not in activations:
            continue
        names, readers = _moved(model, tensor)
        activation = activations[_representative(model, tensor)]
        error = _error(model, tensor, activation, readers, activations)
        low, high = RULES[rule](activation, error)
        for name in names:
            ranges[name] = (low, high)
    return ranges


def _moved(model: Model, tensor: int) -> tuple[list[str], list[Any]]:
    """Names of a tensor and all that it is moved to, and the other operators that read them."""
    names, readers, front = [], [], [tensor]
    while front:
        current = front.pop(0)
        names.append(model.name(current))
        for operator in model.readers(current):
            if model.kind(operator) in _MOVING:
                front.append(int(operator.outputs[0]))
            else:
                readers.append(operator)
    return names, readers


def _representative(model: Model, tensor: int) -> str:
    """The tensor itself, or the pool behind it: what a pool drops needs no precision."""
    for operator in model.readers(tensor):
        kind = model.kind(operator)
        if kind == "MAX_POOL_2D":
            return model.name(operator.outputs[0])
        if kind == "PAD" and len(model.readers(tensor)) == 1:
            return _representative(model, int(operator.outputs[0]))
    return model.name(tensor)


def _error(
    model: Model,
    tensor: int,
    activation: Activation,
    readers: list[Any],
    activations: dict[str, Activation],
) -> Error:
    # Every so many rows, of all pictures.
    spread = slice(None, None, max(1, activation.sample.size // _VALUES))
    values = activation.sample[spread]
    if [model.kind(operator) for operator in readers] == ["ADD"]:
        (addition,) = readers
        others = [int(i) for i in addition.inputs if i != tensor]
        other = activations.get(model.name(others[0])) if others else None
        if other is not None and other.sample.shape == activation.sample.shape:
            relu = addition.builtinOptions.fusedActivationFunction == RELU
            return _error_of_sum(values, other.sample[spread], relu)
    return lambda low, high: float(np.square(fake_quantize(values, low, high) - values).mean())


def _error_of_sum(values: NDArray[np.float32], other: NDArray[np.float32], relu: bool) -> Error:
    def total(summand: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.maximum(summand + other, 0) if relu else summand + other

    exact = total(values)
    return lambda low, high: float(
        np.square(total(fake_quantize(values, low, high)) - exact).mean()
    )
